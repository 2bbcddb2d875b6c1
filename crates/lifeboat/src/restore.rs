//! Puts a database back: plan, then stage, verify, swap.

use std::path::PathBuf;
use std::time::Instant;

use lifeboat_repository::BackupName;
use lifeboat_sqlite::Replaced;

use crate::destination::Destination;
use crate::fill::fill_newest;
use crate::search::Search;
use crate::selected::Selected;
use crate::{DatabaseSource, Detour, OpenRepository, Progress, Result, Selection};

/// What to restore, and where to.
#[derive(Debug, Clone, Default)]
pub struct RestoreRequest {
    /// Which database of which backup.
    pub selection: Selection,
    /// Where to; `None`: where it came from.
    pub target: Option<PathBuf>,
    /// Replace what is there.
    pub force: bool,
    /// Leave out SQLite's integrity check.
    pub no_verify: bool,
}

/// What a restore will do. Nothing has been changed yet.
#[derive(Debug)]
pub struct RestorePlan {
    search: Search,
    selected: Selected,
    /// Where to.
    pub target: PathBuf,
    /// Whether something is there that will be moved aside.
    pub replaces: bool,
    /// Bytes to read from the repository.
    pub sealed_bytes: u64,
    /// Bytes free where the target lies.
    pub free_bytes: u64,
    verify: bool,
}

/// What a restore did.
#[derive(Debug)]
pub struct RestoreReport {
    /// The backup that was restored: not that of the plan if its objects turned out to be damaged.
    pub backup: BackupName,
    /// The database in it.
    pub database: DatabaseSource,
    /// What was gone around.
    pub detour: Detour,
    /// Where the database is now.
    pub target: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// Bytes read from the repository.
    pub sealed_bytes: u64,
    /// What was at the target.
    pub replaced: Replaced,
    /// Whether SQLite's integrity check ran.
    pub verified: bool,
    /// How long it took.
    pub duration_ms: u64,
}

impl RestorePlan {
    /// The backup.
    pub fn backup(&self) -> &BackupName {
        &self.selected.name
    }

    /// The name given to the backup.
    pub fn label(&self) -> Option<&str> {
        self.selected.label.as_deref()
    }

    /// What was gone around to find it.
    pub fn detour(&self) -> &Detour {
        &self.search.detour
    }

    /// The database.
    pub fn database(&self) -> &DatabaseSource {
        &self.selected.database
    }

    /// LTX files that will be read.
    pub fn files(&self) -> usize {
        self.selected.way.files.len()
    }
}

/// Decides what to restore and whether it can be done.
///
/// A target that exists is refused without `force`, before anything is read.
pub fn plan_restore(
    opened: &OpenRepository<'_>,
    request: &RestoreRequest,
    progress: &dyn Progress,
) -> Result<RestorePlan> {
    let mut search = Search::begin(opened, &request.selection)?;
    let selected = search.next(opened, progress)?;
    let database = &selected.database;
    let Destination { target, replaces, free_bytes } = Destination::plan(
        opened.context(),
        request.target.as_deref(),
        request.force,
        &database.name,
        &database.into(),
        database.size_bytes,
    )?;
    Ok(RestorePlan {
        sealed_bytes: selected.way.sealed_bytes(),
        search,
        selected,
        target,
        replaces,
        free_bytes,
        verify: !request.no_verify,
    })
}

/// Carries a plan out: staged beside the target, verified, made durable, swapped in.
///
/// What turns out to be damaged is gone around: by other files that lead to the same point, else,
/// unless the user named the backup, by the next older one, which is told as
/// [`Note::OtherBackup`](crate::Note::OtherBackup).
pub fn restore(
    opened: &OpenRepository<'_>,
    plan: RestorePlan,
    progress: &dyn Progress,
) -> Result<RestoreReport> {
    let began = Instant::now();
    let RestorePlan { mut search, selected, target, replaces, free_bytes, verify, .. } = plan;
    let destination = Destination { target, replaces, free_bytes };
    let (mut stage, _claim) = destination.begin_stage(progress)?;
    let selected = fill_newest(opened, &mut search, selected, &mut stage, verify, progress)?;
    let size_bytes = stage.size();
    let replaced = destination.put(stage, &(&selected.database).into())?;
    Ok(RestoreReport {
        sealed_bytes: selected.way.sealed_bytes(),
        backup: selected.name,
        database: selected.database,
        detour: search.detour,
        target: destination.target,
        size_bytes,
        replaced,
        verified: verify,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
