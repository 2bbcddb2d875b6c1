//! Names of what a repository consists of: 32 bytes, written as 64 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Length of an id in bytes.
pub(crate) const ID_BYTES: usize = 32;

/// The id in `text`, which must be 64 lower-case hex digits.
pub(crate) fn parse_hex(text: &str) -> Option<[u8; ID_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * ID_BYTES {
        return None;
    }
    let mut bytes = [0; ID_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Gives `use_text` the hex digits of `bytes`, without a `String` for them.
fn with_hex<T>(bytes: &[u8; ID_BYTES], use_text: impl FnOnce(&str) -> T) -> T {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 2 * ID_BYTES];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    use_text(std::str::from_utf8(&text).unwrap_or_default())
}

/// Reads an id without a `String` in between: an index has hundreds of thousands of them.
struct HexVisitor;

impl de::Visitor<'_> for HexVisitor {
    type Value = [u8; ID_BYTES];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 lower-case hex digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        parse_hex(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_BYTES]);

        impl $name {
            /// The SHA-256 of `bytes`.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The 32 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; ID_BYTES] {
                &self.0
            }

            /// The first eight digits, by which people call it.
            #[must_use]
            pub fn short(&self) -> String {
                with_hex(&self.0, |text| text[..8].to_owned())
            }
        }

        impl From<[u8; ID_BYTES]> for $name {
            fn from(bytes: [u8; ID_BYTES]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                with_hex(&self.0, |text| f.write_str(text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        /// 64 lower-case hex digits; [`Error::Corrupt`] for anything else.
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse_hex(text).map(Self).ok_or_else(|| {
                    Error::corrupt(format!("id {text:?}"), "not 64 lower-case hex digits")
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                with_hex(&self.0, |text| serializer.serialize_str(text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(HexVisitor).map(Self)
            }
        }
    };
}

id! {
    /// A blob: the SHA-256 of its plain bytes, be it a piece of a file or a directory.
    BlobId
}
id! {
    /// A directory: the SHA-256 of its JSON; the id of a tree blob.
    TreeId
}
id! {
    /// A pack: the SHA-256 of its stored bytes, as of all that follow.
    PackId
}
id! {
    /// An index object.
    IndexId
}
id! {
    /// A snapshot.
    SnapshotId
}
id! {
    /// A key file.
    KeyId
}
id! {
    /// A lock.
    LockId
}
id! {
    /// A repository: random.
    RepositoryId
}

impl From<TreeId> for BlobId {
    fn from(id: TreeId) -> Self {
        Self(id.0)
    }
}

impl From<BlobId> for TreeId {
    fn from(id: BlobId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn is_64_digits_as_text_and_in_json() {
        let id = BlobId::of(b"abc");
        assert_eq!((id.to_string().as_str(), id.short().as_str()), (ABC, "ba7816bf"));
        assert_eq!(ABC.parse::<BlobId>().unwrap(), id);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{ABC}\""));
        assert_eq!(serde_json::from_str::<BlobId>(&json).unwrap(), id);
    }

    #[test]
    fn refuses_what_is_no_id() {
        let upper = ABC.to_uppercase();
        let strange = format!("{}ä", &ABC[..62]);
        for text in ["", &ABC[1..], &format!("{ABC}0"), &upper, &strange, &ABC.replace('b', "g")] {
            let error = text.parse::<PackId>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
            assert!(serde_json::from_str::<PackId>(&format!("{text:?}")).is_err());
        }
    }
}
