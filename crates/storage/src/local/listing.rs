//! What a directory shows of itself.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

use super::directory;
use crate::{Child, Entry, Key};

/// All objects below `path`, in the order of their keys. What others remove meanwhile may be left
/// out.
pub(super) fn list(root: &OwnedFd, path: Option<&Key>) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut waiting = vec![path.cloned()];
    while let Some(path) = waiting.pop() {
        let Some(directory) = directory::open_below(root.try_clone()?, path.as_ref())? else {
            continue;
        };
        for child in children(&directory, path.as_ref())? {
            match child {
                Child::Directory(key) => waiting.push(Some(key)),
                Child::Object(key) => entries.extend(entry(&directory, &key)?),
            }
        }
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(entries)
}

/// What lies directly below `path`, in the order of the keys.
pub(super) fn list_names(root: &OwnedFd, path: Option<&Key>) -> io::Result<Vec<Child>> {
    let Some(directory) = directory::open_below(root.try_clone()?, path)? else {
        return Ok(Vec::new());
    };
    let mut children = children(&directory, path)?;
    children.sort_by(|a, b| a.key().cmp(b.key()));
    Ok(children)
}

/// The object `key` in its directory; `None` if there is none.
pub(super) fn entry(directory: &OwnedFd, key: &Key) -> io::Result<Option<Entry>> {
    match rustix::fs::statat(directory, key.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            Ok(Some(Entry { key: key.clone(), size, modified: modified(&stat) }))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// When a file was last written; the epoch for times before it.
pub(super) fn modified(stat: &Stat) -> SystemTime {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

/// Unordered. `tmp` at the top is no key and so left out with all other foreign names.
fn children(directory: &OwnedFd, path: Option<&Key>) -> io::Result<Vec<Child>> {
    let mut children = Vec::new();
    for found in Dir::read_from(directory)? {
        let found = found?;
        let Some(key) =
            found.file_name().to_str().ok().and_then(|name| Key::below(path, name).ok())
        else {
            continue;
        };
        let kind = match found.file_type() {
            FileType::Unknown => {
                match rustix::fs::statat(directory, key.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            kind => kind,
        };
        match kind {
            FileType::RegularFile => children.push(Child::Object(key)),
            FileType::Directory => children.push(Child::Directory(key)),
            _ => {}
        }
    }
    Ok(children)
}
