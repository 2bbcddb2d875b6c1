//! Moving what is replaced to a safe place.
//!
//! It goes below a directory in the target, at the path that it had. That directory has to be on
//! the same file system, because only a rename keeps an inode whole, with its open users, links
//! and all that a copy would have to know of. So a file system that is mounted within the target
//! gets a directory of its own at its mount point.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::directory;
use super::found::{Found, Identity};
use super::levels::Levels;

/// So many things of the same path are kept apart.
const ATTEMPTS: u32 = 100;

/// Where replaced files go.
#[derive(Debug)]
pub(super) struct Aside {
    name: OsString,
    /// Directories that were made here and are open to others all the same: their file system
    /// knows no permissions.
    made_open: HashSet<Identity>,
    /// The directory that was used last, with the path of the one that it stands for.
    last: Option<(PathBuf, Arc<OwnedFd>)>,
    /// The paths of the topmost ones.
    pub(super) used: Vec<PathBuf>,
}

/// Something in its safe place.
pub(super) struct MovedAside {
    directory: Arc<OwnedFd>,
    name: OsString,
    /// The old name is still there as well.
    linked: bool,
}

impl Aside {
    pub(super) fn new(name: OsString) -> io::Result<Self> {
        super::name::check(&name)?;
        Ok(Self { name, made_open: HashSet::new(), last: None, used: Vec::new() })
    }

    pub(super) fn is_named(&self, name: &OsStr) -> bool {
        self.name == name
    }

    /// Gives `name` in the current directory a second, safe name. The first is then ready to be
    /// replaced by a rename, so that at no time there is nothing. Where that is not possible, as
    /// with directories, it is moved away.
    pub(super) fn link(
        &mut self,
        levels: &mut Levels,
        from: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<MovedAside> {
        let directory = self.directory(levels)?;
        let linked = free_name(name, |free| {
            Ok(rustix::fs::linkat(from, name, &directory, free, AtFlags::empty())?)
        });
        match linked {
            Ok(name) => Ok(MovedAside { directory, name, linked: true }),
            Err(_) => move_to(directory, from, name),
        }
    }

    /// Moves `name` in the current directory away.
    pub(super) fn take(
        &mut self,
        levels: &mut Levels,
        from: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<MovedAside> {
        let directory = self.directory(levels)?;
        move_to(directory, from, name)
    }

    /// Where things of the current directory go.
    fn directory(&mut self, levels: &mut Levels) -> io::Result<Arc<OwnedFd>> {
        let path = levels.path_at_top();
        if let Some((last, directory)) = &self.last
            && *last == path
        {
            return Ok(Arc::clone(directory));
        }
        let mount_point = levels.mount_point();
        let above = levels.directory(mount_point)?;
        let name = self.name.clone();
        let mut directory = self.open_or_make(&above, &name)?;
        let used = levels.path_at(mount_point).join(&self.name);
        if !self.used.contains(&used) {
            self.used.push(used);
        }
        for name in levels.names_below(mount_point) {
            directory = self.open_or_make(&directory, name)?;
        }
        let directory = Arc::new(directory);
        self.last = Some((path, Arc::clone(&directory)));
        Ok(directory)
    }

    /// Others must not be able to reach what is kept here, whatever its own permissions are: it
    /// may have been in a directory that kept them out.
    fn open_or_make(&mut self, parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
        let made = match directory::make(&parent, name) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let opened = directory::open(&parent, name)?;
        let found = Found::opened(&opened)?;
        let own = found.user_id == rustix::process::geteuid().as_raw();
        if own && found.permissions & 0o077 == 0 {
            return Ok(opened);
        }
        if made {
            self.made_open.insert(found.identity);
        }
        if self.made_open.contains(&found.identity) {
            return Ok(opened);
        }
        let why = "the directory for replaced files belongs to someone else or is open to others";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }
}

impl MovedAside {
    /// Makes it as it was.
    pub(super) fn undo(self, to: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if self.linked {
            directory::remove_file(&self.directory, &self.name)
        } else {
            directory::rename_new(&self.directory, &self.name, to, name)
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        directory::sync(&self.directory)
    }
}

fn move_to(directory: Arc<OwnedFd>, from: &OwnedFd, name: &OsStr) -> io::Result<MovedAside> {
    let name = free_name(name, |free| directory::rename_new(from, name, &directory, free))?;
    Ok(MovedAside { directory, name, linked: false })
}

/// Tries `name`, then `name~2` and so on, until one is not taken.
fn free_name(
    name: &OsStr,
    mut attempt: impl FnMut(&OsStr) -> io::Result<()>,
) -> io::Result<OsString> {
    for number in 1..=ATTEMPTS {
        let mut free = name.to_owned();
        if number > 1 {
            // The longest names have no room for more.
            let room = name.as_bytes().len().min(250);
            free = OsStr::from_bytes(&name.as_bytes()[..room]).to_owned();
            free.push(format!("~{number}"));
        }
        match attempt(&free) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| free),
        }
    }
    Err(Errno::EXIST.into())
}
