//! Directories, opened step by step without following links.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::found::{Found, Identity};

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// The directory `name`. One that may be passed but not listed is opened for passing only.
pub(super) fn open(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    match rustix::fs::openat(&parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let flags = DIRECTORY.union(OFlags::PATH);
            Ok(rustix::fs::openat(&parent, name, flags, Mode::empty())?)
        }
        result => Ok(result?),
    }
}

/// The directory `name`, which must be the one that is meant.
pub(super) fn open_again(
    parent: impl AsFd,
    name: &OsStr,
    identity: Identity,
) -> io::Result<OwnedFd> {
    let directory = open(parent, name)?;
    if Found::opened(&directory)?.identity != identity {
        return Err(io::Error::other("the directory was exchanged for another while in use"));
    }
    Ok(directory)
}

/// Whatever has the name, to set its metadata. Nothing happens to a device or pipe that is opened
/// so, and a link is opened itself.
pub(super) fn open_path(directory: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

/// Makes the directory `name`, for its owner only.
pub(super) fn make(parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::mkdirat(parent, name, Mode::RWXU)
}

/// The names in it, without `.` and `..`.
pub(super) fn names(directory: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    // `read_from` opens it anew, so the position of the descriptor does not matter.
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Gives it another name that must be free.
pub(super) fn rename_new(
    from: impl AsFd,
    name: &OsStr,
    to: impl AsFd,
    new: &OsStr,
) -> io::Result<()> {
    match rustix::fs::renameat_with(&from, name, &to, new, RenameFlags::NOREPLACE) {
        // Not every file system can refuse by itself.
        Err(Errno::INVAL | Errno::NOSYS) => {
            if Found::named(&to, new)?.is_some() {
                return Err(Errno::EXIST.into());
            }
            Ok(rustix::fs::renameat(from, name, to, new)?)
        }
        result => Ok(result?),
    }
}

pub(super) fn remove_file(directory: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}

pub(super) fn remove_empty(directory: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?)
}

/// Makes what was done in it durable.
pub(super) fn sync(directory: impl AsFd) -> io::Result<()> {
    // It may have been opened for passing only, and such a descriptor cannot be synced.
    let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
    let directory = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    Ok(rustix::fs::fsync(directory)?)
}
