//! What is there already.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};
use rustix::io::Errno;

use crate::FileTime;
pub(super) use crate::metadata::Identity;

/// What the file system says about an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: FileType,
    /// The lower 12 bits of its mode.
    pub(super) permissions: u32,
    pub(super) user_id: u32,
    pub(super) group_id: u32,
    pub(super) size: u64,
    pub(super) modified: FileTime,
    pub(super) links: u32,
    pub(super) identity: Identity,
    /// Of a device.
    pub(super) device: u64,
}

impl Found {
    /// What has the name; `None` if nothing has. A link is not followed.
    pub(super) fn named(directory: impl AsFd, name: &OsStr) -> io::Result<Option<Self>> {
        match rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        {
            Ok(stat) => Ok(Some(Self::new(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What was opened.
    pub(super) fn opened(file: impl AsFd) -> io::Result<Self> {
        let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        Ok(Self::new(&stat))
    }

    fn new(stat: &Statx) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.stx_mode.into()),
            permissions: u32::from(stat.stx_mode) & 0o7777,
            user_id: stat.stx_uid,
            group_id: stat.stx_gid,
            size: stat.stx_size,
            modified: FileTime {
                seconds: stat.stx_mtime.tv_sec,
                nanoseconds: stat.stx_mtime.tv_nsec,
            },
            links: stat.stx_nlink,
            identity: Identity {
                device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
                inode: stat.stx_ino,
            },
            device: rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor),
        }
    }

    /// Whether it is the same inode and looks the same. Numbers of inodes are used again.
    pub(super) fn is_still(&self, now: &Self) -> bool {
        *self == Self { links: self.links, ..now.clone() }
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }
}
