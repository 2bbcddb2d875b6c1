//! What the kernel says of an entry, and the words for it.

use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, makedev};
use rustix::io::{Errno, retry_on_intr};

use crate::owners::OwnerNames;
use crate::{FileTime, Kind, Metadata};

/// The lower 12 bits of a mode: permissions with setuid, setgid and sticky.
const PERMISSIONS: u16 = 0o7777;

/// What the kernel says of something. (`statx(2)` and not `fstatat(2)`, because its times are wide enough
/// on every architecture.)
#[derive(Clone, Copy)]
pub(crate) struct Status(Statx);

/// Which of all things on this host something is, as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

impl Status {
    /// Of a name in a directory. A link is not followed, and nothing is mounted by looking at it.
    pub(crate) fn at(directory: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        Self::ask(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
    }

    /// Of what is open.
    pub(crate) fn of(handle: impl AsFd) -> Result<Self, Errno> {
        Self::ask(handle.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    fn ask(directory: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<Self, Errno> {
        let wanted = StatxFlags::BASIC_STATS;
        retry_on_intr(|| rustix::fs::statx(directory, name, flags, wanted)).map(Self)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity { device: self.device(), inode: self.0.stx_ino }
    }

    pub(crate) fn device(&self) -> u64 {
        makedev(self.0.stx_dev_major, self.0.stx_dev_minor)
    }

    pub(crate) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.0.stx_mode.into())
    }

    pub(crate) fn size(&self) -> u64 {
        self.0.stx_size
    }

    pub(crate) fn modified(&self) -> FileTime {
        time(&self.0.stx_mtime)
    }

    /// The words for it. `directory` and `name` are where it was asked for: a link is read there.
    /// [`Errno::INVAL`] if there is no link any more, or if it is of no kind that is known.
    pub(crate) fn kind(&self, directory: BorrowedFd<'_>, name: &CStr) -> Result<Kind, Errno> {
        let device = makedev(self.0.stx_rdev_major, self.0.stx_rdev_minor);
        Ok(match self.file_type() {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => {
                let target = retry_on_intr(|| rustix::fs::readlinkat(directory, name, Vec::new()))?;
                Kind::Symlink { target: OsString::from_vec(target.into_bytes()) }
            }
            FileType::BlockDevice => Kind::BlockDevice { device },
            FileType::CharacterDevice => Kind::CharacterDevice { device },
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::Unknown => return Err(Errno::INVAL),
        })
    }

    /// All but the extended attributes.
    pub(crate) fn metadata(&self, owners: &OwnerNames) -> Metadata {
        let status = &self.0;
        Metadata {
            permissions: (status.stx_mode & PERMISSIONS).into(),
            user_id: status.stx_uid,
            group_id: status.stx_gid,
            user: owners.user(status.stx_uid).to_owned(),
            group: owners.group(status.stx_gid).to_owned(),
            modified: self.modified(),
            changed: time(&status.stx_ctime),
            size: if self.file_type() == FileType::RegularFile { self.size() } else { 0 },
            inode: status.stx_ino,
            device: self.device(),
            links: status.stx_nlink.into(),
            attributes: Vec::new(),
        }
    }
}

fn time(time: &StatxTimestamp) -> FileTime {
    FileTime { seconds: time.tv_sec, nanoseconds: time.tv_nsec }
}
