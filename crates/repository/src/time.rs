//! Moments in milliseconds, as they stand in names and documents.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, text};

/// A moment, to the millisecond, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// This moment by the machine's clock.
    pub fn now() -> Self {
        Self::from_millis(Timestamp::now().as_millisecond())
    }

    /// The moment this many milliseconds after the beginning of 1970; moments that names cannot
    /// hold (before 1970, near the end of 9999 and after) become the nearest that they can.
    pub fn from_millis(millis: i64) -> Self {
        let last = Timestamp::MAX.as_second() * 1000;
        Self(Timestamp::from_millisecond(millis.clamp(0, last)).unwrap_or_default())
    }

    /// A moment of a storage's listing, its fraction of a millisecond left out.
    pub fn from_system(moment: SystemTime) -> Self {
        let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The moment for a storage.
    pub fn system(self) -> SystemTime {
        SystemTime::from(self.0)
    }

    /// How many whole seconds ago it was; 0 for what lies ahead.
    pub fn age_seconds(self) -> u64 {
        Self::now().millis().saturating_sub(self.millis()).max(0).unsigned_abs() / 1000
    }

    /// This much later, or as late as names can hold.
    #[must_use]
    pub fn after(self, period: Duration) -> Self {
        Self::from_millis(self.millis().saturating_add(whole_millis(period)))
    }

    /// Milliseconds since the beginning of 1970.
    pub fn millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The moment for calendars and time zones.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    /// As it stands in keys: `20261121T024900.123Z`.
    pub fn name(self) -> String {
        self.0.strftime("%Y%m%dT%H%M%S.%3fZ").to_string()
    }

    /// Reads the form of keys.
    pub fn from_name(name: &str) -> Result<Self> {
        let refused =
            || Error::Parse { expected: "a time like 20261121T024900.123Z", found: name.into() };
        let shape = name.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'.',
            19 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
        if name.len() != 20 || !shape {
            return Err(refused());
        }
        let (date, clock) = (&name[..8], &name[9..]);
        let text = format!(
            "{}-{}-{}T{}:{}:{}",
            &date[..4],
            &date[4..6],
            &date[6..],
            &clock[..2],
            &clock[2..4],
            &clock[4..]
        );
        let time: Self = text.parse().map_err(|_| refused())?;
        // A leap second is read as the second before it: two names for one moment.
        if time.name() == name { Ok(time) } else { Err(refused()) }
    }
}

/// The milliseconds of a period; one that is longer than a clock can count is as long as it can.
pub(crate) fn whole_millis(period: Duration) -> i64 {
    i64::try_from(period.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

impl FromStr for Time {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::Parse { expected: "an RFC 3339 time", found: text.to_owned() };
        let timestamp: Timestamp = text.parse().map_err(|_| refused())?;
        let time = Self::from_millis(timestamp.as_millisecond());
        if time.millis() == timestamp.as_millisecond() { Ok(time) } else { Err(refused()) }
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn names_and_documents_hold_the_same_moment() {
        let time = Time::from_millis(1_795_229_340_123);
        assert_eq!(time.name(), "20261121T024900.123Z");
        assert_eq!(time.to_string(), "2026-11-21T02:49:00.123Z");
        assert_eq!(Time::from_name("20261121T024900.123Z").unwrap(), time);
        assert_eq!("2026-11-21T03:49:00.123+01:00".parse::<Time>().unwrap(), time);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "20261121T024900Z",
            "20261321T024900.123Z",
            "20261121 024900.123Z",
            "2026112éT024900.12Z",
            "20161231T235960.000Z",
            "19691231T235959.999Z",
            "99991231T000000.000Z",
        ] {
            assert!(Time::from_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_beyond_names_are_clamped() {
        assert_eq!(Time::from_millis(-5).millis(), 0);
        let last = Time::from_millis(i64::MAX);
        assert_eq!(last.name(), "99991230T220000.000Z");
        assert_eq!(Time::from_name(&last.name()).unwrap(), last);
    }
}
