//! Random identifiers.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, text};

/// The random number of one backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(u64);

impl BackupId {
    /// A new one.
    pub fn random() -> Self {
        Self(random_u64())
    }

    /// The first eight digits, as listings show it.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 32)
    }
}

/// The random number of one wrapping of the secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

impl KeyId {
    /// A new one.
    pub fn random() -> Self {
        Self(random_u64())
    }

    /// The first eight digits, as listings show it.
    pub fn short(self) -> String {
        format!("{:08x}", self.0 >> 32)
    }
}

/// The random number of one unbroken chain of transactions: the LTX node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineageId(NonZeroU64);

impl LineageId {
    /// A new one.
    pub fn random() -> Self {
        Self(NonZeroU64::new(random_u64()).unwrap_or(NonZeroU64::MAX))
    }

    /// As the node id of LTX headers.
    pub fn node(self) -> u64 {
        self.0.get()
    }
}

/// The random number of a repository, 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryId(String);

impl RepositoryId {
    /// A new one.
    pub fn random() -> Self {
        Self(format!("{:016x}{:016x}", random_u64(), random_u64()))
    }
}

/// A random number of the operating system.
pub(crate) fn random_u64() -> u64 {
    // Without randomness nothing here may go on: keys would be drawn from the same source.
    getrandom::u64().unwrap_or_else(|error| panic!("no randomness from the system: {error}"))
}

fn hex16(text: &str, expected: &'static str) -> Result<u64> {
    let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    u64::from_str_radix(text, 16)
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| Error::Parse { expected, found: text.to_owned() })
}

impl fmt::Display for BackupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl FromStr for BackupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        hex16(text, "a backup id of 16 hex digits").map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        hex16(text, "a key id of 16 hex digits").map(Self)
    }
}

impl fmt::Display for LineageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl FromStr for LineageId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = "a lineage of 16 hex digits, not zero";
        let number = hex16(text, expected)?;
        NonZeroU64::new(number)
            .map(Self)
            .ok_or_else(|| Error::Parse { expected, found: text.to_owned() })
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RepositoryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = "a repository id of 32 hex digits";
        let refused = || Error::Parse { expected, found: text.to_owned() };
        let (high, low) = text.split_at_checked(16).ok_or_else(refused)?;
        hex16(high, expected).and(hex16(low, expected)).map_err(|_| refused())?;
        Ok(Self(text.to_owned()))
    }
}

macro_rules! in_documents {
    ($($id:ty),*) => {$(
        impl Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                text::serialize(self, to)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                text::deserialize(from)
            }
        }
    )*};
}

in_documents!(BackupId, KeyId, LineageId, RepositoryId);
