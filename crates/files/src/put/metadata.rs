//! Giving an inode its metadata.
//!
//! The order matters: a change of owner clears setuid, setgid and capabilities, a change of the
//! access list changes the permissions, and each of them is a change of its own time only. So:
//! owner, attributes, permissions, times.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::found::Found;
use crate::{Attribute, FileTime, Metadata};

/// The bits that give a program the rights of its owner or group.
pub(super) const SET_USER: u32 = 0o4000;
pub(super) const SET_GROUP: u32 = 0o2000;

/// Attributes that give rights. What the backup does not have of these goes, as its permissions
/// do; other attributes that are there stay.
const ACCESS_LIST: &str = "system.posix_acl_access";
const DEFAULT_ACCESS_LIST: &str = "system.posix_acl_default";
pub(super) const CAPABILITY: &str = "security.capability";

/// Whom an entry belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user_id: u32,
    pub(super) group_id: u32,
    /// Whether it is to be set at all.
    pub(super) set: bool,
}

impl Owner {
    /// Whether it belongs to this one.
    pub(super) fn is_of(&self, found: &Found) -> bool {
        self.user_id == found.user_id && self.group_id == found.group_id
    }
}

/// What could not be set.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) failures: Vec<(&'static str, io::Error)>,
    pub(super) set_id_dropped: bool,
    /// It belongs to whoever it belonged to, and that is not its owner in the backup.
    pub(super) owner_skipped: bool,
}

/// Makes the metadata of an inode what it should be; what is so already is not touched, so that its
/// time of change tells of real changes only. `fresh`: it was just made.
pub(super) fn apply(
    file: impl AsFd,
    metadata: &Metadata,
    owner: Owner,
    fresh: bool,
) -> io::Result<Applied> {
    let subject = Subject::new(file.as_fd())?;
    let mut applied = Applied::default();
    if owner.set {
        applied.note("set the owner of", subject.set_owner(owner));
    } else {
        applied.owner_skipped = !owner.is_of(&subject.found);
    }
    applied.note("set the access list of", subject.remove_rights(&metadata.attributes, fresh));
    for attribute in &metadata.attributes {
        applied.note("set an extended attribute of", subject.set_attribute(attribute, fresh));
    }
    if subject.found.kind != FileType::Symlink {
        let result = subject.set_permissions(metadata, owner);
        applied.set_id_dropped = matches!(result, Ok(false));
        applied.note("set the permissions of", result.map(|_| ()));
    }
    applied.note("set the time of", subject.set_time(metadata.modified));
    Ok(applied)
}

/// Sets the permissions alone.
pub(super) fn set_permissions(file: impl AsFd, permissions: u32) -> io::Result<()> {
    Subject::new(file.as_fd())?.change_mode(permissions)
}

impl Applied {
    fn note(&mut self, operation: &'static str, result: io::Result<()>) {
        if let Err(error) = result {
            self.failures.push((operation, error));
        }
    }
}

/// The inode, by a descriptor; never by a name, which might lead to another one by now.
struct Subject<'a> {
    file: BorrowedFd<'a>,
    found: Found,
    /// The name of the descriptor itself, where it was opened with `O_PATH`: such a descriptor
    /// cannot be used to change the inode, but what this name leads to is the inode, even a link.
    path: Option<String>,
}

impl<'a> Subject<'a> {
    fn new(file: BorrowedFd<'a>) -> io::Result<Self> {
        let found = Found::opened(file)?;
        let path_only = rustix::fs::fcntl_getfl(file)?.contains(OFlags::PATH);
        let path = path_only.then(|| format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self { file, found, path })
    }

    /// Runs one of two forms of a system call.
    fn call<T>(
        &self,
        by_descriptor: impl FnOnce(BorrowedFd<'_>) -> Result<T, Errno>,
        by_path: impl FnOnce(&str) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match &self.path {
            Some(path) => by_path(path),
            None => by_descriptor(self.file),
        }
    }

    fn set_owner(&self, owner: Owner) -> io::Result<()> {
        let user = (owner.user_id != self.found.user_id).then_some(owner.user_id);
        let group = (owner.group_id != self.found.group_id).then_some(owner.group_id);
        // To the system this number means "leave it".
        if user == Some(u32::MAX) || group == Some(u32::MAX) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no owner has this number"));
        }
        if user.is_none() && group.is_none() {
            return Ok(());
        }
        let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
        Ok(self.call(
            |file| rustix::fs::fchown(file, user, group),
            |path| rustix::fs::chown(path, user, group),
        )?)
    }

    fn remove_rights(&self, wanted: &[Attribute], fresh: bool) -> io::Result<()> {
        // What is fresh has inherited the access lists, as soon as it was made.
        let names: &[&str] = match self.found.kind {
            FileType::Symlink => &[],
            FileType::Directory => &[ACCESS_LIST, DEFAULT_ACCESS_LIST],
            FileType::RegularFile if !fresh => &[ACCESS_LIST, CAPABILITY],
            _ => &[ACCESS_LIST],
        };
        for &name in names {
            let is_wanted = wanted.iter().any(|attribute| attribute.name == name);
            if !is_wanted && self.attribute_size(name)?.is_some() {
                self.call(
                    |file| rustix::fs::fremovexattr(file, name),
                    |path| rustix::fs::removexattr(path, name),
                )?;
            }
        }
        Ok(())
    }

    /// `None` if it does not have it, or its file system knows no such attribute.
    fn attribute_size(&self, name: &str) -> io::Result<Option<usize>> {
        let size = self.call(
            |file| rustix::fs::fgetxattr_query(file, name),
            |path| rustix::fs::getxattr_query(path, name),
        );
        match size {
            Ok(size) => Ok(Some(size)),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn set_attribute(&self, attribute: &Attribute, fresh: bool) -> io::Result<()> {
        let Attribute { name, value } = attribute;
        if !fresh && self.has_attribute(attribute) {
            return Ok(());
        }
        self.call(
            |file| rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()),
            |path| rustix::fs::setxattr(path, name, value, XattrFlags::empty()),
        )
        .map_err(|error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("{}: {error}", name.display()))
        })
    }

    fn has_attribute(&self, Attribute { name, value }: &Attribute) -> bool {
        // One byte more than expected tells a longer value from an equal one.
        let mut present = vec![0; value.len() + 1];
        let length = match &self.path {
            Some(path) => rustix::fs::getxattr(path, name, present.as_mut_slice()),
            None => rustix::fs::fgetxattr(self.file, name, present.as_mut_slice()),
        };
        length.is_ok_and(|length| present[..length] == **value)
    }

    /// Whether all of them were set. A program must not run with the rights of an owner whom it
    /// was not given by: without the owner the bit goes.
    fn set_permissions(&self, metadata: &Metadata, owner: Owner) -> io::Result<bool> {
        let mut permissions = metadata.permissions & 0o7777;
        let set_id = permissions & (SET_USER | SET_GROUP);
        let may_have_changed = !metadata.attributes.is_empty()
            || (set_id | self.found.permissions) & (SET_USER | SET_GROUP) != 0;
        let now = if may_have_changed { Found::opened(self.file)? } else { self.found.clone() };
        if now.user_id != owner.user_id {
            permissions &= !SET_USER;
        }
        if now.group_id != owner.group_id {
            permissions &= !SET_GROUP;
        }
        if now.permissions != permissions {
            self.change_mode(permissions)?;
        }
        // The system drops the bit of a group that we are not in without a word.
        Ok(set_id == 0 || Found::opened(self.file)?.permissions & set_id == set_id)
    }

    fn change_mode(&self, permissions: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(permissions);
        Ok(self.call(|file| rustix::fs::fchmod(file, mode), |path| rustix::fs::chmod(path, mode))?)
    }

    fn set_time(&self, modified: FileTime) -> io::Result<()> {
        // Some larger values have a meaning of their own, such as "now".
        if modified.nanoseconds >= 1_000_000_000 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no time"));
        }
        if modified == self.found.modified {
            return Ok(());
        }
        let time = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanoseconds.into() };
        let unchanged = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let times = Timestamps { last_access: unchanged, last_modification: time };
        Ok(self.call(
            |file| rustix::fs::futimens(file, &times),
            |path| rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty()),
        )?)
    }
}
