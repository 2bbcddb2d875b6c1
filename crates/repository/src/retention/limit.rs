//! How many backups a rule keeps.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{Error, Result};

/// A number of backups, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many; 0: the rule keeps nothing.
    Newest(u32),
    /// All.
    Unlimited,
}

impl Default for Limit {
    fn default() -> Self {
        Self::Newest(0)
    }
}

impl Limit {
    /// Whether the rule keeps nothing (more).
    pub fn is_none(&self) -> bool {
        *self == Self::Newest(0)
    }

    pub(super) fn use_up(&mut self) {
        if let Self::Newest(left) = self {
            *left = left.saturating_sub(1);
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest(number) => write!(formatter, "{number}"),
            Self::Unlimited => formatter.write_str("unlimited"),
        }
    }
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let refused =
            || Error::Parse { expected: "a number or \"unlimited\"", found: text.to_owned() };
        text.parse().map(Self::Newest).map_err(|_| refused())
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Newest(number) => to.serialize_u32(*number),
            Self::Unlimited => to.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NumberOrWord;
        impl Visitor<'_> for NumberOrWord {
            type Value = Limit;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number or \"unlimited\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Limit, E> {
                let refused = |_| E::invalid_value(Unexpected::Signed(number), &self);
                u32::try_from(number).map(Limit::Newest).map_err(refused)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Limit, E> {
                let refused = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
                u32::try_from(number).map(Limit::Newest).map_err(refused)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Limit, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        from.deserialize_any(NumberOrWord)
    }
}
