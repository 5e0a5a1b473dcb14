//! Jobs around clock changes (SCH-2).

use std::collections::BTreeSet;

use hostler_core::schedule::cron::Expression;
use hostler_core::schedule::next::Rule;
use hostler_core::time::Timestamp;
use jiff::Timestamp as Moment;
use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The times of some hours of a place, from its midnight on, as they are shown there.
struct Place {
    zone: &'static str,
    midnight: &'static str,
}

impl Place {
    fn times(&self, fields: &str, hours: i64) -> String {
        let zone = TimeZone::get(self.zone).unwrap();
        let midnight: DateTime = self.midnight.parse().unwrap();
        let begin = zone.to_timestamp(midnight).unwrap();
        let end = begin + hours.hours();
        let rule = Rule::parse(fields, self.zone).unwrap();
        let times = rule.upcoming(Timestamp(begin.as_millisecond() - 1));
        let times = times.map(|time| Moment::from_millisecond(time.0).unwrap());
        let times: Vec<String> = times
            .take_while(|time| *time < end)
            .map(|time| time.to_zoned(zone.clone()).strftime("%d %H:%M %:z").to_string())
            .collect();
        times.join(", ")
    }

    fn fires(&self, hours: i64, table: &[(&str, &str)]) {
        for (fields, expected) in table {
            assert_eq!(self.times(fields, hours), *expected, "{fields} in {}", self.zone);
        }
    }
}

#[test]
fn in_new_york_two_oclock_is_skipped() {
    let place = Place { zone: "America/New_York", midnight: "2026-03-08T00:00" };
    place.fires(
        47,
        &[
            ("30 2 * * *", "08 03:00 -04:00, 09 02:30 -04:00"),
            ("30 1 * * *", "08 01:30 -05:00, 09 01:30 -04:00"),
            ("0 0 * * *", "08 00:00 -05:00, 09 00:00 -04:00"),
            ("15,45 2 * * *", "08 03:00 -04:00, 09 02:15 -04:00, 09 02:45 -04:00"),
            ("0-59 2 8 3 *", "08 03:00 -04:00"),
            // What was skipped and what comes then are one firing.
            ("0 2,3 * * *", "08 03:00 -04:00, 09 02:00 -04:00, 09 03:00 -04:00"),
            ("0,30 1,2 8 3 *", "08 01:00 -05:00, 08 01:30 -05:00, 08 03:00 -04:00"),
            // Real time has no two o'clock that day.
            ("*/30 2 * * *", "09 02:00 -04:00, 09 02:30 -04:00"),
        ],
    );
    place.fires(
        4,
        &[
            ("0 * * * *", "08 00:00 -05:00, 08 01:00 -05:00, 08 03:00 -04:00, 08 04:00 -04:00"),
            ("30 */1 * * *", "08 00:30 -05:00, 08 01:30 -05:00, 08 03:30 -04:00, 08 04:30 -04:00"),
            (
                "*/15 1-3 * * *",
                "08 01:00 -05:00, 08 01:15 -05:00, 08 01:30 -05:00, 08 01:45 -05:00, \
                 08 03:00 -04:00, 08 03:15 -04:00, 08 03:30 -04:00, 08 03:45 -04:00",
            ),
        ],
    );
}

#[test]
fn in_new_york_one_oclock_comes_twice() {
    let place = Place { zone: "America/New_York", midnight: "2026-11-01T00:00" };
    place.fires(
        49,
        &[
            ("30 2 * * *", "01 02:30 -05:00, 02 02:30 -05:00"),
            ("30 1 * * *", "01 01:30 -04:00, 02 01:30 -05:00"),
            ("0 0 * * *", "01 00:00 -04:00, 02 00:00 -05:00"),
            ("0 1 * * *", "01 01:00 -04:00, 02 01:00 -05:00"),
            (
                "0,30 1,2 1 11 *",
                "01 01:00 -04:00, 01 01:30 -04:00, 01 02:00 -05:00, 01 02:30 -05:00",
            ),
        ],
    );
    place.fires(
        4,
        &[
            ("0 * * * *", "01 00:00 -04:00, 01 01:00 -04:00, 01 01:00 -05:00, 01 02:00 -05:00"),
            ("30 */1 * * *", "01 00:30 -04:00, 01 01:30 -04:00, 01 01:30 -05:00, 01 02:30 -05:00"),
            ("*/30 1 * * *", "01 01:00 -04:00, 01 01:30 -04:00, 01 01:00 -05:00, 01 01:30 -05:00"),
        ],
    );
}

#[test]
fn a_fixed_job_that_is_asked_for_in_the_second_pass_has_fired() {
    let rule = Rule::parse("50 1 * * *", "America/New_York").unwrap();
    let second_pass: Moment = "2026-11-01T01:10:00-05:00".parse().unwrap();
    let next: Moment = "2026-11-02T01:50:00-05:00".parse().unwrap();
    let found = rule.next_after(Timestamp(second_pass.as_millisecond()));
    assert_eq!(found, Some(Timestamp(next.as_millisecond())));
}

#[test]
fn on_lord_howe_half_an_hour_is_skipped() {
    let place = Place { zone: "Australia/Lord_Howe", midnight: "2026-10-04T00:00" };
    place.fires(
        47,
        &[
            ("30 2 * * *", "04 02:30 +11:00, 05 02:30 +11:00"),
            ("15 2 * * *", "04 02:30 +11:00, 05 02:15 +11:00"),
            ("15,45 2 * * *", "04 02:30 +11:00, 04 02:45 +11:00, 05 02:15 +11:00, 05 02:45 +11:00"),
            ("0 0 * * *", "04 00:00 +10:30, 05 00:00 +11:00"),
        ],
    );
    place.fires(
        4,
        &[
            ("0 * * * *", "04 00:00 +10:30, 04 01:00 +10:30, 04 03:00 +11:00, 04 04:00 +11:00"),
            ("*/15 2 * * *", "04 02:30 +11:00, 04 02:45 +11:00"),
        ],
    );
}

#[test]
fn on_lord_howe_half_an_hour_comes_twice() {
    let place = Place { zone: "Australia/Lord_Howe", midnight: "2026-04-05T00:00" };
    place.fires(
        48,
        &[
            ("30 1 * * *", "05 01:30 +11:00, 06 01:30 +10:30"),
            ("15,45 1 5 4 *", "05 01:15 +11:00, 05 01:45 +11:00"),
            (
                "0,30 1,2 5 4 *",
                "05 01:00 +11:00, 05 01:30 +11:00, 05 02:00 +10:30, 05 02:30 +10:30",
            ),
        ],
    );
    place.fires(
        3,
        &[
            (
                "*/15 1 * * *",
                "05 01:00 +11:00, 05 01:15 +11:00, 05 01:30 +11:00, 05 01:45 +11:00, \
              05 01:30 +10:30, 05 01:45 +10:30",
            ),
            ("30 */1 * * *", "05 00:30 +11:00, 05 01:30 +11:00, 05 01:30 +10:30"),
        ],
    );
}

#[test]
fn in_santiago_midnight_is_skipped() {
    let place = Place { zone: "America/Santiago", midnight: "2026-09-05T00:00" };
    place.fires(
        71,
        &[
            ("0 0 * * *", "05 00:00 -04:00, 06 01:00 -03:00, 07 00:00 -03:00"),
            ("30 0 6 9 *", "06 01:00 -03:00"),
            ("0,30 0,1 6 9 *", "06 01:00 -03:00, 06 01:30 -03:00"),
            ("30 0 * * sun", "06 01:00 -03:00"),
            ("*/30 0 6 9 *", ""),
        ],
    );
}

#[test]
fn in_santiago_the_hour_before_midnight_comes_twice() {
    let place = Place { zone: "America/Santiago", midnight: "2026-04-04T00:00" };
    place.fires(
        49,
        &[
            ("0 0 * * *", "04 00:00 -03:00, 05 00:00 -04:00"),
            ("30 23 * * *", "04 23:30 -03:00, 05 23:30 -04:00"),
            ("30 23 * * sat", "04 23:30 -03:00"),
            (
                "*/30 23 * * sat",
                "04 23:00 -03:00, 04 23:30 -03:00, 04 23:00 -04:00, 04 23:30 -04:00",
            ),
        ],
    );
}

#[test]
fn in_old_sao_paulo_midnight_was_skipped() {
    let place = Place { zone: "America/Sao_Paulo", midnight: "2018-11-03T00:00" };
    place.fires(
        47,
        &[("0 0 * * *", "03 00:00 -03:00, 04 01:00 -02:00"), ("0 12 4 11 *", "04 12:00 -02:00")],
    );
}

#[test]
fn dublins_winter_is_the_exception_and_its_gap_is_in_spring() {
    Place { zone: "Europe/Dublin", midnight: "2026-03-29T00:00" }.fires(
        26,
        &[
            ("30 1 * * *", "29 02:00 +01:00, 30 01:30 +01:00"),
            ("30 2 29 3 *", "29 02:30 +01:00"),
            ("30 */12 29 3 *", "29 00:30 +00:00, 29 12:30 +01:00"),
        ],
    );
    Place { zone: "Europe/Dublin", midnight: "2026-10-25T00:00" }.fires(
        26,
        &[
            ("30 1 * * *", "25 01:30 +01:00"),
            ("30 2 25 10 *", "25 02:30 +00:00"),
            (
                "*/30 1 25 10 *",
                "25 01:00 +01:00, 25 01:30 +01:00, 25 01:00 +00:00, 25 01:30 +00:00",
            ),
        ],
    );
}

#[test]
fn tokyo_has_no_clock_change() {
    let place = Place { zone: "Asia/Tokyo", midnight: "2026-03-08T00:00" };
    place.fires(
        48,
        &[
            ("30 2 * * *", "08 02:30 +09:00, 09 02:30 +09:00"),
            ("15,45 2 8 * *", "08 02:15 +09:00, 08 02:45 +09:00"),
            ("*/30 2 8 * *", "08 02:00 +09:00, 08 02:30 +09:00"),
        ],
    );
}

#[test]
fn a_day_that_a_place_leaves_out_fires_when_the_next_one_begins() {
    let place = Place { zone: "Pacific/Apia", midnight: "2011-12-29T00:00" };
    place.fires(
        48,
        &[
            ("0 12 * * *", "29 12:00 -10:00, 31 00:00 +14:00, 31 12:00 +14:00"),
            ("0 0 * * *", "29 00:00 -10:00, 31 00:00 +14:00"),
            ("0 */12 * * *", "29 00:00 -10:00, 29 12:00 -10:00, 31 00:00 +14:00, 31 12:00 +14:00"),
        ],
    );
}

const PLACES: &[&str] = &[
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Asia/Tehran",
];

/// The minutes of some days around a change, and what is shown at each.
fn minutes(zone: &TimeZone, middle: Moment) -> Vec<(i64, DateTime)> {
    let first = middle.as_second() / 60 - 24 * 60;
    let minutes = (first..first + 2 * 24 * 60).map(|minute| minute * 60);
    minutes.map(|second| (second, zone.to_datetime(Moment::from_second(second).unwrap()))).collect()
}

/// Every minute is looked at: real time has those that match, a fixed job the first of each
/// local time, and one firing at the end of a gap that skips any.
fn slowly(expression: &Expression, minutes: &[(i64, DateTime)]) -> Vec<i64> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut last: Option<DateTime> = None;
    for (second, wall) in minutes {
        let due = if expression.is_fixed() {
            let mut due = expression.matches(*wall) && !seen.contains(wall);
            let mut skipped = last.map_or(*wall, |last| last + 1.minute());
            while skipped < *wall {
                due |= expression.matches(skipped);
                skipped += 1.minute();
            }
            due
        } else {
            expression.matches(*wall)
        };
        seen.insert(*wall);
        last = Some(*wall);
        if due {
            found.push(*second);
        }
    }
    found
}

#[test]
fn jumping_finds_what_looking_at_every_minute_finds() {
    let all = [
        "* * * * *",
        "*/15 * * * *",
        "30 */1 * * *",
        "*/20 1-3 * * *",
        "*/7 0,23 * * 0,6",
        "59 * */2 * 1",
        "30 2 * * *",
        "0-59 0-23 * * *",
        "15,45 0-3 * * *",
        "0,30 1,2,23 * * 0",
        "10 0 */2 * 6",
    ];
    let begin: Moment = "2015-01-01T00:00:00Z".parse().unwrap();
    for name in PLACES {
        let zone = TimeZone::get(name).unwrap();
        for change in zone.following(begin).take(4) {
            let minutes = minutes(&zone, change.timestamp());
            let (first, last) = (minutes[0].0, minutes[minutes.len() - 1].0);
            for fields in all {
                let expected = slowly(&Expression::parse(fields).unwrap(), &minutes);
                let rule = Rule::parse(fields, name).unwrap();
                let times = rule.upcoming(Timestamp(first * 1_000 - 1)).map(|time| time.0 / 1_000);
                let found: Vec<i64> = times.take_while(|time| *time <= last).collect();
                assert_eq!(found, expected, "{fields} in {name} at {}", change.timestamp());
            }
        }
    }
}
