//! Transaction numbers.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::{Error, Result};

/// The number of a captured state of a database, from 1. Written as 16 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Txid(NonZeroU64);

impl Txid {
    /// The first state of a lineage; a file that starts here holds every page.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// `None` for zero.
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The bare number.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The state after this one; `None` after the last that the format can count.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Txid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Txid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex16(text).and_then(Self::new).ok_or_else(|| Error::Parse {
            expected: "a transaction number of 16 lower-case hex digits, not zero",
            found: text.to_owned(),
        })
    }
}

/// The transactions that a file covers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxidRange {
    min: Txid,
    max: Txid,
}

impl TxidRange {
    /// `None` unless `min <= max`.
    pub fn new(min: Txid, max: Txid) -> Option<Self> {
        (min <= max).then_some(Self { min, max })
    }

    /// A single transaction.
    pub const fn single(txid: Txid) -> Self {
        Self { min: txid, max: txid }
    }

    /// From the first transaction to `max`: the range of a base.
    pub const fn base(max: Txid) -> Self {
        Self { min: Txid::FIRST, max }
    }

    /// The first transaction covered.
    pub const fn min(self) -> Txid {
        self.min
    }

    /// The last transaction covered: the state that the file leaves behind.
    pub const fn max(self) -> Txid {
        self.max
    }

    /// Whether a file of this range needs nothing before it, and so must hold every page.
    pub fn is_base(self) -> bool {
        self.min == Txid::FIRST
    }
}

impl fmt::Display for TxidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// Exactly 16 lower-case hex digits: one spelling per number, as names must be comparable as text.
pub(crate) fn parse_hex16(text: &str) -> Option<u64> {
    let well_formed =
        text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if well_formed { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_16_lower_case_hex_digits() {
        let txid = Txid::new(0x2f).expect("not zero");
        assert_eq!(txid.to_string(), "000000000000002f");
        assert_eq!("000000000000002f".parse::<Txid>().expect("well-formed"), txid);
        for text in [
            "",
            "2f",
            "000000000000002F",
            "0000000000000000",
            "+00000000000002f",
            "é0000000000002f",
        ] {
            assert!(text.parse::<Txid>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_are_ordered() {
        let (one, two) = (Txid::FIRST, Txid::FIRST.next().expect("small"));
        assert!(TxidRange::new(two, one).is_none());
        assert!(TxidRange::new(one, two).expect("ordered").is_base());
        assert!(!TxidRange::single(two).is_base());
        assert_eq!(TxidRange::base(two).to_string(), "0000000000000001-0000000000000002");
        assert!(Txid::new(u64::MAX).expect("not zero").next().is_none());
    }
}
