//! What came of a restore of files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lifeboat_files::PutReport;
use lifeboat_repository::BackupName;

use super::{FilesRestorePlan, RestoredDatabase};
use crate::error::chain;
use crate::{DamagedObject, Detour};

/// So many problems are kept in full; more are only counted.
const KEPT: usize = 100;

/// Something that could not be restored as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreProblem {
    /// Where it was to be.
    pub path: PathBuf,
    /// What could not be done, and why.
    pub error: String,
}

/// What a restore of files did; after a dry run, what it would do.
#[derive(Debug)]
pub struct FilesRestoreReport {
    /// The backup.
    pub backup: BackupName,
    /// The name of the source.
    pub source: String,
    /// The directory that the files went to.
    pub directory: PathBuf,
    /// Newer backups that were passed over.
    pub detour: Detour,
    /// Whether nothing was touched.
    pub dry_run: bool,
    /// Regular files that are as in the backup now.
    pub files: u64,
    /// Directories made or entered.
    pub directories: u64,
    /// Links, devices, pipes and sockets that are as in the backup now.
    pub others: u64,
    /// Bytes of content that were written.
    pub written_bytes: u64,
    /// Files and others that were there with the same content.
    pub unchanged: u64,
    /// Entries in whose place something else was.
    pub replaced: u64,
    /// Entries in whose place something else stays.
    pub skipped: u64,
    /// Names that are not in the backup and were taken away.
    pub removed: u64,
    /// What was moved to a safe place, replaced or removed.
    pub moved_aside: u64,
    /// Where that is.
    pub moved_to: Vec<PathBuf>,
    /// Entries that belong to whoever ran this instead of their owner.
    pub owners_skipped: u64,
    /// Entries without their setuid or setgid bit, because their owner is another.
    pub set_id_dropped: u64,
    /// Users and groups that are not known here: their numbers were taken.
    pub unknown_owners: BTreeSet<String>,
    /// The databases among the files.
    pub databases: Vec<RestoredDatabase>,
    /// Objects of databases that were gone around.
    pub damaged: Vec<DamagedObject>,
    /// The first 100 problems.
    pub problems: Vec<RestoreProblem>,
    /// All problems.
    pub problem_count: u64,
    /// How long it took.
    pub duration_ms: u64,
}

impl FilesRestoreReport {
    pub(super) fn new(plan: &FilesRestorePlan, put: PutReport, mut problems: Problems) -> Self {
        // What lies below a directory that could not be made is not told one by one.
        let untold = put.problem_count.saturating_sub(put.problems.len() as u64);
        for problem in &put.problems {
            problems.add(&problem.path, chain(problem));
        }
        Self {
            backup: plan.backup.clone(),
            source: plan.source.name.clone(),
            directory: plan.directory.clone(),
            detour: plan.detour.clone(),
            dry_run: plan.request.dry_run,
            files: put.files,
            directories: put.directories,
            others: put.others,
            written_bytes: put.written_bytes,
            unchanged: put.unchanged,
            replaced: put.replaced,
            skipped: put.skipped,
            removed: put.removed,
            moved_aside: put.moved_aside,
            moved_to: put.moved_to,
            owners_skipped: put.owners_skipped,
            set_id_dropped: put.set_id_dropped,
            unknown_owners: put.unknown_owners,
            databases: Vec::new(),
            damaged: Vec::new(),
            problem_count: problems.count + untold,
            problems: problems.first,
            duration_ms: 0,
        }
    }

    /// Whether something is missing of what was to be restored.
    pub fn is_partial(&self) -> bool {
        self.problem_count > 0 || !self.detour.skipped.is_empty()
    }
}

/// Problems, counted.
#[derive(Debug, Default)]
pub(super) struct Problems {
    first: Vec<RestoreProblem>,
    count: u64,
}

impl Problems {
    pub(super) fn add(&mut self, path: &Path, error: impl Into<String>) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(RestoreProblem { path: path.to_owned(), error: error.into() });
        }
    }
}
