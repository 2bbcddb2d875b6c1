//! Keys, and the names in them: what is read is written the same.

use std::collections::BTreeMap;

use lifeboat_repository::{
    BackupId, BackupName, LineageId, MAX_NAME_BYTES, RepositoryId, Time, encode_name, rewrite_key,
};
use lifeboat_storage::Key;

/// Names as they are written, to be edited: a change in the right place is rare in arbitrary text.
const WRITTEN: [&str; 8] = [
    "backups/pi%20/20261121T024900.123Z-0123456789abcdef.1.json.zst.age",
    "databases/pi/app/00000000000000ab/ltx/9/0000000000000001-000000000000000a-20261121T024900.123Z.ltx.zst.age",
    "databases/pi/app/00000000000000ab/ltx/0/0000000000000001-000000000000000a-20261121T024900.123Z.ltx.zst.age.0002.last",
    "databases/pi/app/00000000000000ab/pins/0000000000000001-0123456789abcdef",
    "20261121T024900.123Z",
    "0000000000000001-00000000000000ff.ltx",
    "backups/pi/20261121T024900.123Z-0123456789abcdef.2.json.zst",
    "databases/pi/app/00000000000000ab/ltx/0/0000000000000002-0000000000000002.ltx",
];

/// The first byte says whether the rest is any text, or edits of a name.
pub fn names(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    match usize::from(*mode).checked_sub(1) {
        None => {
            if let Ok(text) = std::str::from_utf8(rest) {
                examine(text);
            }
        }
        Some(number) => examine(&edited(WRITTEN[number % WRITTEN.len()], rest)),
    }
}

/// Each edit has three bytes: where, what is done, and a character. At most four are made.
fn edited(name: &str, edits: &[u8]) -> String {
    let mut name: Vec<char> = name.chars().collect();
    for edit in edits.chunks_exact(3).take(4) {
        let at = usize::from(edit[0]) % name.len();
        let character = char::from(edit[2] & 0x7f);
        match edit[1] % 3 {
            0 => name[at] = character,
            1 => name.insert(at, character),
            _ if name.len() > 1 => drop(name.remove(at)),
            _ => {}
        }
    }
    name.into_iter().collect()
}

fn examine(text: &str) {
    if let Ok(key) = text.parse::<Key>() {
        assert_eq!(key.as_str(), text);
        for written in rewrite_key(&key) {
            assert_eq!(written, key);
        }
        if let Some(name) = BackupName::parse(&key) {
            assert_eq!(name.key().expect("it was one"), key);
        }
    }
    for part in text.split(['/', '-', '.']).chain([text]) {
        identifiers(part);
    }
    if let Ok(time) = Time::from_name(text) {
        assert_eq!(time.name(), text);
        assert_eq!(time.to_string().parse::<Time>().expect("RFC 3339"), time);
    }
    if let Some(range) = lifeboat_ltx::parse_name(text) {
        assert_eq!(lifeboat_ltx::format_name(range), text);
    }
    // Any two names of one input have keys of their own.
    let mut keys = BTreeMap::new();
    for name in text.split('/').chain([text]) {
        encode(name, &mut keys);
    }
}

fn identifiers(text: &str) {
    macro_rules! same {
        ($($type:ty),*) => {$(
            if let Ok(id) = text.parse::<$type>() {
                assert_eq!(id.to_string(), text);
            }
        )*};
    }
    same!(BackupId, LineageId, RepositoryId, lifeboat_ltx::Txid, lifeboat_ltx::Checksum);
}

fn encode<'a>(name: &'a str, keys: &mut BTreeMap<String, &'a str>) {
    let Ok(encoded) = encode_name(name) else {
        assert!(name.is_empty());
        return;
    };
    assert!(!encoded.is_empty() && encoded.len() <= MAX_NAME_BYTES);
    assert_eq!(encoded.to_lowercase(), encoded);
    let key: Key = format!("backups/{encoded}/x").parse().expect("a part of a key");
    assert_eq!(key.as_str().split('/').nth(1), Some(encoded.as_str()));
    let other = *keys.entry(encoded.clone()).or_insert(name);
    assert_eq!(other, name, "two names have one key");
    if let Some(plain) = decode(&encoded)
        && !encoded.contains('-')
    {
        assert_eq!(plain, name.as_bytes());
    }
}

/// Undoes the escapes.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let mut parts = encoded.split('%');
    let mut plain = parts.next()?.as_bytes().to_vec();
    for part in parts {
        plain.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        plain.extend(&part.as_bytes()[2..]);
    }
    Some(plain)
}
