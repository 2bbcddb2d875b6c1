//! Keys read and written again: readers and writers of names must agree on every one.

use std::time::SystemTime;

use lifeboat_storage::Key;

use crate::tree::split;
use crate::{BackupName, DatabaseAddress, Form, LtxName};

/// The key as each reader that knows it would write it. For fuzzing: all are the key itself.
#[doc(hidden)]
#[must_use]
pub fn rewrite_key(key: &Key) -> Vec<Key> {
    let mut written = Vec::new();
    written.extend(BackupName::parse(key).and_then(|name| name.key().ok()));
    if let Some((host, name, id, path)) = split(key) {
        let Ok(lineage) = DatabaseAddress::encoded(host, name).and_then(|it| it.lineage(id)) else {
            return written;
        };
        written.extend(lineage.key().join(path));
        for form in [Form::Sealed, Form::Litestream] {
            let file = path.strip_prefix("ltx/");
            let parsed = file.and_then(|file| LtxName::parse(form, file, SystemTime::UNIX_EPOCH));
            written.extend(parsed.and_then(|(ltx, part)| ltx.key(form, lineage.key(), part).ok()));
        }
        if let Some((txid, backup)) = lineage.parse_pin(key) {
            written.extend(lineage.pin(txid, backup));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::rewrite_key;
    use crate::document::key;

    #[test]
    fn readers_and_writers_agree() {
        let lineage = "databases/pi%2d/app/00000000000000ab";
        let ltx = "ltx/0/0000000000000001-000000000000000a-20261121T024900.123Z.ltx.zst.age";
        for (text, readers) in [
            ("backups/pi/20261121T024900.123Z-0123456789abcdef.1.json.zst.age".to_owned(), 1),
            (format!("databases/pi/app/00000000000000ab/{ltx}"), 2),
            (format!("databases/pi/app/00000000000000ab/{ltx}.0002.last"), 2),
            ("databases/pi/app/00000000000000ab/pins/0000000000000001-0123456789abcdef".into(), 2),
            ("backups/pi/20261121T024900.123Z-0123456789abcdef.1.json.zst".into(), 1),
            (
                "databases/pi/app/00000000000000ab/ltx/9/0000000000000001-0000000000000002.ltx"
                    .into(),
                2,
            ),
            (format!("{lineage}/{ltx}"), 0),
            ("lifeboat.json".to_owned(), 0),
        ] {
            let key = key(&text).unwrap();
            assert_eq!(rewrite_key(&key), vec![key.clone(); readers], "{text}");
        }
    }
}
