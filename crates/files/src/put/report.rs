//! What came of putting a tree back.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use crate::Problem;

/// So many problems, and names of unknown owners, are kept in full; more are only counted.
const KEPT: usize = 100;

/// What came of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was there.
    Created,
    /// Something else was there.
    Replaced,
    /// It was there with the same content; its metadata was corrected where needed.
    Unchanged,
    /// It is another name for a file that was put before.
    Linked,
    /// What was there stays, by the rule of [`Overwrite`](crate::Overwrite).
    Skipped,
    /// It is not there. The problem is in the report, or that of a directory above it is.
    Failed,
}

/// What came of putting a tree back. After a dry run: what would.
#[derive(Debug, Default)]
pub struct PutReport {
    /// Regular files that are as in the backup now, whether written, linked or found so.
    pub files: u64,
    /// Directories made or entered.
    pub directories: u64,
    /// Links, devices, pipes and sockets that are as in the backup now.
    pub others: u64,
    /// Bytes of content that were written. Zeros that became holes count.
    pub written_bytes: u64,
    /// Files and others that were there with the same content; part of `files` and `others`.
    pub unchanged: u64,
    /// Names that were linked to a file put before; part of `files`.
    pub linked: u64,
    /// Names that could not be linked to such a file, as on another file system, and became files
    /// of their own.
    pub separated: u64,
    /// Entries in whose place something else was.
    pub replaced: u64,
    /// What was there and stays by the rule of [`Overwrite`](crate::Overwrite).
    pub skipped: u64,
    /// Entries below a directory that could not be entered. The problem is counted once, at it.
    pub unreachable: u64,
    /// Names that are not in the backup and were taken away.
    pub removed: u64,
    /// What was moved to a safe place, replaced or removed.
    pub moved_aside: u64,
    /// Where that is: one directory for each file system in which something was moved.
    pub moved_to: Vec<PathBuf>,
    /// Entries that belong to whoever runs this instead of their owner in the backup.
    pub owners_skipped: u64,
    /// Entries without their setuid or setgid bit, because their owner or group is another.
    pub set_id_dropped: u64,
    /// Names of users and groups that are not known here; their numbers were taken. The first 100.
    pub unknown_owners: BTreeSet<String>,
    /// The first 100 problems.
    pub problems: Vec<Problem>,
    /// All problems. An entry may have more than one.
    pub problem_count: u64,
}

impl PutReport {
    pub(super) fn problem(&mut self, path: PathBuf, operation: &'static str, source: io::Error) {
        self.problem_count += 1;
        if self.problems.len() < KEPT {
            self.problems.push(Problem { path, operation, source });
        }
    }

    pub(super) fn unknown_owner(&mut self, name: &str) {
        if self.unknown_owners.len() < KEPT && !self.unknown_owners.contains(name) {
            self.unknown_owners.insert(name.to_owned());
        }
    }

    /// Counts what came of a file.
    pub(super) fn file(&mut self, outcome: Outcome) -> Outcome {
        self.files += u64::from(is_there(outcome));
        self.count(outcome)
    }

    /// Counts what came of what is neither file nor directory.
    pub(super) fn other(&mut self, outcome: Outcome) -> Outcome {
        self.others += u64::from(is_there(outcome));
        self.count(outcome)
    }

    fn count(&mut self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Created | Outcome::Failed => {}
            Outcome::Replaced => self.replaced += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Linked => self.linked += 1,
            Outcome::Skipped => self.skipped += 1,
        }
        outcome
    }
}

fn is_there(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Skipped | Outcome::Failed)
}
