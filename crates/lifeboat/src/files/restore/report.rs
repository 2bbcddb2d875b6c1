//! What came of a restore of files.

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
    /// What came of the tree. Its problems are told below, with all others.
    pub put: PutReport,
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
    pub(super) fn new(plan: &FilesRestorePlan, mut put: PutReport, mut problems: Problems) -> Self {
        // What lies below a directory that could not be made is not told one by one.
        let untold = put.problem_count.saturating_sub(put.problems.len() as u64);
        for problem in std::mem::take(&mut put.problems) {
            problems.add(&problem.path, chain(&problem));
        }
        Self {
            backup: plan.backup.clone(),
            source: plan.source.name.clone(),
            directory: plan.directory.clone(),
            detour: plan.detour.clone(),
            dry_run: plan.request.dry_run,
            put,
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
