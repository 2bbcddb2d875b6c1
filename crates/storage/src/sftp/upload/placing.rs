//! Giving a finished object its name.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::SftpUpload;
use crate::Key;
use crate::sftp::directory;
use crate::sftp::failure::Failure;
use crate::sftp::request::Request;

pub(super) enum Placed {
    New,
    Taken,
}

impl SftpUpload {
    /// Steps 2 and 3: the object gets its name.
    pub(super) fn place(&mut self, key: &Key) -> Result<Placed, Failure> {
        let parent = key.parent();
        directory::make(&self.shared, self.connection(), parent.as_ref())?;
        match self.link_or_rename(key) {
            Err(failure) if failure.is_missing() => {
                // Somebody removed the directory since it was seen.
                directory::forget(self.connection(), parent.as_ref());
                directory::make(&self.shared, self.connection(), parent.as_ref())?;
                self.link_or_rename(key)
            }
            placed => placed,
        }
    }

    fn link_or_rename(&mut self, key: &Key) -> Result<Placed, Failure> {
        let connection = Arc::clone(self.connection());
        if !connection.makes_links() {
            return self.rename(key);
        }
        match self.link(key) {
            Err(refused @ Failure::Refused(_)) if !refused.is_missing() => {}
            result => return result,
        }
        // No hard links in this file system, or no permission: a rename tells which.
        let placed = self.rename(key)?;
        if matches!(placed, Placed::New) {
            connection.refuses_links.store(true, Ordering::Relaxed);
        }
        Ok(placed)
    }

    fn link(&self, key: &Key) -> Result<Placed, Failure> {
        let (from, to) = (self.shared.path(&self.name), self.shared.path(key.as_str()));
        match self.connection().send(Request::hard_link(&from, &to))?.done() {
            Ok(()) => Ok(Placed::New),
            Err(refused) => self.settle(&to, refused),
        }
    }

    /// The name is looked at before, for servers that would replace what has it.
    fn rename(&mut self, key: &Key) -> Result<Placed, Failure> {
        let (from, to) = (self.shared.path(&self.name), self.shared.path(key.as_str()));
        if self.exists(&to)? {
            return Ok(Placed::Taken);
        }
        match self.connection().send(Request::rename(&from, &to))?.done() {
            Ok(()) => {
                self.moved = true;
                Ok(Placed::New)
            }
            Err(refused) => self.settle(&to, refused),
        }
    }

    /// Of a name that is taken a server says no more than that it failed.
    fn settle(&self, path: &str, refused: Failure) -> Result<Placed, Failure> {
        match refused {
            Failure::Refused(_) if self.exists(path)? => Ok(Placed::Taken),
            refused => Err(refused),
        }
    }

    fn exists(&self, path: &str) -> Result<bool, Failure> {
        let found = self.connection().send(Request::lstat(path))?.attributes_if_any()?;
        Ok(found.is_some())
    }
}
