//! `deletions/<time>-<id>.json.zst.age`: what was announced for removal.
//!
//! This version removes nothing, but obeys the notices it finds: an object that one of them names
//! may be gone.

use std::collections::HashSet;

use lifeboat_storage::{Key, Storage};
use serde::Deserialize;

use crate::sealed::{key, parse_versioned, read_sealed};
use crate::{BackupId, Error, Result, Secrets, Time};

const DELETION_VERSION: u32 = 1;

#[derive(Deserialize)]
struct Deletion {
    id: BackupId,
    objects: Vec<DeletedObject>,
}

#[derive(Deserialize)]
struct DeletedObject {
    key: String,
}

/// The keys of all notices.
pub(crate) fn deletions(storage: &dyn Storage) -> Result<Vec<Key>> {
    let entries = storage.list(Some(&key("deletions")?))?;
    let keys = entries.into_iter().map(|entry| entry.key);
    Ok(keys.filter(|key| id_of(key).is_some()).collect())
}

/// Adds what a notice names.
pub(crate) fn read_deletion(
    storage: &dyn Storage,
    key: &Key,
    secrets: &Secrets,
    deleted: &mut HashSet<String>,
) -> Result<()> {
    let bytes = read_sealed(storage, key, secrets)?;
    let deletion: Deletion = parse_versioned(storage, key, &bytes, DELETION_VERSION)?;
    if Some(deletion.id) != id_of(key) {
        return Err(Error::corrupt(key, format!("its content belongs to id {}", deletion.id)));
    }
    deleted.extend(deletion.objects.into_iter().map(|object| object.key));
    Ok(())
}

/// The id in a notice's name; it has the form of a backup's.
fn id_of(key: &Key) -> Option<BackupId> {
    let name = key.as_str().strip_prefix("deletions/")?.strip_suffix(".json.zst.age")?;
    let (time, id) = name.split_once('-')?;
    Time::from_name(time).ok()?;
    id.parse().ok()
}
