//! Spans of time and sizes, as a configuration and a command line spell them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, at least 10 ms: `500ms`, `1s`, `5m`, `1h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

/// A number of bytes: `65536`, `64KiB`, `64MiB`, `2GiB`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteLimit(Option<u64>);

const TIMES: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Interval {
    /// Of a duration, in whole milliseconds.
    pub fn new(duration: Duration) -> Self {
        Self(duration)
    }

    /// The duration.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl ByteLimit {
    /// The bytes; `None` for `off`.
    pub fn get(self) -> Option<u64> {
        self.0
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = scaled(text, &TIMES).filter(|millis| *millis >= 10);
        let millis = millis
            .ok_or_else(|| format!("expected a time like 1s or 5m, at least 10ms, found {text:?}"));
        Ok(Self(Duration::from_millis(millis?)))
    }
}

impl FromStr for ByteLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let bytes = scaled(text, &SIZES).or_else(|| text.parse().ok());
        let bytes =
            bytes.ok_or_else(|| format!("expected a size like 64MiB or off, found {text:?}"));
        Ok(Self(Some(bytes?)))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let fits = |unit: &&(&str, u64)| millis.is_multiple_of(unit.1);
        let (unit, size) = TIMES.iter().rev().find(fits).unwrap_or(&TIMES[0]);
        write!(formatter, "{}{unit}", millis / size)
    }
}

impl fmt::Display for ByteLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else { return formatter.write_str("off") };
        let fits = |unit: &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(unit.1);
        let (unit, size) = SIZES.iter().find(fits).unwrap_or(&SIZES[4]);
        write!(formatter, "{}{unit}", bytes / size)
    }
}

/// A whole number and its unit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, size) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*size)
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(super) use as_text;

as_text!(Interval);
as_text!(ByteLimit);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ByteLimit, Interval};

    #[test]
    fn times_and_sizes_are_read_and_written() {
        for (text, millis, written) in [
            ("1s", 1_000, "1s"),
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "90s"),
            ("5m", 300_000, "5m"),
            ("60m", 3_600_000, "1h"),
            ("2 h", 7_200_000, "2h"),
        ] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.get(), Duration::from_millis(millis));
            assert_eq!(interval.to_string(), written);
        }
        for wrong in ["", "1", "s", "0s", "9ms", "1.5s", "-1s", "1 week", "99999999999999999999s"] {
            assert!(wrong.parse::<Interval>().is_err(), "{wrong}");
        }
        for (text, bytes, written) in [
            ("64MiB", Some(64 << 20), "64MiB"),
            ("1 GiB", Some(1 << 30), "1GiB"),
            ("1000", Some(1000), "1000B"),
            ("0", Some(0), "0B"),
            ("off", None, "off"),
        ] {
            let limit: ByteLimit = text.parse().unwrap();
            assert_eq!((limit.get(), limit.to_string().as_str()), (bytes, written));
        }
        for wrong in ["", "on", "64MB", "-1", "1e3"] {
            assert!(wrong.parse::<ByteLimit>().is_err(), "{wrong}");
        }
    }
}
