//! Puts files back, and the databases among them: plan, then the tree, then the databases in it.

mod ahead;
mod content;
mod extras;
mod placed;
mod report;
mod root;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Instant;

use lifeboat_files::{Overwrite, Owners, PutOptions, clean};
use lifeboat_repository::{BackupName, FilesSource, Manifest, Time};

pub use self::placed::{PlacedAction, PlacedPlan, RestoredDatabase};
pub use self::report::{FilesRestoreReport, RestoreProblem};

use self::report::Problems;
use self::root::Root;
use self::tree::TreeRestore;
use super::StoredFiles;
use super::filter::Filter;
use super::meant::StoredSource;
use super::stored::unescaped;
use super::tree_walk::{Step, TreeWalk};
use crate::{Detour, Error, OpenRepository, Progress, Result};

/// What of a source to put back, and how.
#[derive(Debug, Clone, Default)]
pub struct FilesRestoreRequest {
    /// The directory that stands for `/`; `None`: everything goes where it came from.
    pub target: Option<PathBuf>,
    /// Only what lies at or below these paths in the backup. Empty: all.
    pub paths: Vec<PathBuf>,
    /// Only what fits one of these patterns, which are restic's. Empty: all.
    pub include: Vec<String>,
    /// Nothing that fits one of these.
    pub exclude: Vec<String>,
    /// What becomes of what is there.
    pub overwrite: Overwrite,
    /// Take away what is not in the backup.
    pub delete: bool,
    /// Owners are numbers, whatever they are called on this host.
    pub numeric_owner: bool,
    /// Decide and count, but touch nothing.
    pub dry_run: bool,
    /// Take no lock of the repository.
    pub no_lock: bool,
    /// Leave out SQLite's integrity check of the databases.
    pub no_verify: bool,
}

/// What a restore of files will do. Nothing has been changed yet.
#[derive(Debug)]
pub struct FilesRestorePlan {
    /// The backup.
    pub backup: BackupName,
    /// The name given to it.
    pub label: Option<String>,
    /// Newer backups that were passed over.
    pub detour: Detour,
    /// The source.
    pub source: FilesSource,
    /// The directory that the files go to, with their paths below `within`.
    pub directory: PathBuf,
    /// The directory of the backup that stands for it.
    pub within: PathBuf,
    /// Regular files that are meant.
    pub files: u64,
    /// Directories that are meant.
    pub directories: u64,
    /// Links, devices, pipes and sockets that are meant.
    pub others: u64,
    /// Bytes of the files.
    pub size_bytes: u64,
    /// Bytes free where they go to.
    pub free_bytes: u64,
    /// The databases that belong among them.
    pub databases: Vec<PlacedPlan>,
    manifest: Manifest,
    root: Root,
    filter: Filter,
    request: FilesRestoreRequest,
    stored: StoredFiles,
}

/// Decides what to restore. Trees are read, so it takes a lock of the repository until the plan is carried out or
/// dropped.
///
/// Fails if the source is not files, if its tree cannot be read, and if a path that was named is not in it.
pub fn plan_files_restore(
    opened: &OpenRepository<'_>,
    meant: StoredSource,
    request: &FilesRestoreRequest,
    progress: &dyn Progress,
) -> Result<FilesRestorePlan> {
    let StoredSource { backup, manifest, source, path, detour } = meant;
    let Some(source) = source.files().cloned() else {
        return Err(Error::Usage { problem: "the source is not files".to_owned(), hint: None });
    };
    let paths: Vec<PathBuf> = path.iter().chain(&request.paths).map(|path| clean(path)).collect();
    let filter = Filter::new(&paths, &request.include, &request.exclude)?;
    let stored = StoredFiles::open(opened, request.no_lock, progress)?;
    let working_directory = opened.context().environment().working_directory();
    let root = match &request.target {
        Some(target) => Root::at(working_directory.join(target), &source),
        None => Root::in_place(&stored, &source, &filter)?,
    };
    let databases = placed::plan(&manifest, &source, &root, &filter, request.overwrite);
    for path in &paths {
        let is_database = databases.iter().any(|database| database.path == *path);
        if !is_database
            && stored.node_at(&source.stored.tree, path)?.is_none()
            && path != Path::new("/")
        {
            return Err(Error::NoPath {
                path: path.clone(),
                source_name: source.name,
                backup: backup.id,
            });
        }
    }
    let counts =
        if filter.is_all() { Counts::of(&source) } else { count(&stored, &source, &filter)? };
    Ok(FilesRestorePlan {
        label: manifest.label.clone(),
        backup,
        detour,
        directory: root.directory.clone(),
        within: root.within.clone(),
        files: counts.files,
        directories: counts.directories,
        others: counts.others,
        size_bytes: counts.bytes,
        free_bytes: crate::space::free_bytes(existing(&root.directory))?,
        databases,
        source,
        manifest,
        root,
        filter,
        request: request.clone(),
        stored,
    })
}

/// Carries a plan out. What cannot be read or put is a problem with its path, and everything else is restored.
pub fn restore_files(
    opened: &OpenRepository<'_>,
    plan: &FilesRestorePlan,
    progress: &dyn Progress,
) -> Result<FilesRestoreReport> {
    let began = Instant::now();
    let mut problems = Problems::default();
    progress.begin(&format!("restoring {}", plan.source.name), Some(plan.size_bytes));
    let put = TreeRestore::run(opened, plan, put_options(&plan.request), &mut problems, progress);
    progress.end();
    let put = put?;
    let (databases, detour) = placed::restore_all(opened, plan, &mut problems, progress);
    let mut report = FilesRestoreReport::new(plan, put, problems);
    report.databases = databases;
    report.damaged = detour.damaged;
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

fn put_options(request: &FilesRestoreRequest) -> PutOptions {
    PutOptions {
        overwrite: request.overwrite,
        owners: if request.numeric_owner { Owners::Numeric } else { Owners::ByName },
        dry_run: request.dry_run,
        safety: Some(safety_name()),
        ..PutOptions::default()
    }
}

/// What the directory for replaced files is called.
pub(crate) fn safety_name() -> std::ffi::OsString {
    format!(".lifeboat-before-restore-{}", Time::now().name()).into()
}

/// The nearest directory that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"))
}

#[derive(Debug, Default)]
struct Counts {
    files: u64,
    directories: u64,
    others: u64,
    bytes: u64,
}

impl Counts {
    fn of(source: &FilesSource) -> Self {
        let FilesSource { files, directories, others, size_bytes, .. } = *source;
        Self { files, directories, others, bytes: size_bytes }
    }
}

/// Counts what a filter leaves. What cannot be read is told when it is to be restored.
fn count(stored: &StoredFiles, source: &FilesSource, filter: &Filter) -> Result<Counts> {
    let mut counts = Counts::default();
    let walk = TreeWalk::new(stored, &source.stored.tree, Path::new("/"), filter.clone())?;
    for step in walk {
        match step {
            Step::Enter { chosen, .. } => counts.directories += u64::from(chosen),
            Step::Entry { node, .. } if node.kind == lifeboat_files::Kind::File => {
                counts.files += 1;
                counts.bytes += node.metadata.size;
            }
            Step::Entry { .. } => counts.others += 1,
            Step::Leave { .. } | Step::End { .. } | Step::Problem { .. } => {}
        }
    }
    Ok(counts)
}

/// The paths of a source, clean.
fn paths_of(source: &FilesSource) -> Vec<PathBuf> {
    source.paths.iter().map(|path| clean(&unescaped(path))).collect()
}
