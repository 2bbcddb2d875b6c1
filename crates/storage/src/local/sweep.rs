//! Removal of what killed processes left unfinished.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, OFlags};
use rustix::io::Errno;

use super::{directory, listing};
use crate::key::TEMPORARY;

/// What killed processes left unfinished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stale {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes the stale files of `tmp/`; returns how many.
pub(super) fn sweep(root: &OwnedFd, older_than: Duration) -> io::Result<u64> {
    let mut removed = 0;
    each_stale(root, older_than, |temporary, name, _| {
        match rustix::fs::unlinkat(temporary, name, AtFlags::empty()) {
            Ok(()) => removed += 1,
            // Another sweep was first.
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    })?;
    Ok(removed)
}

/// Number and bytes of the stale files of `tmp/`.
pub(super) fn stale(root: &OwnedFd, older_than: Duration) -> io::Result<Stale> {
    let mut found = Stale::default();
    each_stale(root, older_than, |_, _, size| {
        found.files += 1;
        found.bytes += size;
        Ok(())
    })?;
    Ok(found)
}

fn each_stale(
    root: &OwnedFd,
    older_than: Duration,
    mut act: impl FnMut(&OwnedFd, &str, u64) -> io::Result<()>,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let temporary = match directory::open_at(root, TEMPORARY, flags) {
        Ok(temporary) => temporary,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let now = SystemTime::now();
    for found in Dir::read_from(&temporary)? {
        let found = found?;
        let Ok(name) = found.file_name().to_str() else { continue };
        if let Some(size) = stale_size(&temporary, name, now, older_than)? {
            act(&temporary, name, size)?;
        }
    }
    Ok(())
}

/// The size of a file that no upload holds any more; `None` for any other.
fn stale_size(
    temporary: &OwnedFd,
    name: &str,
    now: SystemTime,
    older_than: Duration,
) -> io::Result<Option<u64>> {
    let stat = match rustix::fs::statat(temporary, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    // A time in the future comes from another clock and says nothing.
    let age = now.duration_since(listing::modified(&stat)).unwrap_or_default();
    if age < older_than {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match directory::open_at(temporary, name, flags) {
        Ok(file) => match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Ok(None),
            // Held by nobody, or locks are unknown here and the age has to do.
            _ => Ok(Some(u64::try_from(stat.st_size).unwrap_or(0))),
        },
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
