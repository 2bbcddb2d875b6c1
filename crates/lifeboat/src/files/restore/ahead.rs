//! Looks ahead on the way through a tree, so that content is fetched before its turn comes.
//!
//! The steps that were looked at wait here until their turn; the pieces of their files are asked for meanwhile.
//! Both are bounded: the steps by their number, the pieces by what is fetched ahead.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io::ErrorKind;
use std::rc::Rc;

use lifeboat_files::{Kind, Overwrite};
use lifeboat_restic::{BlobId, Node};

use super::super::tree_walk::{Step, TreeWalk};
use super::root::Root;

/// So many steps are looked at before their turn.
const MOST_STEPS: usize = 1024;

/// A step, and whether its content was asked for.
pub(super) struct Planned {
    pub(super) step: Step,
    pub(super) asked: bool,
}

/// The walk, and what of it waits for its turn.
pub(super) struct Ahead<'a> {
    walk: TreeWalk<'a>,
    root: &'a Root,
    /// `None`: nothing will be written.
    overwrite: Option<Overwrite>,
    steps: VecDeque<Planned>,
    /// Pieces of the last of the steps that were not asked for yet.
    pieces: VecDeque<BlobId>,
    /// Files with several names that had one already.
    linked: HashSet<(u64, u64)>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(walk: TreeWalk<'a>, root: &'a Root, overwrite: Option<Overwrite>) -> Self {
        let (steps, pieces) = (VecDeque::new(), VecDeque::new());
        Self { walk, root, overwrite, steps, pieces, linked: HashSet::new() }
    }

    /// The next step.
    pub(super) fn step(&mut self) -> Option<Planned> {
        if self.steps.is_empty() {
            self.look();
        }
        self.steps.pop_front()
    }

    /// The next piece that will be needed; `None` if it is not known yet.
    fn piece(&mut self) -> Option<BlobId> {
        while self.pieces.is_empty() && self.steps.len() < MOST_STEPS && self.look() {}
        self.pieces.pop_front()
    }

    fn look(&mut self) -> bool {
        let Some(step) = self.walk.next() else { return false };
        let asked = match &step {
            Step::Entry { path, node } => {
                let asked = self.is_needed(path, node);
                if asked {
                    self.pieces.extend(&node.content);
                }
                asked
            }
            _ => false,
        };
        self.steps.push_back(Planned { step, asked });
        true
    }

    /// Whether the content of a file will be written, by what is there now. Where that turns out otherwise, it
    /// was fetched for nothing, or is fetched later by itself.
    fn is_needed(&mut self, path: &std::path::Path, node: &Node) -> bool {
        let Some(overwrite) = self.overwrite.filter(|_| node.kind == Kind::File) else {
            return false;
        };
        let metadata = &node.metadata;
        if metadata.links > 1 && !self.linked.insert((metadata.device, metadata.inode)) {
            return false;
        }
        let Some(place) = self.root.place(path) else { return false };
        match place.symlink_metadata() {
            Ok(found) => {
                let always = matches!(overwrite, Overwrite::Always | Overwrite::IfChanged);
                always && found.is_file() && found.len() != metadata.size
            }
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }
}

/// The pieces that will be needed, in their order.
pub(super) struct Pieces<'a>(pub(super) Rc<RefCell<Ahead<'a>>>);

impl Iterator for Pieces<'_> {
    type Item = BlobId;

    fn next(&mut self) -> Option<BlobId> {
        self.0.borrow_mut().piece()
    }
}
