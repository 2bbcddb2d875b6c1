//! Files with more than one name.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::AtFlags;

use super::found::{Found, Identity};
use super::{Outcome, Put, Spot, choose, directory, temporary};
use crate::{Entry, Metadata};

/// Where the first name of each file is that has more names in the backup.
#[derive(Debug, Default)]
pub(super) struct Links {
    first: HashMap<(u64, u64), First>,
    /// What was there with more than one name and stayed. Each may be one file of the backup only.
    taken: HashSet<Identity>,
}

impl Links {
    /// Whether it is a file of the backup already.
    pub(super) fn is_taken(&self, identity: Identity) -> bool {
        self.taken.contains(&identity)
    }

    /// Remembers what stays, if it has other names.
    pub(super) fn take(&mut self, found: &Found) {
        if found.links > 1 {
            self.taken.insert(found.identity);
        }
    }
}

#[derive(Clone, Debug)]
struct First {
    /// The names from the target to it.
    names: Vec<OsString>,
    /// What was put there; `None` in a dry run.
    found: Option<Found>,
}

impl First {
    /// Whether `name` leads to the inode that was put. Whoever moved another file to the name of
    /// the first would get that one linked.
    fn is_at(&self, directory: &OwnedFd, name: &OsStr) -> bool {
        let now = Found::named(directory, name).ok().flatten();
        now.is_some_and(|now| self.is(&now))
    }

    fn is(&self, now: &Found) -> bool {
        self.found.as_ref().is_some_and(|found| found.is_still(now))
    }
}

/// What tells a file with several names from other files of the backup.
fn key(metadata: &Metadata) -> Option<(u64, u64)> {
    (metadata.links > 1 && metadata.inode != 0).then_some((metadata.device, metadata.inode))
}

impl Put {
    /// Remembers a file that was put, in case that it has more names.
    /// `file` is what was put, `None` in a dry run.
    pub(super) fn remember_link(&mut self, name: &OsStr, entry: &Entry, file: Option<impl AsFd>) {
        if let Some(key) = key(&entry.metadata) {
            // What cannot be looked at will not be recognised, and so not be linked.
            let found = file.and_then(|file| Found::opened(file).ok());
            let first = First { names: self.levels.relative(name), found };
            self.links.first.insert(key, first);
        }
    }

    /// Makes `name` another name of a file that was put before. `None` if it is no such file or
    /// cannot be one here: then it is put as a file of its own, and links go to that one.
    pub(super) fn link(&mut self, name: &OsStr, entry: &Entry, spot: &Spot) -> Option<Outcome> {
        let first = self.links.first.get(&key(&entry.metadata)?)?.clone();
        let found = spot.found.as_ref();
        if let Some(found) = found {
            let same = first.is(found);
            let overwrite = self.options.overwrite;
            match choose::for_other(overwrite, found, &entry.metadata, same) {
                choose::Choice::Keep => return Some(Outcome::Linked),
                choose::Choice::Replace => {}
                // It is the same for a file.
                _ => return None,
            }
        }
        let Some(directory) = spot.directory.as_deref().filter(|_| !self.options.dry_run) else {
            let outcome = self.imagine(name, spot).ok()?;
            self.report.replaced += u64::from(outcome == Outcome::Replaced);
            return Some(Outcome::Linked);
        };
        let Some(temporary) = self.link_temporary(&first, directory, name) else {
            self.report.separated += 1;
            return None;
        };
        let outcome = self.install(directory, &temporary, name, found);
        self.report.replaced += u64::from(outcome == Outcome::Replaced);
        Some(if outcome == Outcome::Failed { outcome } else { Outcome::Linked })
    }

    /// A link to the first under a temporary name.
    fn link_temporary(&mut self, first: &First, to: &OwnedFd, name: &OsStr) -> Option<OsString> {
        let temporary = self.link_first(first, to).ok()?;
        if first.is_at(to, &temporary) {
            return Some(temporary);
        }
        self.discard(to, &temporary, name);
        None
    }

    fn link_first(&mut self, first: &First, to: &OwnedFd) -> io::Result<OsString> {
        let Some((name, above)) = first.names.split_last() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut parent = self.levels.directory(0)?;
        for name in above {
            parent = Arc::new(directory::open(&parent, name)?);
        }
        let (temporary, ()) = temporary::make(|temporary| {
            rustix::fs::linkat(&parent, name, to, temporary, AtFlags::empty())
        })?;
        Ok(temporary)
    }
}
