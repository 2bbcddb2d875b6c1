//! Walks trees.
//!
//! Every directory is opened by its name in the directory above it, without following links, and what is
//! in it is looked at by its name in its handle. So a directory that is swapped for a link to somewhere
//! else while it is walked is not followed, and one that is renamed is still the one that was found.
//!
//! In memory are the names of the directories on the way to where the walk is, and no more than
//! [`OPEN_DIRECTORIES`] of them are open; those above are found again by `..`.

mod frame;
mod item;
mod look;
mod options;

use std::collections::VecDeque;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use self::frame::{Child, Frame, Tree, planned};
pub use self::item::WalkItem;
use self::look::Place;
pub use self::options::{Skip, WalkOptions};
use crate::attributes::AttributeReader;
use crate::directory::Directory;
use crate::excludes::by_marks;
use crate::metadata::Status;
use crate::{Entry, Exclusion, Kind, OwnerNames, Problem, SourcePaths};

/// How many directories are kept open, beside those that lead to the named paths.
pub const OPEN_DIRECTORIES: usize = 64;

/// A walk through the trees below some paths, depth first, the names of a directory in byte order.
///
/// It begins with the directories that lead to them, such as `/etc` on the way to `/etc/app`; of these
/// nothing else is listed. `/` itself never is an item.
pub struct Walk {
    paths: SourcePaths,
    options: WalkOptions,
    owners: OwnerNames,
    attributes: AttributeReader,
    /// The directories on the way to where it is, `/` first.
    frames: Vec<Frame>,
    /// Where it is.
    path: PathBuf,
    /// What was come upon and not told yet.
    found: VecDeque<WalkItem>,
}

impl Walk {
    /// Walks what is at and below `paths`.
    #[must_use]
    pub fn new(paths: &SourcePaths, options: WalkOptions) -> Self {
        let (owners, problems) = OwnerNames::of_host();
        let mut walk = Self {
            paths: paths.clone(),
            options,
            owners,
            attributes: AttributeReader::new(),
            frames: Vec::new(),
            path: PathBuf::from("/"),
            found: problems.into_iter().map(WalkItem::Problem).collect(),
        };
        walk.begin();
        walk
    }

    fn begin(&mut self) {
        let root = Directory::root().and_then(|root| Ok((Status::of(&root)?, root)));
        match root {
            Err(error) => self.problem("open", error),
            Ok((status, root)) if self.paths.as_slice() == [Path::new("/")] => {
                self.list(root, &status, Tree { device: status.device(), depth: 0 });
            }
            Ok((status, root)) => {
                let all = 0..self.paths.as_slice().len();
                let children = planned(self.paths.as_slice(), all, 0);
                self.frames.push(Frame::ancestor(root, status.identity(), children));
            }
        }
    }

    /// Looks at a name in the last directory.
    fn visit(&mut self, child: Child) {
        let Some(frame) = self.frames.last() else { return };
        let Some(directory) = frame.directory.clone() else { return };
        let (tree, depth) = (frame.tree, self.frames.len());
        let name = OsStr::from_bytes(child.name().to_bytes());
        self.path.push(name);
        let why = tree.and_then(|tree| {
            let excludes = &self.options.excludes;
            by_marks(&frame.marks, name).or_else(|| excludes.by_path(&self.path, tree.depth))
        });
        match (why, child) {
            (Some(why), _) => self.leave_out(why),
            (None, Child::Ancestor(name, named)) => self.pass(&directory, &name, named),
            (None, Child::Named(name)) => {
                self.look(Place { parent: &directory, name: &name, tree: None });
            }
            (None, Child::Listed(name)) => {
                self.look(Place { parent: &directory, name: &name, tree });
            }
        }
        if self.frames.len() == depth {
            self.path.pop();
        }
    }

    /// A directory on the way to the paths `named`. It may be a link to one: so they were named.
    fn pass(&mut self, parent: &Directory, name: &CStr, named: Range<usize>) {
        let opened = parent.pass(name).and_then(|open| Ok((Status::of(&open)?, open)));
        let (status, directory) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                for path in &self.paths.as_slice()[named] {
                    self.found.push_back(WalkItem::Problem(Problem::new(path, "open", error)));
                }
                return;
            }
        };
        let mut entry = self.entry(&status, Kind::Directory);
        let mut problems = Vec::new();
        if let Err(error) = self.read_attributes(&mut entry, &directory, c".", &mut problems) {
            problems.push(self.unread_attributes(error));
        }
        self.tell(WalkItem::Enter(entry), problems);
        let children = planned(self.paths.as_slice(), named, self.frames.len());
        self.frames.push(Frame::ancestor(directory, status.identity(), children));
    }

    /// Goes into a directory.
    fn list(&mut self, directory: Directory, status: &Status, tree: Tree) {
        let (names, result) = directory.names();
        if let Err(error) = result {
            self.problem("list", error);
        }
        if let Some(above) = self.frames.len().checked_sub(OPEN_DIRECTORIES) {
            self.frames[above].close();
        }
        let marks = self.options.excludes.marks(&directory, &names);
        self.frames.push(Frame::tree(directory, status.identity(), names, marks, tree));
    }

    /// Goes back to the directory above.
    fn leave(&mut self) {
        let left = self.frames.pop();
        self.path.pop();
        let Some(frame) = self.frames.last_mut() else { return };
        self.found.push_back(WalkItem::Leave);
        let below = left.and_then(|left| left.directory);
        if let Err(error) = frame.reopen(below.as_ref()) {
            self.problem("go back to", error);
        }
    }

    fn entry(&self, status: &Status, kind: Kind) -> Entry {
        let metadata = status.metadata(&self.owners);
        Entry { path: self.path.clone(), kind, metadata }
    }

    fn read_attributes(
        &mut self,
        entry: &mut Entry,
        directory: &Directory,
        name: &CStr,
        problems: &mut Vec<Problem>,
    ) -> Result<(), Errno> {
        if self.options.attributes {
            let directory = directory.as_fd();
            entry.metadata.attributes =
                self.attributes.read(directory, name, &self.path, problems)?;
        }
        Ok(())
    }

    fn unread_attributes(&self, error: Errno) -> Problem {
        Problem::new(&self.path, "list the extended attributes of", error)
    }

    fn tell(&mut self, item: WalkItem, problems: Vec<Problem>) {
        self.found.push_back(item);
        self.found.extend(problems.into_iter().map(WalkItem::Problem));
    }

    fn leave_out(&mut self, why: Exclusion) {
        self.found.push_back(WalkItem::LeftOut { path: self.path.clone(), why });
    }

    fn problem(&mut self, operation: &'static str, source: impl Into<io::Error>) {
        let problem = Problem::new(&self.path, operation, source);
        self.found.push_back(WalkItem::Problem(problem));
    }
}

impl Iterator for Walk {
    type Item = WalkItem;

    fn next(&mut self) -> Option<WalkItem> {
        loop {
            if let Some(item) = self.found.pop_front() {
                return Some(item);
            }
            match self.frames.last_mut()?.next() {
                Some(child) => self.visit(child),
                None => self.leave(),
            }
        }
    }
}

impl FusedIterator for Walk {}

impl fmt::Debug for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, options, path, .. } = self;
        f.debug_struct("Walk")
            .field("paths", paths)
            .field("options", options)
            .field("path", path)
            .finish_non_exhaustive()
    }
}
