//! Removal of what killed processes left unfinished.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, OFlags};
use rustix::io::Errno;

use super::{directory, listing};
use crate::key::TEMPORARY;

/// Removes the stale files of `tmp/`; returns how many.
pub(super) fn sweep(root: &OwnedFd, older_than: Duration) -> io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let temporary = match directory::open_at(root, TEMPORARY, flags) {
        Ok(temporary) => temporary,
        Err(Errno::NOENT) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let now = SystemTime::now();
    let mut removed = 0;
    for found in Dir::read_from(&temporary)? {
        let found = found?;
        let Ok(name) = found.file_name().to_str() else { continue };
        if is_stale(&temporary, name, now, older_than)? {
            match rustix::fs::unlinkat(&temporary, name, AtFlags::empty()) {
                Ok(()) => removed += 1,
                // Another sweep was first.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(removed)
}

fn is_stale(
    temporary: &OwnedFd,
    name: &str,
    now: SystemTime,
    older_than: Duration,
) -> io::Result<bool> {
    let stat = match rustix::fs::statat(temporary, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(false);
    }
    // A time in the future comes from another clock and says nothing.
    let age = now.duration_since(listing::modified(&stat)).unwrap_or_default();
    if age < older_than {
        return Ok(false);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match directory::open_at(temporary, name, flags) {
        Ok(file) => match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(false),
            // Held by nobody, or locks are unknown here and the age has to do.
            _ => Ok(true),
        },
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
