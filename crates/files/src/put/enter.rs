//! Entering a directory and leaving it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;

use super::found::Found;
use super::levels::{Ending, Level, Place};
use super::{Durability, Outcome, Overwrite, Put, Spot, choose, directory, metadata};
use crate::{Entry, Kind};

/// What its owner needs to fill a directory.
const FILL: u32 = 0o700;

/// Why a directory is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// It is to be as in the backup.
    Itself,
    /// Something below it is.
    Below,
}

impl Put {
    /// Makes the directory `name` in the current one, or takes the one that is there. It is the
    /// current one then, until [`Put::leave`], which belongs to every call of this. If it failed,
    /// all until then is counted as unreachable.
    pub fn enter(&mut self, name: &OsStr, entry: &Entry) -> Outcome {
        self.enter_for(Purpose::Itself, name, entry)
    }

    /// Enters a directory only on the way to something below it, such as one above the paths of a
    /// backup: if it is there, its metadata stays. To be left as any other.
    pub fn pass(&mut self, name: &OsStr, entry: &Entry) -> Outcome {
        self.enter_for(Purpose::Below, name, entry)
    }

    fn enter_for(&mut self, purpose: Purpose, name: &OsStr, entry: &Entry) -> Outcome {
        let (level, outcome) = self.make_level(purpose, name, entry).unwrap_or_else(|| {
            (Level::new(name, Place::Unreachable, Ending::Nothing), Outcome::Failed)
        });
        self.levels.push(level);
        if outcome != Outcome::Failed {
            self.report.directories += 1;
            self.report.replaced += u64::from(outcome == Outcome::Replaced);
            self.remember_file_system();
        }
        outcome
    }

    fn make_level(
        &mut self,
        purpose: Purpose,
        name: &OsStr,
        entry: &Entry,
    ) -> Option<(Level, Outcome)> {
        let spot = self.spot(name)?;
        let made = self.make_or_open(purpose, name, entry, &spot);
        made.map_err(|error| self.problem(name, "put the directory", error)).ok()
    }

    fn make_or_open(
        &mut self,
        purpose: Purpose,
        name: &OsStr,
        entry: &Entry,
        spot: &Spot,
    ) -> io::Result<(Level, Outcome)> {
        if entry.kind != Kind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let new = self.levels.top_mut().names.insert(name.to_owned());
        let outcome = match (&spot.directory, &spot.found) {
            (Some(parent), Some(found)) if found.is_directory() => {
                let level = self.open_level(purpose, parent, name, entry, found)?;
                return Ok((level, Outcome::Unchanged));
            }
            (_, None) => Outcome::Created,
            (_, Some(_)) if self.options.overwrite != Overwrite::Always || !new => {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            (_, Some(_)) => Outcome::Replaced,
        };
        let level = match &spot.directory {
            Some(parent) if !self.options.dry_run => self.new_level(parent, name, entry, spot)?,
            _ => {
                self.imagine(name, spot)?;
                Level::new(name, Place::Imagined, Ending::Nothing)
            }
        };
        Ok((level, outcome))
    }

    fn new_level(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        entry: &Entry,
        spot: &Spot,
    ) -> io::Result<Level> {
        if spot.found.is_some() {
            self.replace_with_directory(parent, name)?;
        } else {
            directory::make(parent, name)?;
        }
        let handle = directory::open(parent, name)?;
        let metadata = Box::new(entry.metadata.clone());
        let ending = Ending::Metadata { metadata, fresh: true };
        Ok(Level::new(name, Place::open(Found::opened(&handle)?.identity, handle), ending))
    }

    fn open_level(
        &mut self,
        purpose: Purpose,
        parent: &OwnedFd,
        name: &OsStr,
        entry: &Entry,
        found: &Found,
    ) -> io::Result<Level> {
        let ending = self.ending(purpose, entry, found);
        if !self.options.dry_run && self.needs_permissions(found) {
            let path = directory::open_path(parent, name)?;
            if Found::opened(&path)?.identity == found.identity {
                metadata::set_permissions(&path, found.permissions | FILL)?;
            }
        }
        let handle = directory::open_again(parent, name, found.identity)?;
        Ok(Level::new(name, Place::open(found.identity, handle), ending))
    }

    /// What becomes of a directory that is there.
    fn ending(&self, purpose: Purpose, entry: &Entry, found: &Found) -> Ending {
        if self.options.dry_run {
            return Ending::Nothing;
        }
        if purpose == Purpose::Itself
            && choose::for_directory(self.options.overwrite, found, &entry.metadata)
        {
            return Ending::Metadata { metadata: Box::new(entry.metadata.clone()), fresh: false };
        }
        if self.needs_permissions(found) {
            return Ending::Permissions(found.permissions);
        }
        Ending::Nothing
    }

    /// Root may do everything in any directory; its owner only what the permissions say.
    fn needs_permissions(&self, found: &Found) -> bool {
        !self.is_root
            && found.permissions & FILL != FILL
            && found.user_id == rustix::process::geteuid().as_raw()
    }

    /// Leaves the current directory: it gets its metadata now, and the one above is current again.
    pub fn leave(&mut self) {
        let handle = self.levels.current();
        let Some(level) = self.levels.pop() else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it was not entered");
            return self.report.problem(self.levels.target(), "leave", error);
        };
        match handle {
            Ok(Some(directory)) => self.end_level(&level, &directory),
            Ok(None) => {}
            Err(error) => self.problem(level.name(), "set the metadata of", error),
        }
    }

    fn end_level(&mut self, level: &Level, directory: &OwnedFd) {
        let name = level.name();
        match &level.ending {
            Ending::Metadata { metadata, fresh } => {
                self.apply(name, directory, metadata, *fresh);
            }
            Ending::Permissions(permissions) => {
                if let Err(error) = metadata::set_permissions(directory, *permissions) {
                    self.problem(name, "set the permissions of", error);
                }
            }
            Ending::Nothing => {}
        }
        if self.options.durability == Durability::EachFile
            && !self.options.dry_run
            && let Err(error) = directory::sync(directory)
        {
            self.problem(name, "make durable", error);
        }
    }
}
