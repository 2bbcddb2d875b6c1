//! What a tree consists of.

use std::ffi::OsString;
use std::path::PathBuf;

/// A file, directory, link or special file, with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is: absolute, without `.` and `..`.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// All that is not its content.
    pub metadata: Metadata,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    Symlink {
        /// What it points to, as it stands there.
        target: OsString,
    },
    /// A block device.
    BlockDevice {
        /// Its number, as in `st_rdev`.
        device: u64,
    },
    /// A character device.
    CharacterDevice {
        /// Its number, as in `st_rdev`.
        device: u64,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What is kept of an entry beside its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permissions with setuid, setgid and sticky: the lower 12 bits of `st_mode`.
    pub permissions: u32,
    /// Owner.
    pub user_id: u32,
    /// Group.
    pub group_id: u32,
    /// What the owner is called on this host; empty if it has no name.
    pub user: String,
    /// What the group is called on this host; empty if it has no name.
    pub group: String,
    /// When its content changed.
    pub modified: FileTime,
    /// When anything of it changed.
    pub changed: FileTime,
    /// Bytes of a regular file; 0 for anything else.
    pub size: u64,
    /// Its number on its file system.
    pub inode: u64,
    /// The number of its file system, as in `st_dev`.
    pub device: u64,
    /// How many names it has.
    pub links: u64,
    /// Extended attributes, in the order of their names.
    pub attributes: Vec<Attribute>,
}

/// A moment as file systems keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime {
    /// Seconds since 1970 in UTC; negative before.
    pub seconds: i64,
    /// Nanoseconds after that second, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name with its name space, such as `user.comment`.
    pub name: OsString,
    /// Its value.
    pub value: Vec<u8>,
}
