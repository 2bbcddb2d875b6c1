//! What the files of a source look like from outside.

use std::os::unix::ffi::OsStrExt;

use lifeboat_files::{Entry, Kind, WalkItem};
use sha2::{Digest, Sha256};

use crate::config::FilesConfig;
use crate::files::{Attributes, walk};
use crate::sources::inside::is_database;
use crate::{Context, Result};

/// A hash of all names, kinds, sizes, times, owners and permissions; no content is read. Databases do not count:
/// they change all the time, and are protected continuously.
pub(super) fn fingerprint(context: &Context, config: &FilesConfig) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut database: Option<Vec<u8>> = None;
    for item in walk(context, config, Attributes::Leave, None)? {
        match item {
            WalkItem::Enter(entry) => add(&mut hasher, &Entry { kind: Kind::Directory, ..entry }),
            WalkItem::Entry(entry) => add(&mut hasher, &entry),
            WalkItem::File(file) => {
                let path = file.entry.path.as_os_str().as_bytes();
                let is_beside = |database: &Vec<u8>| {
                    path.strip_prefix(database.as_slice())
                        .is_some_and(|rest| matches!(rest, b"-wal" | b"-shm" | b"-journal"))
                };
                if database.as_ref().is_some_and(is_beside) {
                    continue;
                }
                if config.databases != Some(false) && is_database(&file) {
                    database = Some(path.to_vec());
                    continue;
                }
                add(&mut hasher, &file.entry);
            }
            WalkItem::Leave
            | WalkItem::LeftOut { .. }
            | WalkItem::Vanished(_)
            | WalkItem::Problem(_) => {}
        }
    }
    Ok(format!("{:x}", hasher.finalize()))
}

fn add(hasher: &mut Sha256, entry: &Entry) {
    let path = entry.path.as_os_str().as_bytes();
    hasher.update((path.len() as u64).to_le_bytes());
    hasher.update(path);
    let metadata = &entry.metadata;
    let (kind, target): (u8, &[u8]) = match &entry.kind {
        // A directory changes with each name that comes and goes in it, be it left out: its names count.
        Kind::Directory => (0, &[]),
        Kind::File => (1, &[]),
        Kind::Symlink { target } => (2, target.as_bytes()),
        _ => (3, &[]),
    };
    hasher.update([kind]);
    hasher.update((target.len() as u64).to_le_bytes());
    hasher.update(target);
    for number in [metadata.permissions, metadata.user_id, metadata.group_id] {
        hasher.update(number.to_le_bytes());
    }
    if kind != 0 {
        hasher.update(metadata.size.to_le_bytes());
        hasher.update(metadata.modified.seconds.to_le_bytes());
        hasher.update(metadata.modified.nanoseconds.to_le_bytes());
    }
}
