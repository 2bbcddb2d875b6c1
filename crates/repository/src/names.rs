//! Names of hosts and sources as parts of keys.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The most bytes that an encoded name has.
pub const MAX_NAME_BYTES: usize = 64;
/// What is kept of a longer one, before a hash of all of it.
const KEPT_BYTES: usize = 47;

/// Encodes a name of a host or source as a part of a key: `[a-z0-9._-]` stand for themselves,
/// everything else, and a leading dot, is percent-encoded. Upper-case letters are, because some
/// file systems do not tell them apart.
pub fn encode_name(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::Name { name: name.to_owned(), reason: "it is empty" });
    }
    let mut encoded = String::new();
    let mut kept = 0;
    for (at, byte) in name.bytes().enumerate() {
        if stands_for_itself(at, byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02x}");
        }
        if encoded.len() <= KEPT_BYTES {
            kept = encoded.len();
        }
    }
    if encoded.len() > MAX_NAME_BYTES {
        encoded.truncate(kept);
        encoded.push('-');
        for byte in &Sha256::digest(name)[..8] {
            let _ = write!(encoded, "{byte:02x}");
        }
    }
    Ok(encoded)
}

/// Whether a byte needs no escape at this place of a name.
fn stands_for_itself(at: usize, byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') || byte == b'.' && at > 0
}

/// Whether a part of a key is one that [`encode_name`] writes. Others are not ours.
pub(crate) fn is_encoded_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'%' {
            if !stands_for_itself(at, byte) {
                return false;
            }
            at += 1;
            continue;
        }
        let escaped = match bytes.get(at + 1..at + 3) {
            Some(&[high, low]) => hex_digit(high).zip(hex_digit(low)),
            _ => None,
        };
        if escaped.is_none_or(|(high, low)| stands_for_itself(at, high << 4 | low)) {
            return false;
        }
        at += 3;
    }
    (1..=MAX_NAME_BYTES).contains(&bytes.len())
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{encode_name, is_encoded_name};

    /// The table of `docs/format.md`.
    #[test]
    fn encodes_as_documented() {
        let long = "x".repeat(65);
        let cases = [
            ("app", "app".to_owned()),
            ("Pi Kitchen", "%50i%20%4bitchen".to_owned()),
            (".hidden", "%2ehidden".to_owned()),
            ("..", "%2e.".to_owned()),
            ("büro/1", "b%c3%bcro%2f1".to_owned()),
            (long.as_str(), format!("{}-9537c5fdf120482f", "x".repeat(47))),
            (
                "Überwachungskamera Garten Nordost, Einfahrt und Fahrradkeller",
                "%c3%9cberwachungskamera%20%47arten%20%4eordost-dd75987270892fd8".to_owned(),
            ),
        ];
        for (name, encoded) in cases {
            assert_eq!(encode_name(name).unwrap(), encoded);
            assert!(is_encoded_name(&encoded), "{encoded}");
        }
        assert!(encode_name("").is_err());
    }

    #[test]
    fn what_is_never_written_is_not_ours() {
        let long = "x".repeat(65);
        let others = ["", ".a", "A", "a b", "%", "%4", "%4A", "%61", "a%2e", "%é", &long];
        for text in others {
            assert!(!is_encoded_name(text), "{text}");
        }
    }
}
