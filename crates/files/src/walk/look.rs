//! Looks at one name, and tells what is there.

use std::ffi::CStr;
use std::os::fd::AsFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::frame::Tree;
use super::{Walk, WalkItem};
use crate::directory::Directory;
use crate::metadata::Status;
use crate::{Entry, Exclusion, FoundFile, Kind, Problem};

/// How often something is looked at again that became something else meanwhile.
const ATTEMPTS: usize = 3;

/// Where to look.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) parent: &'a Directory,
    pub(super) name: &'a CStr,
    /// The tree that it was listed in; `None` for a named path.
    pub(super) tree: Option<Tree>,
}

impl Place<'_> {
    /// What is there. Only this can tell that something is gone. Other calls say the same of a file that
    /// is there, and a network file system lost, or, where `/proc` is missing, of all.
    fn status(&self) -> Result<Status, Failure> {
        Status::at(self.parent.as_fd(), self.name).map_err(|error| match error {
            Errno::NOENT => Failure::Gone,
            error => Failure::Cannot("look at", error),
        })
    }
}

impl Walk {
    /// Something that is wanted.
    pub(super) fn look(&mut self, place: Place<'_>) {
        let mut last = ("look at", Errno::STALE);
        for _ in 0..ATTEMPTS {
            match self.try_look(place) {
                Ok(()) => return,
                Err(Failure::Gone) if place.tree.is_some() => {
                    return self.found.push_back(WalkItem::Vanished(self.path.clone()));
                }
                Err(Failure::Gone) => return self.problem("look at", Errno::NOENT),
                Err(Failure::Cannot(operation, error)) => return self.problem(operation, error),
                Err(Failure::Changed(operation, error)) => last = (operation, error),
            }
        }
        self.problem(last.0, last.1);
    }

    fn try_look(&mut self, place: Place<'_>) -> Result<(), Failure> {
        let status = place.status()?;
        if status.file_type() == FileType::Directory {
            return self.look_at_directory(place, &status);
        }
        let kind = match status.kind(place.parent.as_fd(), place.name) {
            Ok(kind) => kind,
            Err(error @ (Errno::INVAL | Errno::NOENT)) => {
                return Err(Failure::Changed("read", error));
            }
            Err(error) => return Err(Failure::Cannot("read", error)),
        };
        let mut entry = self.entry(&status, kind);
        if let Some(why) = self.exclusion(&entry, place.tree) {
            self.leave_out(why);
            return Ok(());
        }
        let problems = self.complete(&mut entry, place)?;
        let item = match entry.kind {
            Kind::File => WalkItem::File(FoundFile {
                entry,
                directory: place.parent.clone(),
                name: place.name.to_owned(),
            }),
            _ => WalkItem::Entry(entry),
        };
        self.tell(item, problems);
        Ok(())
    }

    fn look_at_directory(&mut self, place: Place<'_>, status: &Status) -> Result<(), Failure> {
        let mut entry = self.entry(status, Kind::Directory);
        if let Some(why) = self.exclusion(&entry, place.tree) {
            self.leave_out(why);
            return Ok(());
        }
        let (now, content) = self.open(place, status)?;
        if now.identity() != status.identity() {
            // Another one has come in its place, or has been mounted on it.
            entry = self.entry(&now, Kind::Directory);
            if let Some(why) = self.exclusion(&entry, place.tree) {
                self.leave_out(why);
                return Ok(());
            }
        }
        let problems = self.complete(&mut entry, place)?;
        self.tell(WalkItem::Enter(entry), problems);
        match content {
            Content::Open(directory) => {
                // A frame for `/` and for each directory above it: as many as it has names.
                let depth = self.frames.len();
                let tree = place.tree.unwrap_or(Tree { device: now.device(), depth });
                self.list(directory, &now, tree);
            }
            Content::OtherFileSystem => {
                self.leave_out(Exclusion::OtherFileSystem);
                self.found.push_back(WalkItem::Leave);
            }
            Content::Unreadable(error) => {
                self.problem("open", error);
                self.found.push_back(WalkItem::Leave);
            }
        }
        Ok(())
    }

    /// A directory's content, and what the directory is once it is open.
    fn open(&self, place: Place<'_>, status: &Status) -> Result<(Status, Content), Failure> {
        if self.is_elsewhere(status.device(), place.tree) {
            return Ok((*status, Content::OtherFileSystem));
        }
        let directory = match place.parent.open(place.name) {
            Ok(directory) => directory,
            Err(error @ (Errno::LOOP | Errno::NOTDIR | Errno::NOENT)) => {
                return Err(Failure::Changed("open", error));
            }
            Err(error) => return Ok((*status, Content::Unreadable(error))),
        };
        let now = Status::of(&directory).map_err(|error| Failure::Cannot("look at", error))?;
        let elsewhere = self.is_elsewhere(now.device(), place.tree);
        Ok((now, if elsewhere { Content::OtherFileSystem } else { Content::Open(directory) }))
    }

    fn is_elsewhere(&self, device: u64, tree: Option<Tree>) -> bool {
        self.options.one_file_system && tree.is_some_and(|tree| tree.device != device)
    }

    fn exclusion(&self, entry: &Entry, tree: Option<Tree>) -> Option<Exclusion> {
        if self.options.skip.as_ref().is_some_and(|skip| skip(entry)) {
            return Some(Exclusion::Skipped);
        }
        tree?;
        if self.is_elsewhere(entry.metadata.device, tree) && entry.kind != Kind::Directory {
            return Some(Exclusion::OtherFileSystem);
        }
        self.options.excludes.by_entry(entry)
    }

    /// Adds what only a second look shows: the extended attributes.
    fn complete(&mut self, entry: &mut Entry, place: Place<'_>) -> Result<Vec<Problem>, Failure> {
        let mut problems = Vec::new();
        if let Err(error) = self.read_attributes(entry, place.parent, place.name, &mut problems) {
            place.status()?;
            problems.push(self.unread_attributes(error));
        }
        Ok(problems)
    }
}

/// Why something could not be looked at.
enum Failure {
    /// There is nothing under its name.
    Gone,
    /// What could not be done, and why. It may be something else by now, or gone.
    Changed(&'static str, Errno),
    /// What could not be done, and why.
    Cannot(&'static str, Errno),
}

/// What is in a directory.
enum Content {
    Open(Directory),
    OtherFileSystem,
    Unreadable(Errno),
}
