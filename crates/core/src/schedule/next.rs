//! # The next time of a rule
//!
//! **What** A cron expression in a timezone, and its moments (SCH-1, SCH-2, SCH-4).
//!
//! A job at a fixed time fires once for each of its local times: one that a clock change skips
//! fires at the first moment after the gap, one that comes twice fires the first time. Several
//! that fall on the same moment are one firing. Other jobs follow real time: they fire at each
//! moment whose local time is named.
//!
//! **Invariants** A moment is later than what it was asked for. Zones are those of the program,
//! not of the machine: the same program gives the same moments everywhere.
//!
//! **Failure** A rule that can never fire, and a zone that is not known, are refused when given.
//! A search ends after [`CRON_YEARS_MAX`].

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp as Moment, ToSpan};

use super::cron::Expression;
use crate::code::Rejection;
use crate::limits::CRON_YEARS_MAX;
use crate::text::shortened;
use crate::time::Timestamp;

/// The library keeps the zones that it has read: a whole rule parses in half a microsecond, and
/// one with a zone that is new to the process in fifty.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// What is shown of a zone that is not known.
const SHOWN_BYTES_MAX: usize = 40;

/// When a schedule fires.
#[derive(Clone, Debug)]
pub struct Rule {
    expression: Expression,
    zone: TimeZone,
}

impl Rule {
    /// A blank timezone is UTC. A prefix `TZ=Zone ` or `CRON_TZ=Zone ` of the expression goes
    /// before the timezone.
    pub fn parse(cron_expr: &str, timezone: &str) -> Result<Rule, Rejection> {
        if cron_expr.trim().is_empty() {
            return Err(Rejection::required("cron_expr"));
        }
        let given = match timezone.trim() {
            "" => TimeZone::UTC,
            name => find_zone(name).ok_or_else(|| Rejection::invalid("timezone", unknown(name)))?,
        };
        let refused = |why| Rejection::invalid("cron_expr", why);
        let rule = Rule::with_zone(cron_expr, given).map_err(refused)?;
        if !rule.expression.can_fire() {
            let why = "it can never fire: none of its months has any of its days";
            return Err(refused(why.to_owned()));
        }
        Ok(rule)
    }

    fn with_zone(cron_expr: &str, given: TimeZone) -> Result<Rule, String> {
        let (prefix, fields) = split_zone(cron_expr.trim())?;
        let zone = match prefix {
            Some(name) => find_zone(name).ok_or_else(|| unknown(name))?,
            None => given,
        };
        Ok(Rule { expression: Expression::parse(fields)?, zone })
    }

    /// The first moment after another one.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let begin = Moment::from_millisecond(after.0).ok()?;
        let year_max = begin.to_zoned(TimeZone::UTC).year() + CRON_YEARS_MAX;
        let next = match self.expression.is_fixed() {
            true => self.next_fixed(begin, year_max),
            false => self.next_real(begin, year_max),
        };
        next.map(|moment| Timestamp(moment.as_millisecond()))
    }

    /// All moments after one, in their order.
    pub fn upcoming(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(after), |last| self.next_after(*last))
    }

    /// A moment as RFC 3339 in the rule's timezone.
    pub fn shown(&self, at: Timestamp) -> String {
        shown_in(self.zone.clone(), at)
    }

    /// Local times in their order; their moments never fall.
    fn next_fixed(&self, after: Moment, year_max: i16) -> Option<Moment> {
        let mut wall = self.zone.to_datetime(after);
        loop {
            wall = self.expression.first_from(next_minute(wall)?, year_max)?;
            let moment = self.moment_of(wall)?;
            // In the second pass of a repeated hour, or after a gap: it has fired.
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// The first moment of a local time, or the first one after the gap that skips it.
    fn moment_of(&self, wall: DateTime) -> Option<Moment> {
        match self.zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                let within = after.to_timestamp(wall).ok()?;
                let mut changes = self.zone.following(within);
                changes.find(|change| change.offset() == after).map(|change| change.timestamp())
            }
        }
    }

    /// Between two clock changes, local time is real time with an offset.
    fn next_real(&self, after: Moment, year_max: i16) -> Option<Moment> {
        let mut offset = self.zone.to_offset(after);
        let mut wall = next_minute(offset.to_datetime(after))?;
        let mut changes = self.zone.following(after);
        loop {
            let change = changes.next();
            let named = self.expression.first_from(wall, year_max);
            let moment = named.and_then(|named| offset.to_timestamp(named).ok());
            match (moment, change) {
                (Some(moment), Some(change)) if change.timestamp() <= moment => {
                    offset = change.offset();
                    wall = whole_minute(offset.to_datetime(change.timestamp()))?;
                }
                (moment, _) => return moment,
            }
        }
    }
}

/// A moment as RFC 3339 in UTC.
pub(crate) fn shown_utc(at: Timestamp) -> String {
    shown_in(TimeZone::UTC, at).replace("+00:00", "Z")
}

fn shown_in(zone: TimeZone, at: Timestamp) -> String {
    let moment = Moment::from_millisecond(at.0).unwrap_or_default();
    moment.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The original's `NextCronTime`: a blank or unknown timezone is UTC, and `None` says that the
/// expression fires at no time.
pub fn next_cron_time(
    cron_expr: &str,
    after: Timestamp,
    timezone: &str,
) -> Result<Option<Timestamp>, String> {
    let zone = find_zone(timezone.trim()).unwrap_or(TimeZone::UTC);
    Ok(Rule::with_zone(cron_expr, zone)?.next_after(after))
}

/// The zone of a prefix, and the fields after it.
fn split_zone(text: &str) -> Result<(Option<&str>, &str), String> {
    let Some(rest) = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) else {
        return Ok((None, text));
    };
    let (name, fields) = rest
        .split_once(char::is_whitespace)
        .ok_or("expected 5 fields after the timezone, found 0")?;
    Ok((Some(name), fields))
}

fn find_zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok().filter(|zone| !zone.is_unknown())
}

fn unknown(name: &str) -> String {
    let shown = shortened(name, SHOWN_BYTES_MAX);
    format!("{shown:?} is no known timezone; expected an IANA name such as Europe/Vienna or UTC")
}

/// The next whole minute.
fn next_minute(wall: DateTime) -> Option<DateTime> {
    cut(wall).checked_add(1.minute()).ok()
}

/// This minute if it is whole, or the next one.
fn whole_minute(wall: DateTime) -> Option<DateTime> {
    let minute = cut(wall);
    if minute == wall { Some(wall) } else { next_minute(wall) }
}

/// Without its seconds.
fn cut(wall: DateTime) -> DateTime {
    wall.date().at(wall.hour(), wall.minute(), 0, 0)
}
