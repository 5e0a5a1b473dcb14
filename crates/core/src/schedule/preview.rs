//! When a rule would fire, without a schedule (SCH-4).

use super::next::Rule;
use crate::code::Rejection;
use crate::limits;
use crate::time::Timestamp;

/// How many times are shown when nobody says.
const COUNT_DEFAULT: u64 = 5;

/// The next times after one, as RFC 3339 in the rule's timezone.
pub fn preview(
    cron_expr: &str,
    timezone: &str,
    after: Timestamp,
    count: Option<u64>,
) -> Result<Vec<String>, Rejection> {
    let rule = Rule::parse(cron_expr, timezone)?;
    let count = count.unwrap_or(COUNT_DEFAULT);
    if count == 0 || count > limits::PREVIEW_MAX as u64 {
        let text = format!("invalid count: {count}; allowed: 1 to {}", limits::PREVIEW_MAX);
        return Err(Rejection::invalid("count", text));
    }
    let times = rule.upcoming(after).take(count as usize);
    Ok(times.map(|time| rule.shown(time)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_zone_of_the_rule() {
        // 2026-10-24T12:00:00Z, a day before summer time ends.
        let after = Timestamp(1_792_843_200_000);
        let times = preview("30 9 * * *", "Europe/Vienna", after, Some(2));
        let expected = ["2026-10-25T09:30:00+01:00", "2026-10-26T09:30:00+01:00"];
        assert_eq!(times.unwrap(), expected);
        assert_eq!(preview("0 0 1 1 *", "", after, None).unwrap().len(), 5);
        let no = preview("0 0 1 1 *", "", after, Some(0)).unwrap_err();
        assert_eq!(no.field.as_deref(), Some("count"));
        let no = preview("0 0 30 2 *", "", after, Some(1)).unwrap_err();
        assert_eq!(no.field.as_deref(), Some("cron_expr"));
    }
}
