//! Handles to directories, and to what is in them.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::{Errno, retry_on_intr};

use crate::metadata::{Identity, Status};

/// Room for some hundred names a call.
const LISTING_BYTES: usize = 32 * 1024;

/// An open directory. Clones share its descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    handle: Arc<OwnedFd>,
}

impl Directory {
    /// `/`.
    pub(crate) fn root() -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::open(c"/", flags, Mode::empty())).map(Self::new)
    }

    /// A directory in this one, to be listed. Anything else under that name, a link to a directory
    /// included, is [`Errno::NOTDIR`] or [`Errno::LOOP`].
    pub(crate) fn open(&self, name: &CStr) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        open_untouched(self.as_fd(), name, flags).map(Self::new)
    }

    /// A directory in this one, or where a link in this one leads, only to go through: it need not be
    /// readable, and cannot be listed.
    pub(crate) fn pass(&self, name: &CStr) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        retry_on_intr(|| rustix::fs::openat(self, name, flags, Mode::empty())).map(Self::new)
    }

    /// The directory that this one is in, to go through, if it still is the one that is expected.
    pub(crate) fn parent(&self, expected: Identity) -> Result<Self, Errno> {
        let parent = self.pass(c"..")?;
        if Status::of(&parent)?.identity() == expected { Ok(parent) } else { Err(Errno::STALE) }
    }

    fn new(handle: OwnedFd) -> Self {
        Self { handle: Arc::new(handle) }
    }

    /// The names in it, in no order, up to an error that ended the listing.
    pub(crate) fn names(&self) -> (Vec<CString>, Result<(), Errno>) {
        let mut names = Vec::new();
        let mut buffer = Vec::with_capacity(LISTING_BYTES);
        let mut listing = RawDir::new(self, buffer.spare_capacity_mut());
        loop {
            match listing.next() {
                None => return (names, Ok(())),
                Some(Ok(entry)) if matches!(entry.file_name().to_bytes(), b"." | b"..") => {}
                Some(Ok(entry)) => names.push(entry.file_name().to_owned()),
                Some(Err(Errno::INTR)) => {}
                // A directory that was removed while it was listed has no names any more.
                Some(Err(Errno::NOENT)) => return (names, Ok(())),
                Some(Err(error)) => return (names, Err(error)),
            }
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Opens for reading without leaving an access time, where that is permitted: to the owner and to root.
pub(crate) fn open_untouched(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let open = |flags| {
        retry_on_intr(|| {
            rustix::fs::openat(directory, name, flags | OFlags::CLOEXEC, Mode::empty())
        })
    };
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        result => result,
    }
}
