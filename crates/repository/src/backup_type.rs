//! What kind of backup one is, as its owner calls it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// No type is longer than this, in bytes.
const MAX_BYTES: usize = 32;

/// A word for backups that rules count by themselves: `full`, `incremental`, `config`, or any other
/// of lower-case letters, digits and `-`. What a backup stores does not depend on it.
///
/// What stands in a manifest is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackupType(String);

impl BackupType {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > MAX_BYTES || !text.bytes().all(fits) {
            let expected = "a type of a-z, 0-9 and -, as in full, incremental or config";
            return Err(Error::Parse { expected, found: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BackupType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::BackupType;

    #[test]
    fn types_are_words() {
        for text in ["full", "incremental", "config", "pre-2026", "7"] {
            assert_eq!(text.parse::<BackupType>().unwrap().as_str(), text);
        }
        for text in ["", "Full", "a b", "a_b", "ü", &"x".repeat(33)] {
            assert!(text.parse::<BackupType>().is_err(), "{text}");
        }
        // Another version may know more.
        assert_eq!(serde_json::from_str::<BackupType>("\"A b\"").unwrap().as_str(), "A b");
    }
}
