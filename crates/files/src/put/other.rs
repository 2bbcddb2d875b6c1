//! Links, devices, pipes and sockets.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode};

use super::choose::{self, Choice};
use super::found::Found;
use super::{Outcome, Put, Spot, directory, temporary};
use crate::{Entry, Kind};

impl Put {
    /// Puts what is neither file nor directory into the current directory. Devices can only be
    /// made by root.
    pub fn other(&mut self, name: &OsStr, entry: &Entry) -> Outcome {
        let Some(spot) = self.spot(name) else { return Outcome::Failed };
        let Some(kind) = file_type(&entry.kind) else {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is a file or directory");
            self.problem(name, "put", error);
            return Outcome::Failed;
        };
        if !self.claim(name) {
            return Outcome::Failed;
        }
        let result = match self.choose_other(&spot, kind, name, entry) {
            Choice::Keep => self.keep_other(name, entry, &spot),
            Choice::Skip => Ok(Outcome::Skipped),
            Choice::Refuse => Err(io::ErrorKind::IsADirectory.into()),
            Choice::Replace | Choice::Compare => self.make_other(name, entry, &spot, kind),
        };
        let outcome = result.unwrap_or_else(|error| {
            self.problem(name, "put", error);
            Outcome::Failed
        });
        self.report.other(outcome)
    }

    fn choose_other(&mut self, spot: &Spot, kind: FileType, name: &OsStr, entry: &Entry) -> Choice {
        let Spot { directory: Some(directory), found: Some(found) } = spot else {
            return Choice::Replace;
        };
        let same = found.kind == kind
            && is_same(directory, name, found, &entry.kind)
            && self.may_stay(found, &entry.metadata);
        choose::for_other(self.options.overwrite, found, &entry.metadata, same)
    }

    fn keep_other(&mut self, name: &OsStr, entry: &Entry, spot: &Spot) -> io::Result<Outcome> {
        if let Some(directory) = spot.directory.as_ref().filter(|_| !self.options.dry_run) {
            let file = directory::open_path(directory, name)?;
            if Some(Found::opened(&file)?) != spot.found {
                return Err(io::Error::other("it was exchanged for something else meanwhile"));
            }
            self.apply(name, &file, &entry.metadata, false);
        }
        if let Some(found) = &spot.found {
            self.links.take(found);
        }
        Ok(Outcome::Unchanged)
    }

    fn make_other(
        &mut self,
        name: &OsStr,
        entry: &Entry,
        spot: &Spot,
        kind: FileType,
    ) -> io::Result<Outcome> {
        let Some(directory) = spot.directory.as_ref().filter(|_| !self.options.dry_run) else {
            return self.imagine(name, spot);
        };
        let temporary = make_temporary(directory, &entry.kind, kind)?;
        match open_made(directory, &temporary, kind) {
            Ok(file) => self.apply(name, &file, &entry.metadata, true),
            Err(error) => {
                self.discard(directory, &temporary, name);
                return Err(error);
            }
        }
        Ok(self.install(directory, &temporary, name, spot.found.as_ref()))
    }
}

fn file_type(kind: &Kind) -> Option<FileType> {
    match kind {
        Kind::File | Kind::Directory => None,
        Kind::Symlink { .. } => Some(FileType::Symlink),
        Kind::BlockDevice { .. } => Some(FileType::BlockDevice),
        Kind::CharacterDevice { .. } => Some(FileType::CharacterDevice),
        Kind::Fifo => Some(FileType::Fifo),
        Kind::Socket => Some(FileType::Socket),
    }
}

/// Whether what was found, which is of the same kind, is the same.
fn is_same(directory: &OwnedFd, name: &OsStr, found: &Found, kind: &Kind) -> bool {
    match kind {
        Kind::Symlink { target } => rustix::fs::readlinkat(directory, name, Vec::new())
            .is_ok_and(|present| present.as_bytes() == target.as_bytes()),
        Kind::BlockDevice { device } | Kind::CharacterDevice { device } => found.device == *device,
        Kind::Fifo | Kind::Socket => true,
        Kind::File | Kind::Directory => false,
    }
}

fn make_temporary(directory: &OwnedFd, kind: &Kind, file_type: FileType) -> io::Result<OsString> {
    let private = Mode::RUSR | Mode::WUSR;
    let (temporary, ()) = temporary::make(|temporary| match kind {
        Kind::Symlink { target } => rustix::fs::symlinkat(target, directory, temporary),
        Kind::BlockDevice { device } | Kind::CharacterDevice { device } => {
            rustix::fs::mknodat(directory, temporary, file_type, private, *device)
        }
        _ => rustix::fs::mknodat(directory, temporary, file_type, private, 0),
    })?;
    Ok(temporary)
}

/// What was just made. Where others may write, they could have put another name for a file of
/// someone else in its place, to have it given to them.
fn open_made(directory: &OwnedFd, temporary: &OsStr, kind: FileType) -> io::Result<OwnedFd> {
    let file = directory::open_path(directory, temporary)?;
    let found = Found::opened(&file)?;
    if found.kind != kind || found.links != 1 {
        return Err(io::Error::other("it was exchanged for something else meanwhile"));
    }
    Ok(file)
}
