//! Figures out of what a load printed, and out of several rounds.

/// The number that follows `name` in a line like `RESULT p50_us=3` or `RESULT {"p50_us":3}`.
pub fn figure(output: &str, name: &str) -> Result<f64, String> {
    let line = output.lines().rev().find(|line| line.starts_with("RESULT"));
    let line = line.ok_or_else(|| format!("no result in {output:?}"))?;
    let number = line.match_indices(name).find_map(|(index, _)| {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        if line[..index].ends_with(is_word) {
            return None;
        }
        let rest = &line[index + name.len()..];
        let rest = rest.strip_prefix("\":").or_else(|| rest.strip_prefix('='))?;
        let end = rest.find(|char: char| !(char.is_ascii_digit() || char == '.'));
        rest[..end.unwrap_or(rest.len())].parse().ok()
    });
    number.ok_or_else(|| format!("no {name} in {line:?}"))
}

/// The middle one; the mean of the two in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => figures[half],
        _ => f64::midpoint(figures[half - 1], figures[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::{figure, median};

    #[test]
    fn both_kinds_of_lines_are_read() {
        let ours = "READY\nRESULT per_s=12 ack_p50_us=4 p50_us=3\n";
        assert_eq!(figure(ours, "p50_us"), Ok(3.0));
        let probe = "RESULT {\"what\":\"p50_us: live\",\"p50_us\":7,\"e2e_per_s\":1.5}\n";
        assert_eq!(figure(probe, "p50_us"), Ok(7.0));
        assert_eq!(figure(probe, "e2e_per_s"), Ok(1.5));
        assert!(figure(probe, "per_s").is_err());
    }

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }
}
