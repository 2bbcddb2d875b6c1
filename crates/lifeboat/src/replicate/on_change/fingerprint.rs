//! What the files of a source look like from outside.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;

use lifeboat_files::{Entry, Kind, WalkItem};
use lifeboat_sqlite::SIDECARS;
use sha2::{Digest, Sha256};

use crate::config::FilesConfig;
use crate::files::{Attributes, walk};
use crate::sources::inside::is_database;
use crate::{Context, Result};

/// A hash of all names, kinds, sizes, times, owners and permissions; no content is read. Databases do not count:
/// they change all the time, and are protected continuously.
pub(super) fn fingerprint(context: &Context, config: &FilesConfig) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut databases: HashSet<Vec<u8>> = HashSet::new();
    for item in walk(context, config, Attributes::Leave, None)? {
        match item {
            WalkItem::Enter(entry) => add(&mut hasher, &Entry { kind: Kind::Directory, ..entry }),
            WalkItem::Entry(entry) => add(&mut hasher, &entry),
            WalkItem::File(file) => {
                let path = file.entry.path.as_os_str().as_bytes();
                // What is beside a database comes after it, and others may come between.
                let is_beside = |suffix: &&str| {
                    path.strip_suffix(suffix.as_bytes()).is_some_and(|one| databases.contains(one))
                };
                if SIDECARS.iter().any(is_beside) {
                    continue;
                }
                if config.databases != Some(false) && is_database(&file) {
                    databases.insert(path.to_vec());
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Environment, Overrides};

    #[test]
    fn what_is_beside_a_database_does_not_count_whatever_comes_between() {
        let home = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &[u8]| fs::write(home.path().join(name), content).unwrap();
        let mut database = b"SQLite format 3\0".to_vec();
        database.resize(4096, 0);
        write("app.db", &database);
        write("app.db-backup", &database);
        write("app.db-wal", b"one");
        write("other-wal", b"one");
        let environment = Environment::of([("HOME", home.path())], home.path());
        let context = Context::load(environment, Overrides::default()).unwrap();
        let config = FilesConfig::of(vec![home.path().to_owned()]);
        let look = || fingerprint(&context, &config).unwrap();
        let first = look();
        write("app.db-wal", b"more than one");
        assert_eq!(look(), first);
        write("other-wal", b"more than one");
        assert_ne!(look(), first);
    }
}
