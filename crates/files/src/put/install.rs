//! Giving what was made its final name.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;

use super::aside::MovedAside;
use super::found::Found;
use super::{Durability, Outcome, Put, Spot, directory, temporary};

impl Put {
    /// Renames `temporary` to `name`, in whose place `found` was. On an error everything is as it
    /// was before, and `temporary` is removed.
    pub(super) fn install(
        &mut self,
        directory: &OwnedFd,
        temporary: &OsStr,
        name: &OsStr,
        found: Option<&Found>,
    ) -> Outcome {
        let installed = match found {
            None => directory::rename_new(directory, temporary, directory, name),
            Some(found) => self.replace(directory, temporary, name, found),
        };
        match installed {
            Ok(()) if found.is_some() => Outcome::Replaced,
            Ok(()) => Outcome::Created,
            Err(error) => {
                self.problem(name, "put", error);
                self.discard(directory, temporary, name);
                Outcome::Failed
            }
        }
    }

    /// Removes what was made under a temporary name for `name`.
    pub(super) fn discard(&mut self, directory: &OwnedFd, temporary: &OsStr, name: &OsStr) {
        if let Err(error) = directory::remove_file(directory, temporary) {
            self.problem(name, "remove the temporary file of", error);
        }
    }

    fn replace(
        &mut self,
        directory: &OwnedFd,
        temporary: &OsStr,
        name: &OsStr,
        found: &Found,
    ) -> io::Result<()> {
        let moved = match &mut self.aside {
            Some(aside) => Some(aside.link(&mut self.levels, directory, name)?),
            None if found.is_directory() => {
                directory::remove_empty(directory, name)?;
                None
            }
            None => None,
        };
        let renamed = rustix::fs::renameat(directory, temporary, directory, name);
        self.keep_moved(moved, directory, name, renamed.map_err(io::Error::from))
    }

    /// Makes a directory in place of something else. It is made first, so that what is there stays
    /// if there is no room for it.
    pub(super) fn replace_with_directory(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> io::Result<()> {
        let (temporary, ()) = temporary::make(|temporary| directory::make(parent, temporary))?;
        let replaced = self.exchange(parent, &temporary, name);
        if replaced.is_err()
            && let Err(error) = directory::remove_empty(parent, &temporary)
        {
            self.problem(name, "remove the temporary directory of", error);
        }
        replaced
    }

    fn exchange(&mut self, parent: &OwnedFd, temporary: &OsStr, name: &OsStr) -> io::Result<()> {
        let moved = match &mut self.aside {
            Some(aside) => Some(aside.take(&mut self.levels, parent, name)?),
            None => {
                directory::remove_file(parent, name)?;
                None
            }
        };
        let renamed = directory::rename_new(parent, temporary, parent, name);
        self.keep_moved(moved, parent, name, renamed)
    }

    /// Takes away what is not in the backup; a directory must be empty if it is not moved.
    pub(super) fn take_away(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        found: &Found,
    ) -> io::Result<()> {
        match &mut self.aside {
            Some(aside) => {
                let moved = aside.take(&mut self.levels, directory, name)?;
                self.keep_moved(Some(moved), directory, name, Ok(()))
            }
            None if found.is_directory() => directory::remove_empty(directory, name),
            None => directory::remove_file(directory, name),
        }
    }

    /// Counts what was moved aside, or moves it back if the step that followed failed. What cannot be made durable
    /// is there all the same.
    fn keep_moved(
        &mut self,
        moved: Option<MovedAside>,
        directory: &OwnedFd,
        name: &OsStr,
        result: io::Result<()>,
    ) -> io::Result<()> {
        let Some(moved) = moved else { return result };
        if let Err(error) = result {
            if let Err(error) = moved.undo(directory, name) {
                self.problem(name, "move back", error);
            }
            return Err(error);
        }
        self.report.moved_aside += 1;
        if self.options.durability == Durability::EachFile
            && let Err(error) = moved.sync()
        {
            self.problem(name, "make durable what was moved aside for", error);
        }
        Ok(())
    }

    /// Counts what a dry run would do to what has the name.
    pub(super) fn imagine(&mut self, name: &OsStr, spot: &Spot) -> io::Result<Outcome> {
        let Spot { directory: Some(directory), found: Some(found) } = spot else {
            return Ok(Outcome::Created);
        };
        if self.aside.is_some() {
            self.report.moved_aside += 1;
        } else if found.is_directory()
            && !directory::names(directory::open(directory, name)?)?.is_empty()
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        Ok(Outcome::Replaced)
    }
}
