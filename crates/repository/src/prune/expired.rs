//! `forgotten/<time of forgetting>/<host>/<manifest>`: manifests that could be brought back.

use lifeboat_storage::Key;

use super::{Doomed, PruneOptions, Why};
use crate::document::key;
use crate::{BackupName, Repository, Result, Time};

/// Those that were forgotten longer ago than the grace period.
pub(super) fn expired(repository: &Repository, options: &PruneOptions) -> Result<Vec<Doomed>> {
    let entries = repository.storage().list(Some(&key("forgotten")?))?.into_iter();
    let is_over = |time: Time| time.after(options.grace) <= options.now;
    Ok(entries
        .filter(|entry| forgotten_at(&entry.key).is_some_and(is_over))
        .map(|entry| Doomed { key: entry.key, size: entry.size, why: Why::Forgotten })
        .collect())
}

/// When a manifest was forgotten; `None` for keys of another pattern.
pub(super) fn forgotten_at(entry: &Key) -> Option<Time> {
    let (time, rest) = entry.as_str().strip_prefix("forgotten/")?.split_once('/')?;
    BackupName::parse(&key(format!("backups/{rest}")).ok()?)?;
    Time::from_name(time).ok()
}
