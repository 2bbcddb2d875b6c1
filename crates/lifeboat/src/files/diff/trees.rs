//! What differs between two trees.

use std::cmp::Ordering;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

use lifeboat_files::{Kind, Metadata};
use lifeboat_restic::{Node, TreeId};

use super::super::StoredFiles;
use super::super::filter::Filter;
use super::super::restore::RestoreProblem;
use super::DiffReport;
use crate::Result;
use crate::error::chain;

/// An entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its path.
    pub path: PathBuf,
    /// How.
    pub change: Change,
    /// Whether it is a directory, after or, if it was removed, before.
    pub directory: bool,
    /// Bytes of the file before.
    pub from_bytes: u64,
    /// Bytes of the file after.
    pub to_bytes: u64,
}

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is only in the newer backup.
    Added,
    /// It is only in the older backup.
    Removed,
    /// Its content differs, or where it points to.
    Modified,
    /// Only its owner, permissions, times or extended attributes differ.
    Metadata,
    /// It is of another type.
    Retyped,
}

impl Change {
    /// The letter that stands for it.
    pub fn letter(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Modified => 'M',
            Self::Metadata => 'U',
            Self::Retyped => 'T',
        }
    }
}

/// A name in both trees or in one.
type Pair = (Option<Node>, Option<Node>);

/// A comparison of two trees. Directories with equal ids are not read.
///
/// Memory: the trees of the directories from the root down to the current one, of both.
pub(super) struct TreeDiff<'a> {
    files: &'a StoredFiles,
    filter: &'a Filter,
    report: &'a mut DiffReport,
    /// Directories on the way, with what is left of them in reverse order.
    frames: Vec<(PathBuf, Vec<Pair>)>,
}

impl<'a> TreeDiff<'a> {
    pub(super) fn run(
        files: &'a StoredFiles,
        (from, to): (TreeId, TreeId),
        filter: &'a Filter,
        report: &'a mut DiffReport,
        each: &mut dyn FnMut(&Difference) -> Result<()>,
    ) -> Result<()> {
        let mut diff = Self { files, filter, report, frames: Vec::new() };
        diff.open(PathBuf::from("/"), Some(from), Some(to));
        while let Some((directory, rest)) = diff.frames.last_mut() {
            let Some(pair) = rest.pop() else {
                diff.frames.pop();
                continue;
            };
            let Some(node) = pair.1.as_ref().or(pair.0.as_ref()) else { continue };
            let path = directory.join(&node.name);
            diff.compare(path, &pair, each)?;
        }
        Ok(())
    }

    fn compare(
        &mut self,
        path: PathBuf,
        pair: &Pair,
        each: &mut dyn FnMut(&Difference) -> Result<()>,
    ) -> Result<()> {
        let chosen = self.filter.choose(&path);
        if chosen.itself
            && let Some(difference) = difference(&path, pair)
        {
            self.report.add(&difference);
            each(&difference)?;
        }
        let subtree = |node: &Option<Node>| node.as_ref().and_then(|node| node.subtree);
        if chosen.any() {
            self.open(path, subtree(&pair.0), subtree(&pair.1));
        }
        Ok(())
    }

    /// Goes into a directory, unless it is the same in both.
    fn open(&mut self, path: PathBuf, from: Option<TreeId>, to: Option<TreeId>) {
        if from == to {
            return;
        }
        let (one, other) = (self.nodes(&path, from), self.nodes(&path, to));
        // One that cannot be read is no directory that was emptied.
        if let (Some(one), Some(other)) = (one, other) {
            self.frames.push((path, pairs(one, other)));
        }
    }

    fn nodes(&mut self, path: &Path, tree: Option<TreeId>) -> Option<Vec<Node>> {
        let Some(tree) = tree else { return Some(Vec::new()) };
        let problems = &mut self.report.problems;
        match self.files.tree(&tree) {
            Ok(tree) => {
                problems.extend(tree.unreadable.into_iter().map(|unreadable| RestoreProblem {
                    path: path.join(unreadable.name),
                    error: unreadable.problem,
                }));
                Some(tree.nodes)
            }
            Err(error) => {
                problems.push(RestoreProblem { path: path.to_owned(), error: chain(&error) });
                None
            }
        }
    }
}

/// Both are in the order of their names; the pairs come in the reverse order.
fn pairs(one: Vec<Node>, other: Vec<Node>) -> Vec<Pair> {
    let (mut one, mut other) = (one, other);
    let mut pairs = Vec::new();
    while let Some(order) = last_order(&one, &other) {
        pairs.push(match order {
            Ordering::Greater => (one.pop(), None),
            Ordering::Less => (None, other.pop()),
            Ordering::Equal => (one.pop(), other.pop()),
        });
    }
    pairs
}

fn last_order(one: &[Node], other: &[Node]) -> Option<Ordering> {
    match (one.last(), other.last()) {
        (Some(one), Some(other)) => Some(one.name.cmp(&other.name)),
        (Some(_), None) => Some(Ordering::Greater),
        (None, Some(_)) => Some(Ordering::Less),
        (None, None) => None,
    }
}

fn difference(path: &Path, pair: &Pair) -> Option<Difference> {
    let (change, shown) = match pair {
        (Some(one), Some(other)) => (change(one, other)?, other),
        (None, Some(other)) => (Change::Added, other),
        (Some(one), None) => (Change::Removed, one),
        (None, None) => return None,
    };
    let bytes = |node: &Option<Node>| node.as_ref().map_or(0, |node| node.metadata.size);
    Some(Difference {
        path: path.to_owned(),
        change,
        directory: shown.kind == Kind::Directory,
        from_bytes: bytes(&pair.0),
        to_bytes: bytes(&pair.1),
    })
}

fn change(one: &Node, other: &Node) -> Option<Change> {
    if discriminant(&one.kind) != discriminant(&other.kind) {
        return Some(Change::Retyped);
    }
    if one.content != other.content || one.kind != other.kind {
        return Some(Change::Modified);
    }
    (meaning(&one.metadata) != meaning(&other.metadata)).then_some(Change::Metadata)
}

/// What of the metadata a restore would bring back. Numbers of inodes and the time at which they changed tell
/// apart what is the same to everyone.
fn meaning(metadata: &Metadata) -> impl PartialEq + use<'_> {
    let Metadata { permissions, user_id, group_id, user, group, modified, attributes, .. } =
        metadata;
    (permissions, user_id, group_id, user, group, modified, attributes)
}

impl DiffReport {
    fn add(&mut self, difference: &Difference) {
        let Difference { change, from_bytes, to_bytes, .. } = difference;
        match change {
            Change::Added => {
                (self.added, self.added_bytes) = (self.added + 1, self.added_bytes + to_bytes);
            }
            Change::Removed => {
                (self.removed, self.removed_bytes) =
                    (self.removed + 1, self.removed_bytes + from_bytes);
            }
            Change::Modified => {
                (self.modified, self.modified_bytes) =
                    (self.modified + 1, self.modified_bytes + to_bytes);
            }
            Change::Metadata => self.metadata += 1,
            Change::Retyped => self.retyped += 1,
        }
    }
}
