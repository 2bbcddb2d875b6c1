//! Putting a tree back.
//!
//! The caller walks the tree and names its entries: a directory is entered, filled and left; its
//! metadata is set when it is left, because filling it changes its time and may need permissions
//! that it is not to have. Nothing ends the work: what cannot be done is counted with its path.
//!
//! Nothing is written outside the target. The target is opened once, by its path. Everything below
//! is reached from that descriptor, one name at a time and without following links, and names that
//! mean more than one thing in their directory are refused. Whoever exchanges directories for links
//! meanwhile gets an error, or the directory filled that was there before.
//!
//! A name has the old content or the new at every moment: what is new is made under a name of its
//! own, `.lifeboat-….tmp`, for nobody else to read, and renamed when its content and metadata are
//! whole. A process that is killed leaves such files; they may be removed.

mod apply;
mod aside;
mod choose;
mod directory;
mod enter;
mod extras;
mod file;
mod found;
mod in_place;
mod install;
mod levels;
mod links;
mod metadata;
mod name;
mod options;
mod other;
mod report;
mod sparse;
mod temporary;

pub use file::{Decision, FileInProgress};
pub use in_place::FileInPlace;
pub use options::{Durability, Overwrite, Owners, PutOptions};
pub use report::{Outcome, PutReport};

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::{OwnerNames, Problem};
use aside::Aside;
use found::Found;
use levels::{Levels, Place};
use links::Links;

/// A tree that is being put back.
///
/// Memory: the names of the directories from the target to the current one and of what was put in
/// them, and one path for each file that has several names.
#[derive(Debug)]
pub struct Put {
    options: PutOptions,
    levels: Levels,
    links: Links,
    aside: Option<Aside>,
    owner_names: OwnerNames,
    /// Whether files may be given away.
    is_root: bool,
    /// A directory of each file system below the target, to be made durable at the end.
    file_systems: Vec<(u64, Arc<OwnedFd>)>,
    report: PutReport,
}

/// A name in the current directory.
#[derive(Debug)]
struct Spot {
    /// `None`: the directory is only imagined.
    directory: Option<Arc<OwnedFd>>,
    /// What has the name already.
    found: Option<Found>,
}

impl Put {
    /// Begins in the directory `target`, which is made with those above it (0700) where missing.
    /// Its own metadata stays as it is.
    pub fn open(target: &Path, options: PutOptions) -> Result<Self, Problem> {
        let failed = |operation, source| Problem { path: target.to_owned(), operation, source };
        let path = std::path::absolute(target).map_err(|source| failed("resolve", source))?;
        let root = open_target(&path, options.dry_run)
            .map_err(|source| failed("open the target directory", source))?;
        let place = match root {
            Some(root) => Place::open(
                Found::opened(&root).map_err(|source| failed("look at", source))?.identity,
                root,
            ),
            None => Place::Imagined,
        };
        let aside = options.safety.clone().map(Aside::new).transpose();
        let aside = aside.map_err(|source| failed("move replaced files aside in", source))?;
        let mut put = Self {
            levels: Levels::new(path, place),
            links: Links::default(),
            aside,
            // Without these files, as in a rescue system, no name is known, and numbers are taken.
            owner_names: OwnerNames::of_host().0,
            is_root: rustix::process::geteuid().is_root(),
            file_systems: Vec::new(),
            report: PutReport::default(),
            options,
        };
        put.remember_file_system();
        Ok(put)
    }

    /// What came of it so far.
    #[must_use]
    pub fn report(&self) -> &PutReport {
        &self.report
    }

    /// Ends the work: leaves the directories that were not left, and makes it durable.
    #[must_use]
    pub fn finish(mut self) -> PutReport {
        while !self.levels.is_at_target() {
            self.leave();
        }
        if !self.options.dry_run {
            self.make_durable();
        }
        if let Some(aside) = &mut self.aside {
            self.report.moved_to = std::mem::take(&mut aside.used);
        }
        self.report
    }

    fn make_durable(&mut self) {
        if self.options.durability == Durability::EachFile {
            let synced = self.levels.directory(0).and_then(|root| directory::sync(&root));
            if let Err(error) = synced {
                self.report.problem(self.levels.target(), "make durable", error);
            }
        }
        for (_, directory) in std::mem::take(&mut self.file_systems) {
            if let Err(error) = sync_file_system(&directory) {
                self.report.problem(self.levels.target(), "make durable what is in", error.into());
            }
        }
    }

    /// Sees to it that the file system of the current directory is made durable at the end.
    fn remember_file_system(&mut self) {
        if self.options.durability != Durability::AtEnd || self.options.dry_run {
            return;
        }
        let Some(device) = self.levels.top().device() else { return };
        if self.file_systems.iter().all(|(known, _)| *known != device)
            && let Ok(Some(directory)) = self.levels.current()
        {
            self.file_systems.push((device, directory));
        }
    }

    /// The place of an entry; `None` if it cannot be put, which is then counted.
    fn spot(&mut self, name: &OsStr) -> Option<Spot> {
        if matches!(self.levels.top().place, Place::Unreachable) {
            self.report.unreachable += 1;
            return None;
        }
        let spot = self.check_name(name).and_then(|()| self.look_at(name));
        spot.map_err(|error| self.problem(name, "put", error)).ok()
    }

    fn check_name(&self, name: &OsStr) -> io::Result<()> {
        name::check(name)?;
        if self.aside.as_ref().is_some_and(|aside| aside.is_named(name)) {
            let why = "it has the name of the directory that replaced files are moved to";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(())
    }

    fn look_at(&mut self, name: &OsStr) -> io::Result<Spot> {
        let directory = self.levels.current()?;
        let found = match &directory {
            Some(directory) => Found::named(directory, name)?,
            None => None,
        };
        Ok(Spot { directory, found })
    }

    /// Remembers that the name is in the backup; refuses one that was there before. Two entries of
    /// the same name are how a tampered archive gets one to write through the other.
    fn claim(&mut self, name: &OsStr) -> bool {
        let new = self.levels.top_mut().names.insert(name.to_owned());
        if !new {
            let why = "the backup has two entries of this name";
            self.problem(name, "put", io::Error::new(io::ErrorKind::InvalidData, why));
        }
        new
    }

    /// Counts a problem with a name in the current directory.
    fn problem(&mut self, name: &OsStr, operation: &'static str, error: io::Error) {
        self.report.problem(self.levels.path(name), operation, error);
    }
}

/// `None` if it does not exist and is not to be made.
fn open_target(path: &Path, dry_run: bool) -> io::Result<Option<OwnedFd>> {
    if !dry_run {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    // The target itself may be a link: whoever named it meant what it leads to.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(root) => Ok(Some(root)),
        Err(rustix::io::Errno::NOENT) if dry_run => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One that may be passed but not listed cannot be used for this itself.
fn sync_file_system(directory: &OwnedFd) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::syncfs(rustix::fs::openat(directory, ".", flags, Mode::empty())?)
}
