//! The directories from the target down to the one that is being filled.
//!
//! A tree may be deeper than a process may have files open, so only the lowest directories are kept
//! open. Those above are opened again when they are needed, from the target down, name by name and
//! without following links, and each must be the directory that it was.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::directory;
use super::found::Identity;
use crate::Metadata;

/// So many directories are open, beside the target.
const OPEN: usize = 32;

#[derive(Debug)]
pub(super) struct Levels {
    target: PathBuf,
    /// The target first. Never empty.
    levels: Vec<Level>,
}

/// A directory that is being filled.
#[derive(Debug)]
pub(super) struct Level {
    name: OsString,
    pub(super) place: Place,
    /// What was put into it, or should have been.
    pub(super) names: HashSet<OsString>,
    pub(super) ending: Ending,
}

/// Where the content of a directory goes.
#[derive(Debug)]
pub(super) enum Place {
    /// Into this one.
    Directory { identity: Identity, handle: Option<Arc<OwnedFd>> },
    /// Nowhere: in a dry run it is not made.
    Imagined,
    /// Nowhere: it could not be entered.
    Unreachable,
}

/// What becomes of a directory when it is left.
#[derive(Debug)]
pub(super) enum Ending {
    /// It gets this metadata. `fresh`: it was made for it.
    Metadata { metadata: Box<Metadata>, fresh: bool },
    /// It gets back the permissions that it had.
    Permissions(u32),
    /// It is as it should be.
    Nothing,
}

impl Level {
    pub(super) fn new(name: &OsStr, place: Place, ending: Ending) -> Self {
        Self { name: name.to_owned(), place, names: HashSet::new(), ending }
    }
}

impl Place {
    pub(super) fn open(identity: Identity, handle: OwnedFd) -> Self {
        Self::Directory { identity, handle: Some(Arc::new(handle)) }
    }
}

impl Levels {
    pub(super) fn new(target: PathBuf, place: Place) -> Self {
        Self { target, levels: vec![Level::new(OsStr::new(""), place, Ending::Nothing)] }
    }

    pub(super) fn top(&self) -> &Level {
        &self.levels[self.levels.len() - 1]
    }

    pub(super) fn top_mut(&mut self) -> &mut Level {
        let top = self.levels.len() - 1;
        &mut self.levels[top]
    }

    /// Whether the top is the target itself.
    pub(super) fn is_at_target(&self) -> bool {
        self.levels.len() == 1
    }

    pub(super) fn push(&mut self, level: Level) {
        self.levels.push(level);
        if let Some(above) = self.levels.len().checked_sub(1 + OPEN) {
            self.close(above);
        }
    }

    /// Takes off the top, unless it is the target.
    pub(super) fn pop(&mut self) -> Option<Level> {
        if self.is_at_target() { None } else { self.levels.pop() }
    }

    /// The directory that is being filled; `None` if it is only imagined.
    pub(super) fn current(&mut self) -> io::Result<Option<Arc<OwnedFd>>> {
        self.open(self.levels.len() - 1)
    }

    /// The directory at an index; `None` if it is only imagined.
    fn open(&mut self, index: usize) -> io::Result<Option<Arc<OwnedFd>>> {
        if !matches!(self.levels[index].place, Place::Directory { .. }) {
            return Ok(None);
        }
        let from = (0..=index).rev().find_map(|at| Some((at, self.levels[at].handle()?)));
        let Some((start, mut directory)) = from else { return Ok(None) };
        for at in start + 1..=index {
            directory = self.open_below(&directory, at)?;
            self.keep(at, &directory);
        }
        Ok(Some(directory))
    }

    fn open_below(&self, parent: &OwnedFd, at: usize) -> io::Result<Arc<OwnedFd>> {
        let level = &self.levels[at];
        let Place::Directory { identity, .. } = level.place else {
            return Err(io::ErrorKind::NotFound.into());
        };
        Ok(Arc::new(directory::open_again(parent, &level.name, identity)?))
    }

    /// Keeps it open if it is one of the lowest.
    fn keep(&mut self, at: usize, directory: &Arc<OwnedFd>) {
        if at + OPEN < self.levels.len() {
            return;
        }
        if let Place::Directory { handle, .. } = &mut self.levels[at].place {
            *handle = Some(Arc::clone(directory));
        }
    }

    /// The target stays open: it is opened by its path once only.
    fn close(&mut self, at: usize) {
        if at == 0 {
            return;
        }
        if let Place::Directory { handle, .. } = &mut self.levels[at].place {
            *handle = None;
        }
    }

    /// The highest directory from which the top can be reached within its own file system.
    pub(super) fn mount_point(&self) -> usize {
        let device = self.top().device();
        let same = self.levels.iter().rev().take_while(|level| level.device() == device).count();
        self.levels.len() - same
    }

    /// The directory at that index.
    pub(super) fn directory(&mut self, index: usize) -> io::Result<Arc<OwnedFd>> {
        self.open(index)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The names from below that index down to the top.
    pub(super) fn names_below(&self, index: usize) -> impl Iterator<Item = &OsStr> {
        self.levels[index + 1..].iter().map(|level| level.name.as_os_str())
    }

    /// The path of the directory at that index.
    pub(super) fn path_at(&self, index: usize) -> PathBuf {
        let names = self.levels[1..=index].iter().map(|level| level.name.as_os_str());
        names.fold(self.target.clone(), below)
    }

    /// The path of the directory that is being filled.
    pub(super) fn path_at_top(&self) -> PathBuf {
        self.path_at(self.levels.len() - 1)
    }

    /// The path of a name in the top. The name may be one that was refused.
    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        below(self.path_at_top(), name)
    }

    /// The names down to one in the top.
    pub(super) fn relative(&self, name: &OsStr) -> Vec<OsString> {
        let above = self.names_below(0).map(OsStr::to_owned);
        above.chain([name.to_owned()]).collect()
    }

    pub(super) fn target(&self) -> PathBuf {
        self.target.clone()
    }
}

impl Level {
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    fn handle(&self) -> Option<Arc<OwnedFd>> {
        match &self.place {
            Place::Directory { handle, .. } => handle.clone(),
            Place::Imagined | Place::Unreachable => None,
        }
    }

    pub(super) fn device(&self) -> Option<u64> {
        match self.place {
            Place::Directory { identity, .. } => Some(identity.device),
            Place::Imagined | Place::Unreachable => None,
        }
    }
}

/// Unlike `join`, this does not start anew at a name with a slash in front.
fn below(path: PathBuf, name: &OsStr) -> PathBuf {
    let mut text = path.into_os_string();
    text.push("/");
    text.push(name);
    PathBuf::from(text)
}
