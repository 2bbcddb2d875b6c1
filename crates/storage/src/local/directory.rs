//! Directories, opened step by step without following links.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Shared;
use crate::Key;
use crate::key::TEMPORARY;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

pub(super) fn open_root(root: &Path) -> io::Result<OwnedFd> {
    let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
    Ok(rustix::fs::open(root, flags, Mode::empty())?)
}

pub(super) fn open_at(parent: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    loop {
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// The directory `path` below `root`; `None` if it, or a directory above it, does not exist or is
/// no directory.
pub(super) fn open_below(root: OwnedFd, path: Option<&Key>) -> io::Result<Option<OwnedFd>> {
    let mut directory = root;
    for name in path.into_iter().flat_map(|path| path.as_str().split('/')) {
        directory = match open_at(&directory, name, DIRECTORY) {
            Ok(child) => child,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
    }
    Ok(Some(directory))
}

/// The directory `path`, made where missing. It and those above it are durable on return.
pub(super) fn make_below(shared: &Shared, path: Option<&Key>) -> io::Result<OwnedFd> {
    let root = shared.open_root()?;
    let Some(path) = path else { return Ok(root) };
    if shared.is_durable(path)
        && let Some(directory) = open_below(root.try_clone()?, Some(path))?
    {
        return Ok(directory);
    }
    let mut directory = root;
    for name in path.as_str().split('/') {
        let child = make_child(&directory, name)?;
        sync(&directory)?;
        directory = child;
    }
    shared.remember_durable(path);
    Ok(directory)
}

/// The directory of unfinished files. Where it is missing it is made, but not in a root that is
/// empty: that is the mount point of a disk that is not there.
pub(super) fn open_temporary(root: &OwnedFd) -> io::Result<OwnedFd> {
    match open_at(root, TEMPORARY, DIRECTORY) {
        Err(Errno::NOENT) if is_empty(root)? => {
            let message =
                "the directory is empty: not created as a storage, or its disk not mounted";
            Err(io::Error::new(io::ErrorKind::NotFound, message))
        }
        Err(Errno::NOENT) => make_temporary(root),
        result => Ok(result?),
    }
}

/// The directory of unfinished files, made where missing.
pub(super) fn make_temporary(root: &OwnedFd) -> io::Result<OwnedFd> {
    make_child(root, TEMPORARY)
}

fn make_child(parent: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(open_at(parent, name, DIRECTORY)?),
        Err(error) => Err(error.into()),
    }
}

fn is_empty(directory: &OwnedFd) -> io::Result<bool> {
    for entry in rustix::fs::Dir::read_from(directory)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the names in a directory durable. File systems that have no such operation (some network
/// and FUSE ones) answer that they do not know it; they keep names in their own way.
pub(super) fn sync(directory: &impl AsFd) -> io::Result<()> {
    loop {
        match rustix::fs::fsync(directory) {
            Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

impl Shared {
    fn is_durable(&self, path: &Key) -> bool {
        self.durable.lock().is_ok_and(|durable| durable.contains(path))
    }

    fn remember_durable(&self, path: &Key) {
        if let Ok(mut durable) = self.durable.lock() {
            durable.insert(path.clone());
        }
    }
}
