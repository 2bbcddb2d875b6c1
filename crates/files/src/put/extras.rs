//! Taking away what is not in the backup.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;

use super::found::Found;
use super::levels::{Ending, Level, Place};
use super::{Put, directory};

impl Put {
    /// Takes away what is in the current directory and was not put since it was entered, if `chosen`
    /// says so for its name. To be called when the directory is complete, before [`Put::leave`].
    ///
    /// It is moved to the safe place if there is one; else it is removed, directories with all that
    /// is in them.
    pub fn remove_extras(&mut self, chosen: impl Fn(&OsStr) -> bool) {
        let names = match self.extras() {
            Ok(names) => names,
            Err(error) => {
                let path = self.levels.path_at_top();
                return self.report.problem(path, "list", error);
            }
        };
        for name in names.into_iter().filter(|name| chosen(name)) {
            match self.remove_extra(&name) {
                Ok(()) => self.report.removed += 1,
                Err(error) => self.problem(&name, "remove", error),
            }
        }
    }

    fn extras(&mut self) -> io::Result<Vec<OsString>> {
        let Some(directory) = self.levels.current()? else { return Ok(Vec::new()) };
        let mut names = directory::names(&directory)?;
        let put = &self.levels.top().names;
        let safe = |name: &OsStr| self.aside.as_ref().is_some_and(|aside| aside.is_named(name));
        names.retain(|name| !put.contains(name) && !safe(name));
        names.sort();
        Ok(names)
    }

    fn remove_extra(&mut self, name: &OsStr) -> io::Result<()> {
        let Some(directory) = self.levels.current()? else { return Ok(()) };
        let Some(found) = Found::named(&directory, name)? else { return Ok(()) };
        if self.options.dry_run {
            self.report.moved_aside += u64::from(self.aside.is_some());
            return Ok(());
        }
        if found.is_directory() && self.aside.is_none() {
            return self.remove_tree(&directory, name, &found);
        }
        self.take_away(&directory, name, &found)
    }

    /// Removes a directory of the current one with all that is in it.
    fn remove_tree(&mut self, parent: &OwnedFd, name: &OsStr, found: &Found) -> io::Result<()> {
        let mut pending = vec![self.push_extra(parent, name, found)?];
        let result = self.remove_pending(&mut pending);
        for _ in pending {
            self.levels.pop();
        }
        result
    }

    /// Removes the names of each directory, and it when they are gone. A loop: a tree may be deeper
    /// than the stack of a thread.
    fn remove_pending(&mut self, pending: &mut Vec<Vec<OsString>>) -> io::Result<()> {
        while let Some(names) = pending.last_mut() {
            let Some(name) = names.pop() else {
                pending.pop();
                let emptied = self.levels.pop();
                if let (Some(level), Some(above)) = (emptied, self.levels.current()?) {
                    directory::remove_empty(&above, level.name())?;
                }
                continue;
            };
            let Some(directory) = self.levels.current()? else { continue };
            match Found::named(&directory, &name)? {
                Some(found) if found.is_directory() => {
                    let names = self.push_extra(&directory, &name, &found)?;
                    pending.push(names);
                }
                Some(_) => directory::remove_file(&directory, &name)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Makes a directory of the current one a level of its own, so that it counts towards those
    /// that may be open. Returns what is in it.
    fn push_extra(
        &mut self,
        parent: &OwnedFd,
        name: &OsStr,
        found: &Found,
    ) -> io::Result<Vec<OsString>> {
        if self.levels.top().device() != Some(found.identity.device) {
            let why = "another file system is mounted there";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
        }
        let handle = directory::open_again(parent, name, found.identity)?;
        let names = directory::names(&handle)?;
        let place = Place::open(found.identity, handle);
        self.levels.push(Level::new(name, place, Ending::Nothing));
        Ok(names)
    }
}
