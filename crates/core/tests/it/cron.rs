//! Cron expressions: the original's rules, and what is refused.

use hostler_core::code::Code;
use hostler_core::schedule::cron::Expression;
use hostler_core::schedule::next::{Rule, next_cron_time};
use hostler_core::time::Timestamp;
use jiff::Timestamp as Moment;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<Moment>().unwrap().as_millisecond())
}

fn wall(time: Timestamp, zone: &str) -> DateTime {
    let moment = Moment::from_millisecond(time.0).unwrap();
    TimeZone::get(zone).unwrap().to_datetime(moment)
}

/// The first times from the beginning of 2026 on, in UTC.
fn firsts(fields: &str, count: usize) -> Vec<String> {
    let rule = Rule::parse(fields, "").unwrap();
    let times = rule.upcoming(at("2025-12-31T23:59:59Z")).take(count);
    times.map(|time| wall(time, "UTC").strftime("%a %d %b %H:%M").to_string()).collect()
}

#[test]
fn fields_name_their_values() {
    // 1 January 2026 is a Thursday.
    let table: &[(&str, &[&str])] = &[
        ("* * * * *", &["Thu 01 Jan 00:00", "Thu 01 Jan 00:01"]),
        ("? ? ? ? ?", &["Thu 01 Jan 00:00", "Thu 01 Jan 00:01"]),
        ("20-30/5 3 * * *", &["Thu 01 Jan 03:20", "Thu 01 Jan 03:25", "Thu 01 Jan 03:30"]),
        ("50/5 3 * * *", &["Thu 01 Jan 03:50", "Thu 01 Jan 03:55", "Fri 02 Jan 03:50"]),
        ("*/40 3 * * *", &["Thu 01 Jan 03:00", "Thu 01 Jan 03:40", "Fri 02 Jan 03:00"]),
        ("*/99 3 * * *", &["Thu 01 Jan 03:00", "Fri 02 Jan 03:00"]),
        ("07 009 * * *", &["Thu 01 Jan 09:07", "Fri 02 Jan 09:07"]),
        ("0 23,1,1-2 * * *", &["Thu 01 Jan 01:00", "Thu 01 Jan 02:00", "Thu 01 Jan 23:00"]),
        ("0 0 31 * *", &["Sat 31 Jan 00:00", "Tue 31 Mar 00:00", "Sun 31 May 00:00"]),
        ("0 0 1 FEB,Apr-may *", &["Sun 01 Feb 00:00", "Wed 01 Apr 00:00", "Fri 01 May 00:00"]),
        ("0 0 1 11/1 *", &["Sun 01 Nov 00:00", "Tue 01 Dec 00:00", "Mon 01 Nov 00:00"]),
        ("0 0 * * Mon-WED/2", &["Mon 05 Jan 00:00", "Wed 07 Jan 00:00", "Mon 12 Jan 00:00"]),
        ("0 0 * * 0", &["Sun 04 Jan 00:00", "Sun 11 Jan 00:00"]),
        ("0 0 * * 7", &["Sun 04 Jan 00:00", "Sun 11 Jan 00:00"]),
        ("0 0 * * 7/2", &["Sun 04 Jan 00:00", "Sun 11 Jan 00:00"]),
        ("0 0 * * 5-7", &["Fri 02 Jan 00:00", "Sat 03 Jan 00:00", "Sun 04 Jan 00:00"]),
        ("0 0 * * 5/1", &["Fri 02 Jan 00:00", "Sat 03 Jan 00:00", "Fri 09 Jan 00:00"]),
        ("0 0 * * */3", &["Sat 03 Jan 00:00", "Sun 04 Jan 00:00", "Wed 07 Jan 00:00"]),
        (" \t0   0 * * *\n", &["Thu 01 Jan 00:00"]),
        // As in the original, nothing between two commas is nothing.
        (",0,,30, 5 * * *", &["Thu 01 Jan 05:00", "Thu 01 Jan 05:30"]),
    ];
    for (fields, expected) in table {
        assert_eq!(firsts(fields, expected.len()), *expected, "{fields}");
    }
}

#[test]
fn a_day_matches_both_day_fields_when_one_is_plain_and_else_either() {
    let both: &[&str] = &["Fri 13 Feb 00:00", "Fri 13 Mar 00:00"];
    let table: &[(&str, &[&str])] = &[
        // Either.
        ("0 0 13 2 5", &["Fri 06 Feb 00:00", "Fri 13 Feb 00:00", "Fri 20 Feb 00:00"]),
        ("0 0 13 2 4", &["Thu 05 Feb 00:00", "Thu 12 Feb 00:00", "Fri 13 Feb 00:00"]),
        // A star with a step is not plain: odd days, and Mondays.
        ("0 0 */2 1 1", &["Thu 01 Jan 00:00", "Sat 03 Jan 00:00", "Mon 05 Jan 00:00"]),
        ("0 0 12 1 */6", &["Sat 03 Jan 00:00", "Sun 04 Jan 00:00", "Sat 10 Jan 00:00"]),
        ("0 0 1-31 1 1", &["Thu 01 Jan 00:00", "Fri 02 Jan 00:00", "Sat 03 Jan 00:00"]),
        // Both.
        ("0 0 * 1 1", &["Mon 05 Jan 00:00", "Mon 12 Jan 00:00"]),
        ("0 0 ? 1 1", &["Mon 05 Jan 00:00", "Mon 12 Jan 00:00"]),
        ("0 0 */1 1 1", &["Mon 05 Jan 00:00", "Mon 12 Jan 00:00"]),
        ("0 0 5,* 1 1", &["Mon 05 Jan 00:00", "Mon 12 Jan 00:00"]),
        ("0 0 13 2-3 *", both),
        ("0 0 13 2-3 ?", both),
        ("0 0 13 2-3 */1", both),
        ("0 0 */2 1 *", &["Thu 01 Jan 00:00", "Sat 03 Jan 00:00", "Mon 05 Jan 00:00"]),
    ];
    for (fields, expected) in table {
        assert_eq!(firsts(fields, expected.len()), *expected, "{fields}");
    }
}

#[test]
fn what_does_not_parse_is_said_in_words() {
    let table = [
        ("* * * *", "expected exactly 5 fields"),
        ("* * * * * *", "found 6"),
        ("@daily", "words like \"@daily\" are not allowed"),
        ("@every 1h", "not allowed"),
        ("60 * * * *", "minute \"60\": allowed are 0-59"),
        ("* 24 * * *", "hour \"24\": allowed are 0-23"),
        ("* * 0 * *", "day-of-month \"0\": allowed are 1-31"),
        ("* * 32 * *", "allowed are 1-31"),
        ("* * * 13 *", "month \"13\": allowed are 1-12 or jan-dec"),
        ("* * * january *", "allowed are 1-12 or jan-dec"),
        ("* * * * 8", "day-of-week \"8\": allowed are 0-7 or sun-sat"),
        ("* * * * mon,x", "day-of-week \"x\""),
        ("30-20 * * * *", "from the smaller to the larger"),
        ("* * * * fri-mon", "a range up to Sunday ends with 7"),
        ("* * * * 7-1", "from the smaller to the larger"),
        ("*/0 * * * *", "minute \"*/0\": a step is a whole number from 1 on"),
        ("5/ * * * *", "a step is"),
        ("*/x * * * *", "a step is"),
        ("*/1/2 * * * *", "a step is"),
        ("*/99999999999999999999 * * * *", "a step is"),
        ("1-2-3 * * * *", "allowed are"),
        ("*-5 * * * *", "allowed are"),
        ("-5 * * * *", "allowed are"),
        ("+5 * * * *", "allowed are"),
        ("5- * * * *", "allowed are"),
        ("** * * * *", "allowed are"),
        ("99999999999999999999 * * * *", "allowed are"),
        ("٣ * * * *", "allowed are"),
        (", * * * *", "minute: nothing but commas"),
        ("* * ,,, * *", "day-of-month: nothing but commas"),
        ("TZ=UTC", "expected 5 fields after the timezone, found 0"),
        ("TZ=UTC ", "expected 5 fields after the timezone"),
        ("CRON_TZ=", "expected 5 fields after the timezone"),
        ("TZ= 0 0 * * *", "\"\" is no known timezone"),
        ("TZ=Mars/Base 0 0 * * *", "\"Mars/Base\" is no known timezone"),
        ("TZ=Etc/Unknown 0 0 * * *", "is no known timezone"),
        ("TZ=UTC @daily", "not allowed"),
    ];
    for (text, expected) in table {
        let why = next_cron_time(text, Timestamp(0), "UTC").unwrap_err();
        assert!(why.contains(expected), "{text}: {why}");
        let rejection = Rule::parse(text, "UTC").unwrap_err();
        assert_eq!((rejection.code, rejection.message), (Code::InvalidField, why));
        assert_eq!(rejection.field.as_deref(), Some("cron_expr"));
    }
}

#[test]
fn what_can_never_fire_is_refused_when_given_and_has_no_next_time() {
    for fields in ["0 0 30 2 *", "0 0 31 4,6,9,11 ?", "* * 30-31 feb */1", "TZ=UTC 0 0 31 2/12 *"] {
        let rejection = Rule::parse(fields, "UTC").unwrap_err();
        assert!(rejection.message.contains("never fire"), "{fields}: {rejection:?}");
        assert_eq!(rejection.field.as_deref(), Some("cron_expr"));
        assert_eq!(next_cron_time(fields, Timestamp(0), "UTC"), Ok(None), "{fields}");
    }
    // A weekday alone comes in every month.
    assert_eq!(firsts("0 0 30 2 1", 1), ["Mon 02 Feb 00:00"]);
}

#[test]
fn a_blank_rule_is_refused_and_a_blank_timezone_is_utc() {
    let rejection = Rule::parse("  ", "UTC").unwrap_err();
    assert_eq!(rejection.code, Code::RequiredField);
    let next = Rule::parse("0 9 * * *", " ").unwrap().next_after(at("2026-01-01T00:00:00Z"));
    assert_eq!(next, Some(at("2026-01-01T09:00:00Z")));
}

#[test]
fn an_unknown_timezone_is_refused_when_given_and_utc_to_the_originals_function() {
    let start = at("2026-01-01T00:00:00Z");
    for zone in ["Mars/Base", "Local", "Etc/Unknown", "../../etc/passwd", "EST5EDT,M3.2.0,M11.1.0"]
    {
        let rejection = Rule::parse("0 9 * * *", zone).unwrap_err();
        assert_eq!(rejection.field.as_deref(), Some("timezone"), "{zone}");
        assert!(rejection.message.contains("IANA name"), "{rejection:?}");
        let next = next_cron_time("0 9 * * *", start, zone).unwrap();
        assert_eq!(next, Some(at("2026-01-01T09:00:00Z")), "{zone}");
    }
    assert!(Rule::parse("TZ=UTC 0 9 * * *", "Mars/Base").is_err());
    assert_eq!(
        next_cron_time("0 9 * * *", start, "").unwrap(),
        next_cron_time("0 9 * * *", start, "UTC").unwrap()
    );
}

#[test]
fn a_prefix_goes_before_the_timezone() {
    let start = at("2026-01-01T12:00:00Z");
    for prefix in ["TZ=Asia/Tokyo ", "CRON_TZ=Asia/Tokyo ", "  TZ=Asia/Tokyo   "] {
        let text = format!("{prefix}0 9 * * *");
        let next = next_cron_time(&text, start, "America/New_York").unwrap();
        assert_eq!(next, Some(at("2026-01-02T00:00:00Z")), "{text}");
        let rule = Rule::parse(&text, "America/New_York").unwrap();
        assert_eq!(rule.next_after(start), next);
    }
}

#[test]
fn a_time_is_later_and_at_second_zero() {
    let rule = Rule::parse("0 9 * * *", "UTC").unwrap();
    let table = [
        ("2026-01-01T08:59:59.999Z", "2026-01-01T09:00:00Z"),
        ("2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z"),
        ("2026-01-01T09:00:30Z", "2026-01-02T09:00:00Z"),
    ];
    for (after, expected) in table {
        assert_eq!(rule.next_after(at(after)), Some(at(expected)), "{after}");
    }
}

#[test]
fn leap_days_are_found_also_around_2100() {
    let rule = Rule::parse("0 0 29 2 *", "UTC").unwrap();
    let mut times = rule.upcoming(at("2026-01-01T00:00:00Z"));
    assert_eq!(times.next(), Some(at("2028-02-29T00:00:00Z")));
    assert_eq!(times.next(), Some(at("2032-02-29T00:00:00Z")));
    let late = at("2096-02-29T00:00:00Z");
    assert_eq!(rule.next_after(late), Some(at("2104-02-29T00:00:00Z")));
    let real = Rule::parse("*/30 12 29 2 */1", "America/New_York").unwrap();
    assert_eq!(real.next_after(late), Some(at("2096-02-29T17:00:00Z")));
    assert_eq!(real.next_after(at("2096-02-29T17:30:00Z")), Some(at("2104-02-29T17:00:00Z")));
}

#[test]
fn the_ends_of_time_have_no_next_time() {
    for fields in ["* * * * *", "0 0 1 1 *"] {
        let rule = Rule::parse(fields, "America/New_York").unwrap();
        for after in [Timestamp::MAX, Timestamp(i64::MIN), at("9999-12-30T21:59:59Z")] {
            assert_eq!(rule.next_after(after).filter(|next| *next <= after), None);
        }
        assert_eq!(rule.next_after(Timestamp::MAX), None);
    }
}

const PIECES: &[&str] =
    &["*", "?", "-", "/", ",", " ", "TZ=", "CRON_TZ=", "UTC", "mon", "Feb", "7", "@", "é"];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        2 => (0_u32..70).prop_map(|number| number.to_string()),
        1 => any::<String>(),
    ]
}

fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let value = min..=max;
    prop_oneof![
        Just("*".to_owned()),
        (1..=max).prop_map(|step| format!("*/{step}")),
        value.clone().prop_map(|value| value.to_string()),
        (value.clone(), value).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

prop_compose! {
    fn fields()(
        minute in field(0, 59),
        hour in field(0, 23),
        day in field(1, 31),
        month in field(1, 12),
        weekday in field(0, 7),
    ) -> String {
        format!("{minute} {hour} {day} {month} {weekday}")
    }
}

const ZONES: &[&str] = &[
    "UTC",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Asia/Tokyo",
];

/// Seconds from 1880 to 2200.
const SECONDS: std::ops::Range<i64> = -2_840_000_000..7_258_000_000;

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in proptest::collection::vec(piece(), 0..14), zone: String) {
        let text = pieces.concat();
        let _ = Expression::parse(&text);
        let _ = Rule::parse(&text, &zone);
        let _ = next_cron_time(&text, Timestamp(1_772_000_000_000), &zone);
    }

    #[test]
    fn no_moment_makes_it_panic(fields in fields(), after: i64) {
        let next = next_cron_time(&fields, Timestamp(after), "America/New_York").unwrap();
        prop_assert!(next.is_none_or(|next| next.0 > after));
    }

    #[test]
    fn times_are_later_and_match_their_fields_or_end_a_gap(
        fields in fields(),
        zone in proptest::sample::select(ZONES),
        second in SECONDS,
    ) {
        let expression = Expression::parse(&fields).unwrap();
        let Ok(rule) = Rule::parse(&fields, zone) else {
            prop_assert!(!expression.can_fire());
            return Ok(());
        };
        let after = Timestamp(second * 1_000);
        let next = rule.next_after(after).unwrap();
        prop_assert!(next > after);
        let moment = Moment::from_millisecond(next.0).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let is_change = || zone.following(Moment::from_millisecond(next.0 - 1).unwrap())
            .next().is_some_and(|change| change.timestamp() == moment);
        let wall = zone.to_datetime(moment);
        let named = expression.matches(wall) && wall.second() == 0;
        prop_assert!(named || (expression.is_fixed() && is_change()), "{next:?}");
    }

    #[test]
    fn later_questions_never_have_earlier_answers(
        fields in fields(),
        zone in proptest::sample::select(ZONES),
        second in SECONDS,
        later in 0_i64..100_000_000,
    ) {
        let Ok(rule) = Rule::parse(&fields, zone) else { return Ok(()) };
        let (first, second) = (Timestamp(second * 1_000), Timestamp((second + later) * 1_000));
        let (first_next, second_next) = (rule.next_after(first), rule.next_after(second));
        prop_assert!(first_next <= second_next);
        // Nothing lies between a question and its answer.
        if first_next > Some(second) {
            prop_assert_eq!(first_next, second_next);
        }
    }
}
