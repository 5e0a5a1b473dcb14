//! # Cron expressions
//!
//! **What** Five fields: minute, hour, day of month, month, day of week (SCH-1). A field is a list
//! of items with commas between: `*` or `?`, a value, a range `A-B`, each also with `/step`; a
//! value with a step goes on to the field's end. Months and weekdays have names. As in the
//! original, but that 7 is Sunday too.
//!
//! A field with a plain star among its items is plain: `*`, `?`, or one of them with step 1. When
//! one of the two day fields is plain, a day must match both; otherwise it must match either.
//!
//! **Invariants** An [`Expression`] names at least one value in every field.
//!
//! **Failure** No text makes it panic: what does not parse is said in words.
//!
//! **Not here** Zones and clock changes: [`super::next`].

use jiff::civil::{Date, DateTime, Time};

use crate::text::shortened;

/// What was given is shown up to here.
const SHOWN_BYTES_MAX: usize = 40;

/// The values that each field names, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expression {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Sunday is bit 0.
    weekdays: u64,
    /// A day must match both day fields.
    both_days: bool,
    fixed: bool,
}

impl Expression {
    /// Five fields; what is wrong with them, in words.
    pub fn parse(text: &str) -> Result<Expression, String> {
        if text.trim_start().starts_with('@') {
            let shown = shortened(text.trim(), SHOWN_BYTES_MAX);
            return Err(format!("words like {shown:?} are not allowed; expected 5 fields"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!(
                "expected exactly 5 fields (minute hour day-of-month month day-of-week), found {}",
                fields.len()
            ));
        };
        let fixed = ![minutes, hours].iter().any(|field| field.starts_with(['*', '?']));
        let (days, weekdays) = (DAY.parse(days)?, WEEKDAY.parse(weekdays)?);
        Ok(Expression {
            minutes: MINUTE.parse(minutes)?.bits,
            hours: HOUR.parse(hours)?.bits,
            days: days.bits,
            months: MONTH.parse(months)?.bits,
            weekdays: (weekdays.bits | (weekdays.bits >> 7)) & 0x7f,
            both_days: days.plain || weekdays.plain,
            fixed,
        })
    }

    /// Whether its times are times of the day: neither its minute nor its hour begins with a star
    /// (SCH-2).
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Whether any day that can be is named: 30 February is not one.
    pub fn can_fire(&self) -> bool {
        // A weekday alone names a day of every month.
        !self.both_days || (1..=12).any(|month| has(self.months, month) && self.fits(month))
    }

    fn fits(&self, month: i8) -> bool {
        // 2000 has a 29 February.
        let length = Date::constant(2000, month, 1).days_in_month();
        self.days & up_to(length) != 0
    }

    /// Whether a local time is named, to the minute.
    pub fn matches(&self, wall: DateTime) -> bool {
        has(self.minutes, wall.minute())
            && has(self.hours, wall.hour())
            && has(self.days_of(wall.year(), wall.month()), wall.day())
    }

    /// The first local time that is named, from a whole minute on and up to the end of a year.
    pub(super) fn first_from(&self, wall: DateTime, year_max: i16) -> Option<DateTime> {
        let today = self.days_of(wall.year(), wall.month());
        if has(today, wall.day())
            && let Some(time) = self.time_from(wall.hour(), wall.minute())
        {
            return Some(wall.date().to_datetime(time));
        }
        let (mut year, mut month) = (wall.year(), wall.month());
        let mut days = above(today, wall.day());
        while days == 0 {
            month = match first_of(above(self.months, month)) {
                Some(later) => later,
                None => {
                    year += 1;
                    first_of(self.months)?
                }
            };
            if year > year_max {
                return None;
            }
            days = self.days_of(year, month);
        }
        let date = Date::new(year, month, first_of(days)?).ok()?;
        Some(date.to_datetime(self.time_from(0, 0)?))
    }

    /// The first time of a day that is named, from a minute on.
    fn time_from(&self, hour: i8, minute: i8) -> Option<Time> {
        if has(self.hours, hour)
            && let Some(minute) = first_of(self.minutes & !(up_to(minute) >> 1))
        {
            return Some(Time::constant(hour, minute, 0, 0));
        }
        let hour = first_of(above(self.hours, hour))?;
        Some(Time::constant(hour, first_of(self.minutes)?, 0, 0))
    }

    /// The days of a month that are named.
    fn days_of(&self, year: i16, month: i8) -> u64 {
        let Ok(first) = Date::new(year, month, 1) else { return 0 };
        if !has(self.months, month) {
            return 0;
        }
        let weekday = first.weekday().to_sunday_zero_offset();
        // The weekdays from that of the first day on, five times over, and bit 1 is day 1.
        let week = ((self.weekdays | (self.weekdays << 7)) >> weekday) & 0x7f;
        let weeks = (week * 0x1020_4081) << 1;
        let named = if self.both_days { self.days & weeks } else { self.days | weeks };
        named & up_to(first.days_in_month())
    }
}

fn has(bits: u64, value: i8) -> bool {
    bits >> value & 1 == 1
}

fn first_of(bits: u64) -> Option<i8> {
    // Below 64.
    (bits != 0).then(|| bits.trailing_zeros() as i8)
}

/// The values up to one, itself too.
fn up_to(value: i8) -> u64 {
    u64::MAX >> (63 - value)
}

fn above(bits: u64, value: i8) -> u64 {
    bits & !up_to(value)
}

/// One of the five.
struct Field {
    name: &'static str,
    min: u32,
    /// A star and a step go up to here.
    max: u32,
    /// A value may be as large as this: 7 is Sunday.
    value_max: u32,
    /// Names of the values from the smallest on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minute", min: 0, max: 59, value_max: 59, names: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, value_max: 23, names: &[] };
const DAY: Field = Field { name: "day-of-month", min: 1, max: 31, value_max: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    value_max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field = Field {
    name: "day-of-week",
    min: 0,
    max: 6,
    value_max: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// What a field names.
#[derive(Default)]
struct Values {
    bits: u64,
    plain: bool,
}

impl Field {
    fn parse(&self, text: &str) -> Result<Values, String> {
        let mut values = Values::default();
        // As in the original, nothing between two commas is nothing.
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let found = self.parse_item(item).map_err(|why| {
                let shown = shortened(item, SHOWN_BYTES_MAX);
                format!("{} {shown:?}: {why}", self.name)
            })?;
            values.bits |= found.bits;
            values.plain |= found.plain;
        }
        match values.bits {
            0 => Err(format!("{}: nothing but commas; {}", self.name, self.allowed())),
            _ => Ok(values),
        }
    }

    fn parse_item(&self, item: &str) -> Result<Values, String> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(parse_step(step)?)),
            None => (item, None),
        };
        let is_star = matches!(range, "*" | "?");
        let (first, last) = match range.split_once('-') {
            _ if is_star => (self.min, self.max),
            Some((first, last)) => (self.parse_value(first)?, self.parse_value(last)?),
            None => {
                let value = self.parse_value(range)?;
                (value, if step.is_some() { self.max.max(value) } else { value })
            }
        };
        if first > last {
            return Err(self.backwards());
        }
        let step = step.unwrap_or(1);
        let bits = (first..=last).step_by(step).fold(0, |bits, value| bits | 1 << value);
        Ok(Values { bits, plain: is_star && step == 1 })
    }

    fn backwards(&self) -> String {
        let sunday =
            if self.value_max > self.max { "; a range up to Sunday ends with 7" } else { "" };
        format!("a range goes from the smaller to the larger value{sunday}")
    }

    fn parse_value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.min..);
        if let Some((_, value)) =
            named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text))
        {
            return Ok(value);
        }
        parse_number(text)
            .filter(|value| (self.min..=self.value_max).contains(value))
            .ok_or_else(|| self.allowed())
    }

    fn allowed(&self) -> String {
        let names = match self.names {
            [] => String::new(),
            [first, .., last] => format!(" or {first}-{last}"),
            [one] => format!(" or {one}"),
        };
        format!("allowed are {}-{}{names}, *, ranges and steps", self.min, self.value_max)
    }
}

fn parse_step(text: &str) -> Result<usize, String> {
    let step = parse_number(text).filter(|step| *step > 0);
    step.map(|step| step as usize).ok_or_else(|| "a step is a whole number from 1 on".to_owned())
}

/// Digits alone: no sign.
fn parse_number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
