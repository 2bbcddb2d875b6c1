//! A directory that a walk is in.

use std::ffi::{CStr, CString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::directory::Directory;
use crate::metadata::Identity;

/// A directory on the way to where the walk is.
pub(super) struct Frame {
    /// `None` while too many are open, and if it could not be found again.
    pub(super) directory: Option<Directory>,
    identity: Identity,
    children: Children,
    /// Names in it that mark it: the others are left out.
    pub(super) marks: Vec<CString>,
    /// The tree that it is in; `None` for one that only leads to named paths.
    pub(super) tree: Option<Tree>,
}

/// What is at and below a named path.
#[derive(Clone, Copy)]
pub(super) struct Tree {
    /// The file system of the named path.
    pub(super) device: u64,
    /// How many names the named path has.
    pub(super) depth: usize,
}

/// What is still to be looked at, the next one last.
enum Children {
    Planned(Vec<Child>),
    Listed(Vec<CString>),
}

/// A name to be looked at.
pub(super) enum Child {
    /// A directory that leads to these of the named paths.
    Ancestor(CString, Range<usize>),
    /// The last name of a named path.
    Named(CString),
    /// A name that was found.
    Listed(CString),
}

impl Frame {
    /// A directory that leads to named paths.
    pub(super) fn ancestor(
        directory: Directory,
        identity: Identity,
        mut children: Vec<Child>,
    ) -> Self {
        children.reverse();
        let children = Children::Planned(children);
        Self { directory: Some(directory), identity, children, marks: Vec::new(), tree: None }
    }

    /// A directory in a tree with all the `names` in it, in any order.
    pub(super) fn tree(
        directory: Directory,
        identity: Identity,
        mut names: Vec<CString>,
        marks: Vec<CString>,
        tree: Tree,
    ) -> Self {
        names.sort_unstable_by(|one, other| other.cmp(one));
        let children = Children::Listed(names);
        Self { directory: Some(directory), identity, children, marks, tree: Some(tree) }
    }

    /// The next name.
    pub(super) fn next(&mut self) -> Option<Child> {
        match &mut self.children {
            Children::Planned(children) => children.pop(),
            Children::Listed(names) => names.pop().map(Child::Listed),
        }
    }

    /// Closes it, if it can be found again: the way down to a named path may lead through links.
    pub(super) fn close(&mut self) {
        if self.tree.is_some() {
            self.directory = None;
        }
    }

    /// Opens it again from a directory in it. If that fails, nothing more is looked at in it; an error if
    /// something was left to be looked at.
    pub(super) fn reopen(&mut self, below: Option<&Directory>) -> Result<(), Errno> {
        if self.directory.is_some() {
            return Ok(());
        }
        match below.ok_or(Errno::STALE).and_then(|below| below.parent(self.identity)) {
            Ok(directory) => self.directory = Some(directory),
            Err(error) => {
                if self.next().is_some() {
                    self.children = Children::Listed(Vec::new());
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Child {
    pub(super) fn name(&self) -> &CStr {
        match self {
            Self::Ancestor(name, _) | Self::Named(name) | Self::Listed(name) => name,
        }
    }
}

/// What leads from a directory with `depth` components to the paths in the range `named`, all of them
/// below it.
pub(super) fn planned(paths: &[PathBuf], named: Range<usize>, depth: usize) -> Vec<Child> {
    let mut children = Vec::new();
    let mut start = named.start;
    while start < named.end {
        let mut rest = paths[start].iter().skip(1 + depth);
        // A path without another name would be the directory itself, and one with a zero byte no path.
        let name = rest.next().and_then(|name| CString::new(name.as_bytes()).ok());
        let is_last = rest.next().is_none();
        let same =
            |path: &&PathBuf| path.iter().nth(1 + depth) == paths[start].iter().nth(1 + depth);
        let end = start + paths[start..named.end].iter().take_while(same).count();
        match name {
            Some(name) if is_last => children.push(Child::Named(name)),
            Some(name) => children.push(Child::Ancestor(name, start..end)),
            None => {}
        }
        start = end;
    }
    children
}
