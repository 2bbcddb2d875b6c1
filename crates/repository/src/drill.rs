//! `drills/<host>/<time>-<backup id>-<passed|failed>-<id>.json.zst.age`: what drills showed, as far
//! as names say it.

use std::collections::HashSet;

use lifeboat_storage::Key;

use crate::document::key;
use crate::names::is_encoded_name;
use crate::{BackupId, Repository, Result, Time};

/// The backups that passed a drill.
pub fn passed_drills(repository: &Repository) -> Result<HashSet<BackupId>> {
    let entries = repository.storage().list(Some(&key("drills")?))?;
    Ok(entries.iter().filter_map(|entry| passed(&entry.key)).collect())
}

fn passed(key: &Key) -> Option<BackupId> {
    let (host, file) = key.as_str().strip_prefix("drills/")?.split_once('/')?;
    let stem = file.strip_suffix(".age").unwrap_or(file).strip_suffix(".json.zst")?;
    let mut fields = stem.split('-');
    let time = Time::from_name(fields.next()?).is_ok();
    let backup = fields.next()?.parse().ok()?;
    let passed = fields.next()? == "passed";
    let id = fields.next()?.parse::<BackupId>().is_ok();
    (is_encoded_name(host) && time && passed && id && fields.next().is_none()).then_some(backup)
}

#[cfg(test)]
mod tests {
    use super::passed;
    use crate::document::key;

    #[test]
    fn names_say_who_passed() {
        let backup = "0123456789abcdef";
        let name = |host: &str, result: &str, end: &str| {
            format!("drills/{host}/20261121T024900.123Z-{backup}-{result}-fedcba9876543210{end}")
        };
        let is_passed = |text: String| passed(&key(text).unwrap());
        let end = ".json.zst.age";
        assert_eq!(is_passed(name("pi", "passed", end)), Some(backup.parse().unwrap()));
        for other in [
            name("pi", "failed", end),
            name("Pi", "passed", end),
            name("pi", "passed", ".json"),
            name("pi", "passed-1", end),
            format!("drills/pi/x-{backup}-passed-{backup}{end}"),
        ] {
            assert_eq!(is_passed(other.clone()), None, "{other}");
        }
    }
}
