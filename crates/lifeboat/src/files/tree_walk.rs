//! A way through a stored tree, in the order in which it is put back.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::vec;

use lifeboat_restic::{Error as ResticError, Node, Tree, TreeId};

use super::StoredFiles;
use super::filter::Filter;
use crate::Result;

/// What comes next on the way. Paths are those in the backup.
#[derive(Debug)]
pub(crate) enum Step {
    /// A directory, and what is in it until it is left.
    Enter {
        path: PathBuf,
        node: Box<Node>,
        /// It itself was chosen, not only something below it.
        chosen: bool,
    },
    /// The end of the directory that was entered last.
    Leave {
        path: PathBuf,
        chosen: bool,
        /// All that is in it is known.
        whole: bool,
    },
    /// The end of the directory at which the walk began.
    End {
        path: PathBuf,
        /// All that is in it is known.
        whole: bool,
    },
    /// Anything but a directory.
    Entry { path: PathBuf, node: Box<Node> },
    /// Something that cannot be read.
    Problem { path: PathBuf, error: ResticError },
}

/// A walk. A directory that was not chosen is entered only if something in it is.
///
/// Memory: the trees of the directories from the root down to the current one.
#[derive(Debug)]
pub(crate) struct TreeWalk<'a> {
    files: &'a StoredFiles,
    filter: Filter,
    /// The directory at which the walk began first.
    frames: Vec<Frame>,
    ready: VecDeque<Step>,
}

#[derive(Debug)]
struct Frame {
    path: PathBuf,
    /// Its own node, until it is entered.
    node: Option<Box<Node>>,
    chosen: bool,
    whole: bool,
    rest: vec::IntoIter<Node>,
}

impl<'a> TreeWalk<'a> {
    /// Begins in a directory that has the path `at`, which itself is not entered. Fails if it cannot be read.
    pub(crate) fn new(
        files: &'a StoredFiles,
        root: &TreeId,
        at: &Path,
        filter: Filter,
    ) -> Result<Self> {
        let tree = files.tree(root)?;
        let mut walk = Self { files, filter, frames: Vec::new(), ready: VecDeque::new() };
        walk.push(at.to_owned(), None, true, tree);
        Ok(walk)
    }

    fn push(&mut self, path: PathBuf, node: Option<Box<Node>>, chosen: bool, tree: Tree) {
        let mut whole = true;
        let mut problems = Vec::new();
        for unreadable in tree.unreadable {
            whole = false;
            let path = path.join(&unreadable.name);
            if self.filter.choose(&path).any() {
                let object = format!("an entry of directory {}", path.display());
                let error = ResticError::Corrupt { object, problem: unreadable.problem };
                problems.push(Step::Problem { path, error });
            }
        }
        self.frames.push(Frame { path, node, chosen, whole, rest: tree.nodes.into_iter() });
        if chosen {
            self.enter_all();
        }
        self.ready.extend(problems);
    }

    /// Enters the directories that were not entered yet.
    fn enter_all(&mut self) {
        for frame in &mut self.frames {
            if let Some(node) = frame.node.take() {
                let (path, chosen) = (frame.path.clone(), frame.chosen);
                self.ready.push_back(Step::Enter { path, node, chosen });
            }
        }
    }

    fn visit(&mut self, path: PathBuf, node: Node) {
        let chosen = self.filter.choose(&path);
        let Some(subtree) = node.subtree.filter(|_| chosen.any()) else {
            if chosen.itself {
                self.enter_all();
                self.ready.push_back(Step::Entry { path, node: Box::new(node) });
            }
            return;
        };
        match self.files.tree(&subtree) {
            Ok(tree) => self.push(path, Some(Box::new(node)), chosen.itself, tree),
            Err(error) => {
                if chosen.itself {
                    self.push(path.clone(), Some(Box::new(node)), true, Tree::default());
                    if let Some(frame) = self.frames.last_mut() {
                        frame.whole = false;
                    }
                }
                self.ready.push_back(Step::Problem { path, error });
            }
        }
    }

    fn leave(&mut self) {
        let Some(Frame { path, node: None, chosen, whole, .. }) = self.frames.pop() else { return };
        // The directory at which the walk began was not entered.
        let is_root = self.frames.is_empty();
        self.ready.push_back(match is_root {
            true => Step::End { path, whole },
            false => Step::Leave { path, chosen, whole },
        });
    }
}

impl Iterator for TreeWalk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            let frame = self.frames.last_mut()?;
            match frame.rest.next() {
                Some(node) => {
                    let path = frame.path.join(&node.name);
                    self.visit(path, node);
                }
                None => self.leave(),
            }
        }
    }
}
