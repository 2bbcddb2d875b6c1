//! Ages in years, months, days and hours, as restic writes them: `1y2m3d4h`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, text};

/// The most of one unit: what comes before it is no date any more.
const MOST: u32 = 99_999;

/// How old a backup may be. Its text is `1y2m3d4h`, in any order, each unit at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    /// Calendar years.
    pub years: u32,
    /// Calendar months.
    pub months: u32,
    /// Calendar days: 23 or 25 hours long when the clocks change.
    pub days: u32,
    /// Hours.
    pub hours: u32,
}

impl Age {
    /// An age of days.
    pub fn of_days(days: u32) -> Self {
        Self { days, ..Self::default() }
    }

    /// Whether it is no age at all.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `time` is later than this long before `newest`; without a newest, everything is.
    pub(super) fn reaches(
        &self,
        newest: Option<Timestamp>,
        time: Timestamp,
        zone: &TimeZone,
    ) -> bool {
        let begin = newest.and_then(|newest| self.before(newest, zone));
        begin.is_none_or(|begin| time > begin)
    }

    /// The moment this long before another; `None` if it lies before all dates.
    fn before(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let wall = moment.to_zoned(zone.clone()).datetime();
        let months = i64::from(wall.year()) * 12 + i64::from(wall.month())
            - 1
            - i64::from(self.years) * 12
            - i64::from(self.months);
        let year = i16::try_from(months.div_euclid(12)).ok()?;
        let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
        // A day that the month does not have counts on into the next one, as in restic: a month
        // before 31 March is 3 March.
        let first = Date::new(year, month, 1).ok()?;
        let days = i64::from(wall.day()) - 1 - i64::from(self.days);
        let date = first.checked_add(Span::new().try_days(days).ok()?).ok()?;
        let moment = instant(date.to_datetime(wall.time()), zone)?;
        moment.checked_sub(SignedDuration::from_hours(i64::from(self.hours))).ok()
    }
}

/// The moment of a time on the wall. Where the clocks go back and it comes twice, or forward and it
/// does not come, the choice is that of Go's `time.Date`, which restic's results show.
fn instant(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let guess = TimeZone::UTC.to_timestamp(wall).ok()?;
    let offset = zone.to_offset(guess);
    let moment = offset.to_timestamp(wall).ok()?;
    match zone.to_offset(moment) {
        same if same == offset => Some(moment),
        other => other.to_timestamp(wall).ok(),
    }
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { years, months, days, hours } = *self;
        for (number, unit) in [(years, 'y'), (months, 'm'), (days, 'd'), (hours, 'h')] {
            if number > 0 {
                write!(formatter, "{number}{unit}")?;
            }
        }
        if self.is_zero() { formatter.write_str("0h") } else { Ok(()) }
    }
}

impl FromStr for Age {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::Parse { expected: "an age like 1y2m3d4h", found: text.to_owned() };
        let mut age = Self::default();
        let mut seen = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
            let number = rest[..digits].parse().ok().filter(|number| *number <= MOST);
            let unit = rest[digits..].chars().next().ok_or_else(refused)?;
            let place = match unit {
                'y' => &mut age.years,
                'm' => &mut age.months,
                'd' => &mut age.days,
                'h' => &mut age.hours,
                _ => return Err(refused()),
            };
            if seen.contains(unit) {
                return Err(refused());
            }
            seen.push(unit);
            *place = number.ok_or_else(refused)?;
            rest = &rest[digits + unit.len_utf8()..];
        }
        if text.is_empty() { Err(refused()) } else { Ok(age) }
    }
}

impl Serialize for Age {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::deserialize(from)
    }
}
