//! Regular files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::choose::{self, Choice};
use super::found::Found;
use super::in_place::FileInPlace;
use super::sparse::SparseWriter;
use super::{Durability, Outcome, Put, Spot, temporary};
use crate::{Entry, Kind};

/// What is to be done with a file.
#[derive(Debug)]
#[must_use = "a file that is not finished is counted as a problem"]
pub enum Decision<'a> {
    /// Nothing more.
    Done(Outcome),
    /// Its content is to be written.
    Write(FileInProgress<'a>),
    /// There is a file of the same size, whose content is to be compared.
    Compare(FileInPlace<'a>),
}

/// A file that is being written, under a temporary name.
///
/// Its content is written in order, in pieces that are best as large as they come: each is written
/// at once. Dropped before [`commit`](Self::commit), it is removed and what is there stays.
#[derive(Debug)]
pub struct FileInProgress<'a> {
    put: &'a mut Put,
    name: &'a OsStr,
    entry: &'a Entry,
    directory: Arc<OwnedFd>,
    temporary: OsString,
    found: Option<Found>,
    writer: SparseWriter,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// It failed, and that is counted.
    Failed,
    /// It has its name, or could not get it.
    Ended,
}

impl Put {
    /// Puts the regular file `name` into the current directory.
    pub fn file<'a>(&'a mut self, name: &'a OsStr, entry: &'a Entry) -> Decision<'a> {
        let Some(spot) = self.spot(name) else { return Decision::Done(Outcome::Failed) };
        if entry.kind != Kind::File {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            self.problem(name, "put", error);
            return Decision::Done(Outcome::Failed);
        }
        if !self.claim(name) {
            return Decision::Done(Outcome::Failed);
        }
        if let Some(outcome) = self.link(name, entry, &spot) {
            return Decision::Done(self.report.file(outcome));
        }
        match self.choose(&spot, entry) {
            Choice::Replace => self.begin(name, entry, spot),
            Choice::Compare => self.compare(name, entry, spot),
            Choice::Keep => self.keep(name, entry, spot),
            Choice::Skip => Decision::Done(self.report.file(Outcome::Skipped)),
            Choice::Refuse => {
                self.problem(name, "replace", io::ErrorKind::IsADirectory.into());
                Decision::Done(Outcome::Failed)
            }
        }
    }

    fn choose(&mut self, spot: &Spot, entry: &Entry) -> Choice {
        let Some(found) = &spot.found else { return Choice::Replace };
        let may_stay = self.may_stay(found, &entry.metadata);
        choose::for_file(self.options.overwrite, found, &entry.metadata, may_stay)
    }

    /// Begins to write a file.
    pub(super) fn begin<'a>(
        &'a mut self,
        name: &'a OsStr,
        entry: &'a Entry,
        spot: Spot,
    ) -> Decision<'a> {
        let Some(directory) = spot.directory.clone().filter(|_| !self.options.dry_run) else {
            return Decision::Done(self.begin_imagined(name, entry, &spot));
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = temporary::make(|temporary| {
            rustix::fs::openat(&directory, temporary, flags, Mode::RUSR | Mode::WUSR)
        });
        match made {
            Ok((temporary, file)) => Decision::Write(FileInProgress {
                writer: SparseWriter::new(File::from(file), self.options.sparse),
                put: self,
                name,
                entry,
                directory,
                temporary,
                found: spot.found,
                state: State::Writing,
            }),
            Err(error) => {
                self.problem(name, "make", error);
                Decision::Done(self.report.file(Outcome::Failed))
            }
        }
    }

    fn begin_imagined(&mut self, name: &OsStr, entry: &Entry, spot: &Spot) -> Outcome {
        let outcome = match self.imagine(name, spot) {
            Ok(outcome) => {
                self.report.written_bytes += entry.metadata.size;
                self.remember_link(name, entry, None::<OwnedFd>);
                outcome
            }
            Err(error) => {
                self.problem(name, "put", error);
                Outcome::Failed
            }
        };
        self.report.file(outcome)
    }
}

impl FileInProgress<'_> {
    /// Gives it its metadata and its name. It must have been written up to the size of its entry.
    pub fn commit(mut self) -> Outcome {
        let outcome = match self.complete() {
            Ok(outcome) => outcome,
            Err((operation, error)) => {
                self.fail(operation, error);
                Outcome::Failed
            }
        };
        self.put.report.file(outcome)
    }

    /// Gives it up, because its content cannot be had; what is there stays. `operation` as in
    /// "cannot `read from the backup` the file".
    pub fn abandon(mut self, operation: &'static str, error: io::Error) {
        self.fail(operation, error);
    }

    fn complete(&mut self) -> Result<Outcome, (&'static str, io::Error)> {
        if self.state == State::Failed {
            return Ok(Outcome::Failed);
        }
        let expected = self.entry.metadata.size;
        let written = self.writer.position();
        if written != expected {
            let why = format!("the backup has {written} bytes of {expected}");
            return Err(("put", io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        self.writer.finish().map_err(|error| ("write", error))?;
        self.put.apply(self.name, self.writer.file(), &self.entry.metadata, true);
        if self.put.options.durability == Durability::EachFile {
            self.writer.file().sync_all().map_err(|error| ("make durable", error))?;
        }
        self.state = State::Ended;
        let outcome =
            self.put.install(&self.directory, &self.temporary, self.name, self.found.as_ref());
        if outcome != Outcome::Failed {
            self.put.report.written_bytes += written;
            self.put.remember_link(self.name, self.entry, Some(self.writer.file()));
        }
        Ok(outcome)
    }

    fn fail(&mut self, operation: &'static str, error: io::Error) {
        if self.state == State::Writing {
            self.put.problem(self.name, operation, error);
            self.state = State::Failed;
        }
    }
}

impl io::Write for FileInProgress<'_> {
    /// An error is counted as a problem of this file, once; the file cannot be finished then.
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let end = self.writer.position() + data.len() as u64;
        let result = if end > self.entry.metadata.size {
            let why = "the backup has more bytes than it should";
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        } else {
            self.writer.write(data)
        };
        match result {
            Ok(()) => Ok(data.len()),
            Err(error) => {
                let again = duplicate(&error);
                self.fail("write", error);
                Err(again)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FileInProgress<'_> {
    fn drop(&mut self) {
        self.fail("put", io::Error::other("it was not finished"));
        if self.state == State::Failed {
            self.put.discard(&self.directory, &self.temporary, self.name);
        }
    }
}

/// The same error once more: one for the report, one for the caller.
fn duplicate(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
