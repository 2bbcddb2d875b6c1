//! What a check found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;

use crate::{Error, SnapshotId, TreeId};

/// So many damaged objects are told with their problems, the rest only counted.
const MOST_DAMAGES: usize = 1000;
/// So many problems of one object are told.
const MOST_PROBLEMS: usize = 20;

/// What a check starts from: a snapshot, and the tree that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Its tree, as known from elsewhere or from itself.
    pub tree: TreeId,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// What is damaged or missing, each object once.
    pub damages: Vec<Damage>,
    /// How often more was found than `damages` has room for.
    pub more_damages: u64,
    /// The roots of which something cannot be restored.
    pub lost: Vec<LostRoot>,
    /// Roots that were followed.
    pub roots: u64,
    /// Directories that were read, each once.
    pub trees: u64,
    /// Pieces of files that were looked for, each as often as it is used.
    pub blobs: u64,
    /// Packs that are there.
    pub packs: u64,
    /// Packs that were read to their ends.
    pub packs_read: u64,
    /// Bytes of the packs that were read to their ends.
    pub read_bytes: u64,
    /// Packs that no index lists: what an interrupted backup has left, or another is just writing.
    pub unreferenced_packs: u64,
    /// Their bytes.
    pub unreferenced_bytes: u64,
}

impl CheckReport {
    /// Whether nothing is damaged and nothing lost.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.lost.is_empty()
    }
}

/// A damaged or missing object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its key; or which blob or directory, where it is not known in which object it should be.
    pub object: String,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// A root of which something cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRoot {
    /// Its snapshot.
    pub snapshot: SnapshotId,
    /// What is wrong with the snapshot itself; what it stands for may be whole.
    pub problem: Option<String>,
    /// What of it cannot be restored: the first in the order of their paths.
    pub paths: Vec<LostPath>,
    /// Whether there are more.
    pub more_paths: bool,
}

/// A file that cannot be restored as it was, or a directory of which nothing can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostPath {
    /// Where it was, from the top of the snapshot.
    pub path: PathBuf,
    /// What is missing of it.
    pub problem: String,
}

/// Collects damages while a check goes on.
#[derive(Debug, Default)]
pub(super) struct Damages {
    by_object: BTreeMap<String, BTreeSet<String>>,
    more: u64,
}

impl Damages {
    pub(super) fn add(&mut self, object: impl Display, problem: impl Into<String>) {
        let object = object.to_string();
        if self.by_object.len() >= MOST_DAMAGES && !self.by_object.contains_key(&object) {
            self.more += 1;
            return;
        }
        let problems = self.by_object.entry(object).or_default();
        if problems.len() < MOST_PROBLEMS {
            problems.insert(problem.into());
        } else {
            self.more += 1;
        }
    }

    /// An error that reading something gave. One of the storage names its object itself.
    pub(super) fn add_error(&mut self, object: impl Display, error: &Error) {
        match error {
            Error::Corrupt { object, problem } => self.add(object, problem),
            Error::Storage(lifeboat_storage::Error::NotFound { key, .. }) => {
                self.add(key, "missing");
            }
            error => self.add(object, error.with_sources()),
        }
    }

    pub(super) fn finish(self, report: &mut CheckReport) {
        let damages = self.by_object.into_iter();
        let damages = damages
            .map(|(object, problems)| Damage { object, problems: problems.into_iter().collect() });
        report.damages = damages.collect();
        report.more_damages = self.more;
    }
}
