//! Files that are there already and may stay.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use super::file::Decision;
use super::found::Found;
use super::{Outcome, Put, Spot, directory};
use crate::Entry;

/// A file that has the size of the entry in whose place it is. Whether it has its content, the
/// caller can tell by reading it.
#[derive(Debug)]
pub struct FileInPlace<'a> {
    put: Option<&'a mut Put>,
    name: &'a OsStr,
    entry: &'a Entry,
    /// What has the name, and this file is.
    spot: Spot,
    file: File,
}

impl Put {
    /// Asks the caller to compare a file with the backup.
    pub(super) fn compare<'a>(
        &'a mut self,
        name: &'a OsStr,
        entry: &'a Entry,
        spot: Spot,
    ) -> Decision<'a> {
        match open_found(&spot, name) {
            Some(file) => {
                Decision::Compare(FileInPlace { put: Some(self), name, entry, spot, file })
            }
            // What cannot be read cannot be known to be the same.
            None => self.begin(name, entry, spot),
        }
    }

    /// Keeps the content of a file that is there.
    pub(super) fn keep<'a>(
        &'a mut self,
        name: &'a OsStr,
        entry: &'a Entry,
        spot: Spot,
    ) -> Decision<'a> {
        let opened = spot.directory.as_ref().map(|directory| directory::open_path(directory, name));
        match opened {
            Some(Ok(file)) if is_still(&file, &spot) => {
                Decision::Done(self.keep_opened(name, entry, &file, &spot))
            }
            _ => self.begin(name, entry, spot),
        }
    }

    fn keep_opened(&mut self, name: &OsStr, entry: &Entry, file: &OwnedFd, spot: &Spot) -> Outcome {
        if !self.options.dry_run {
            self.apply(name, file, &entry.metadata, false);
        }
        if let Some(found) = &spot.found {
            self.links.take(found);
        }
        // As it is now, with its metadata corrected.
        self.remember_link(name, entry, Some(file));
        self.report.file(Outcome::Unchanged)
    }
}

impl<'a> FileInPlace<'a> {
    /// Its content is that of the backup: it stays, and its metadata is corrected.
    pub fn keep(mut self) -> Outcome {
        let Some(put) = self.put.take() else { return Outcome::Failed };
        match self.file.try_clone() {
            Ok(file) => put.keep_opened(self.name, self.entry, &file.into(), &self.spot),
            Err(error) => {
                put.problem(self.name, "set the metadata of", error);
                put.report.file(Outcome::Failed)
            }
        }
    }

    /// Its content is another: it is replaced.
    pub fn replace(mut self) -> Decision<'a> {
        let Some(put) = self.put.take() else { return Decision::Done(Outcome::Failed) };
        let nothing = Spot { directory: None, found: None };
        let spot = std::mem::replace(&mut self.spot, nothing);
        put.begin(self.name, self.entry, spot)
    }

    /// Leaves it as it is, because its content cannot be compared. `operation` as in
    /// "cannot `read from the backup` the file".
    pub fn abandon(mut self, operation: &'static str, error: io::Error) {
        if let Some(put) = self.put.take() {
            put.problem(self.name, operation, error);
        }
    }
}

impl io::Read for FileInPlace<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Drop for FileInPlace<'_> {
    fn drop(&mut self) {
        if let Some(put) = self.put.take() {
            put.problem(self.name, "put", io::Error::other("it was not compared to the end"));
        }
    }
}

/// The file that was found, for reading; `None` if it cannot be read or is another by now.
fn open_found(spot: &Spot, name: &OsStr) -> Option<File> {
    // Without NONBLOCK, opening a pipe that took its place would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let directory = spot.directory.as_ref()?;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?;
    is_still(&file, spot).then(|| File::from(file))
}

/// Whether it is what was found, unchanged.
fn is_still(file: &OwnedFd, spot: &Spot) -> bool {
    Found::opened(file).ok() == spot.found
}
