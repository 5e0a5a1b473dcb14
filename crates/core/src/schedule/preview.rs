//! When a rule would fire, without a schedule (SCH-4).

use super::manage::parse_rule;
use crate::code::Rejection;
use crate::limits;
use crate::text::trimmed;
use crate::time::Timestamp;

/// How many times are shown when nobody says.
const COUNT_DEFAULT: i64 = 5;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    pub cron_expr: Option<String>,
    pub timezone: Option<String>,
    /// Now when absent.
    pub after: Option<Timestamp>,
    pub count: Option<i64>,
}

/// The next times, as RFC 3339 in the rule's timezone.
pub(crate) fn decide(now: Timestamp, preview: &Preview) -> Result<Vec<String>, Rejection> {
    let cron_expr = trimmed(preview.cron_expr.clone());
    let cron_expr = cron_expr.ok_or_else(|| Rejection::required("cron_expr"))?;
    let rule = parse_rule(&cron_expr, preview.timezone.as_deref().unwrap_or_default())?;
    let given = preview.count.unwrap_or(COUNT_DEFAULT);
    let count =
        usize::try_from(given).ok().filter(|count| (1..=limits::PREVIEW_MAX).contains(count));
    let count = count.ok_or_else(|| {
        let text = format!("invalid count: {given}; allowed: 1 to {}", limits::PREVIEW_MAX);
        Rejection::invalid("count", text)
    })?;
    let times = rule.upcoming(preview.after.unwrap_or(now)).take(count);
    Ok(times.map(|time| rule.shown(time)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-10-24T12:00:00Z, a day before summer time ends.
    const NOW: Timestamp = Timestamp(1_792_843_200_000);

    fn preview(cron_expr: &str, timezone: &str, count: Option<i64>) -> Preview {
        let (cron_expr, timezone) = (Some(cron_expr.to_owned()), Some(timezone.to_owned()));
        Preview { cron_expr, timezone, after: None, count }
    }

    #[test]
    fn times_are_shown_in_the_zone_of_the_rule() {
        let times = decide(NOW, &preview("30 9 * * *", "Europe/Vienna", Some(2)));
        let expected = ["2026-10-25T09:30:00+01:00", "2026-10-26T09:30:00+01:00"];
        assert_eq!(times.unwrap(), expected);
        let after = Some(Timestamp(0));
        let of_1970 = Preview { after, ..preview("0 0 1 1 *", "", None) };
        let times = decide(NOW, &of_1970).unwrap();
        assert_eq!((times.len(), times[0].as_str()), (5, "1971-01-01T00:00:00+00:00"));
    }

    #[test]
    fn a_rule_that_cannot_be_and_a_count_beyond_the_limits_are_refused() {
        let field = |preview: Preview| decide(NOW, &preview).unwrap_err().field.unwrap();
        assert_eq!(field(Preview::default()), "cron_expr");
        assert_eq!(field(preview("0 0 30 2 *", "", Some(1))), "cron_expr");
        assert_eq!(field(preview("0 0 1 1 *", "Nowhere", Some(1))), "timezone");
        assert_eq!(field(preview("0 0 1 1 *", "", Some(0))), "count");
        assert_eq!(field(preview("0 0 1 1 *", "", Some(-1))), "count");
        assert_eq!(field(preview("0 0 1 1 *", "", Some(101))), "count");
    }
}
