//! What must agree with others: cron with a library, floats of class keys with Python's digits.

use hostler_core::policy::class_key::ClassValue;
use hostler_core::schedule::cron::Expression;
use hostler_core::schedule::next::Rule;
use hostler_core::time::Timestamp;
use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::peer::ask;

const EXPRESSIONS: usize = 200;
/// 2021 to 2025: zones of the past stay as they are.
const BEGIN: i64 = 1_609_459_200;
const END: i64 = 1_767_225_600;
/// Of an expression with more times, only windows are looked at.
const TIMES_MAX: usize = 2_000;
const WINDOW: i64 = 6 * 3_600;
const DAY: i64 = 24 * 3_600;
const ZONES: &[&str] = &[
    "America/New_York",
    "America/Santiago",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "UTC",
];

/// Always the same numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn up_to(&mut self, max: u64) -> u64 {
        self.next() % (max + 1)
    }

    fn between(&mut self, min: u64, max: u64) -> u64 {
        min + self.up_to(max - min)
    }
}

/// An expression for us, and the same for the library.
#[derive(Default)]
struct Pair {
    ours: Vec<String>,
    theirs: Vec<String>,
}

impl Pair {
    fn field(&mut self, random: &mut Random, min: u64, max: u64, star_of_ten: u64) {
        let (ours, theirs) = if random.up_to(9) < star_of_ten {
            star(random, min, max)
        } else {
            let items = (0..=random.up_to(2)).map(|_| item(random, min, max));
            let items: Vec<(String, String)> = items.collect();
            let (ours, theirs): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            (ours.join(","), theirs.join(","))
        };
        self.ours.push(ours);
        self.theirs.push(theirs);
    }

    fn random(random: &mut Random) -> Pair {
        let mut pair = Pair::default();
        pair.field(random, 0, 59, 3);
        pair.field(random, 0, 23, 4);
        pair.field(random, 1, 31, 6);
        pair.field(random, 1, 12, 7);
        pair.field(random, 0, 6, 6);
        pair
    }
}

/// A field that begins with a star.
fn star(random: &mut Random, min: u64, max: u64) -> (String, String) {
    let is_day = (min, max) == (1, 31) || max == 6;
    let step = random.between(2, max);
    match random.up_to(4) {
        // The library knows no `?`; it is the same as `*`.
        0 => ("?".to_owned(), "*".to_owned()),
        // To the library a day field with a step is plain when it begins with a star, to us it
        // is not; and weekdays go up to 7 there. A range says the same to both.
        1 if is_day => (format!("*/{step}"), format!("{min}-{max}/{step}")),
        1 => (format!("*/{step}"), format!("*/{step}")),
        2 => ("*/1".to_owned(), "*/1".to_owned()),
        _ => ("*".to_owned(), "*".to_owned()),
    }
}

fn item(random: &mut Random, min: u64, max: u64) -> (String, String) {
    const WEEKDAYS: [&str; 8] = ["SUN", "mon", "Tue", "WED", "thu", "fri", "sat", "7"];
    let first = random.between(min, max);
    let step = random.between(1, max);
    let both = |text: String| (text.clone(), text);
    match random.up_to(5) {
        0 => both(format!("{first}-{}", random.between(first, max))),
        // To the library a range of one value is that value, and goes up to the end with a step.
        1 if first == max => both(first.to_string()),
        1 => both(format!("{first}-{}/{step}", random.between(first + 1, max))),
        // The library's weekdays go up to 7.
        2 => (format!("{first}/{step}"), format!("{first}-{max}/{step}")),
        3 if max == 6 => both(WEEKDAYS[random.up_to(7) as usize].to_owned()),
        _ => both(first.to_string()),
    }
}

/// An expression in a zone, asked of both.
struct Case {
    fields: String,
    theirs: String,
    zone: &'static str,
    rule: Rule,
    changes: Vec<i64>,
}

impl Case {
    /// `None` for what can never fire: neither has times for that.
    fn random(random: &mut Random, zone: &'static str) -> Option<Case> {
        let pair = Pair::random(random);
        let (fields, theirs) = (pair.ours.join(" "), pair.theirs.join(" "));
        let rule = Rule::parse(&fields, zone).ok()?;
        let begin = Moment::from_second(BEGIN).unwrap();
        let found = TimeZone::get(zone).unwrap();
        let changes = found.following(begin).map(|change| change.timestamp().as_second());
        let changes = changes.take_while(|change| *change < END - WINDOW).collect();
        Some(Case { fields, theirs, zone, rule, changes })
    }

    /// All of the five years, or windows around each clock change and some other moments.
    fn windows(&self) -> Vec<(i64, i64)> {
        if self.ours(BEGIN, END).len() <= TIMES_MAX {
            return vec![(BEGIN, END)];
        }
        let quiet: Vec<i64> = (1..10).map(|count| BEGIN + count * 4_000 * 3_600).collect();
        let middles = self.changes.iter().chain(&quiet);
        middles.map(|middle| (middle - WINDOW, middle + WINDOW)).collect()
    }

    fn ours(&self, begin: i64, end: i64) -> Vec<i64> {
        let times = self.rule.upcoming(Timestamp(begin * 1_000)).map(|time| time.0 / 1_000);
        times.take_while(|time| *time <= end).take(TIMES_MAX + 1).collect()
    }

    /// Jobs that follow real time lose hours in the library on the day after a change of half an
    /// hour: it goes on in whole hours from a half one. `clock_changes` looks at those minute by
    /// minute.
    fn differs(&self, time: i64) -> bool {
        let is_real = !Expression::parse(&self.fields).unwrap().is_fixed();
        let is_after = |change: &i64| (0..DAY).contains(&(time - change));
        self.zone == "Australia/Lord_Howe" && is_real && self.changes.iter().any(is_after)
    }

    fn compared(&self, times: &[i64]) -> Vec<i64> {
        times.iter().copied().filter(|time| !self.differs(*time)).collect()
    }
}

#[test]
fn five_years_of_random_expressions_are_those_of_cronsim() {
    let mut random = Random(20_260_806);
    let zones = ZONES.iter().cycle();
    let cases = zones.filter_map(|zone| Case::random(&mut random, zone)).take(EXPRESSIONS);
    let cases: Vec<Case> = cases.collect();
    let windows =
        cases.iter().flat_map(|case| case.windows().into_iter().map(move |window| (case, window)));
    let windows: Vec<(&Case, (i64, i64))> = windows.collect();
    let question =
        |(case, (begin, end)): &(&Case, _)| json!(["cron", case.theirs, case.zone, begin, end]);
    let questions: Vec<Value> = windows.iter().map(question).collect();
    let answers: Vec<Vec<i64>> = ask(&questions);
    let mut compared = 0;
    for ((case, (begin, end)), theirs) in windows.into_iter().zip(answers) {
        let (ours, theirs) = (case.compared(&case.ours(begin, end)), case.compared(&theirs));
        assert_eq!(ours, theirs, "{} in {} from {begin} to {end}", case.fields, case.zone);
        compared += ours.len();
    }
    assert!(compared > 100_000, "only {compared} times were compared");
}

/// Numbers of every size, and those that people write.
fn numbers() -> Vec<f64> {
    let mut random = Random(5);
    let mut numbers = vec![0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 5e-324];
    numbers.extend((-1_074..1_024).map(|power| 2_f64.powi(power)));
    numbers.extend((-30..30).flat_map(|power| {
        let ten = 10_f64.powi(power);
        [ten, ten.next_down(), ten.next_up(), -ten * 1.5]
    }));
    for _ in 0..5_000 {
        numbers.push(f64::from_bits(random.next()));
        numbers.push(random.up_to(1 << 40) as f64);
        numbers.push(random.up_to(1 << 30) as f64 / 10_f64.powi(random.up_to(12) as i32));
    }
    numbers.retain(|number| number.is_finite());
    numbers
}

/// Exact, so that no formatting is between the two.
fn hexadecimal(number: f64) -> String {
    let bits = number.to_bits();
    let (sign, exponent, rest) = (bits >> 63, bits >> 52 & 0x7ff, bits & ((1 << 52) - 1));
    let sign = if sign == 1 { "-" } else { "" };
    match exponent {
        0 => format!("{sign}0x0.{rest:013x}p-1022"),
        _ => format!("{sign}0x1.{rest:013x}p{}", exponent as i64 - 1_023),
    }
}

#[test]
fn floats_of_class_keys_are_written_as_from_pythons_digits() {
    let numbers = numbers();
    let questions: Vec<Value> =
        numbers.iter().map(|number| json!(["number", hexadecimal(*number)])).collect();
    let answers: Vec<String> = ask(&questions);
    for (number, theirs) in numbers.iter().zip(answers) {
        assert_eq!(ClassValue::Float(*number).to_string(), theirs, "{number:e}");
    }
}
