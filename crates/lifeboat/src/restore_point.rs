//! Puts a database back as it was at a point, whether a backup names that or not.

use std::path::PathBuf;
use std::time::Instant;

use lifeboat_sqlite::Replaced;

use crate::destination::Destination;
use crate::fill::fill_point;
use crate::point_search::{PointSearch, SelectedPoint};
use crate::{
    DamagedObject, FoundPoint, OpenRepository, PointSelection, Progress, Result, SkippedPoint,
};

/// Which point to restore, and where to.
#[derive(Debug, Clone)]
pub struct PointRestoreRequest {
    /// Which point of which database.
    pub selection: PointSelection,
    /// Where to; `None`: where it came from.
    pub target: Option<PathBuf>,
    /// Replace what is there.
    pub force: bool,
    /// Leave out SQLite's integrity check.
    pub no_verify: bool,
}

/// What a restore of a point will do. Nothing has been changed yet.
#[derive(Debug)]
pub struct PointRestorePlan {
    search: PointSearch,
    selected: SelectedPoint,
    destination: Destination,
    verify: bool,
}

/// What a restore of a point did.
#[derive(Debug)]
pub struct PointRestoreReport {
    /// The point that was restored.
    pub found: FoundPoint,
    /// Newer points that were meant and cannot be restored, newest first.
    pub skipped: Vec<SkippedPoint>,
    /// Objects that were gone around.
    pub damaged: Vec<DamagedObject>,
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

impl PointRestorePlan {
    /// The point.
    pub fn found(&self) -> &FoundPoint {
        &self.selected.found
    }

    /// Newer points that were meant and cannot be restored, newest first.
    pub fn skipped(&self) -> &[SkippedPoint] {
        &self.search.skipped
    }

    /// Objects that were gone around to find it.
    pub fn damaged(&self) -> &[DamagedObject] {
        &self.search.detour.damaged
    }

    /// LTX files that will be read.
    pub fn files(&self) -> usize {
        self.selected.way.files.len()
    }

    /// Bytes to read from the repository.
    pub fn sealed_bytes(&self) -> u64 {
        self.selected.way.sealed_bytes()
    }

    /// Bytes of the database.
    pub fn size_bytes(&self) -> u64 {
        self.selected.way.size_bytes
    }

    /// Where to.
    pub fn target(&self) -> &std::path::Path {
        &self.destination.target
    }

    /// Whether something is there that will be moved aside.
    pub fn replaces(&self) -> bool {
        self.destination.replaces
    }

    /// Bytes free where the target lies.
    pub fn free_bytes(&self) -> u64 {
        self.destination.free_bytes
    }
}

/// Decides which point to restore and whether it can be done.
///
/// A target that exists is refused without `force`, before any page is read.
pub fn plan_point_restore(
    opened: &OpenRepository<'_>,
    request: &PointRestoreRequest,
    progress: &dyn Progress,
) -> Result<PointRestorePlan> {
    let mut search = PointSearch::begin(opened, &request.selection, progress)?;
    let selected = search.next(opened, progress)?;
    let destination = Destination::plan(
        opened.context(),
        request.target.as_deref(),
        request.force,
        &selected.way.name,
        &search.former,
        selected.way.size_bytes,
    )?;
    Ok(PointRestorePlan { search, selected, destination, verify: !request.no_verify })
}

/// Carries a plan out, as [`restore`](crate::restore()) does.
///
/// What turns out to be damaged is gone around: by other files that lead to the same point, else,
/// unless the user named the transaction, by the next older point, which is told as
/// [`Note::OtherPoint`](crate::Note::OtherPoint).
pub fn restore_point(
    opened: &OpenRepository<'_>,
    plan: PointRestorePlan,
    progress: &dyn Progress,
) -> Result<PointRestoreReport> {
    let began = Instant::now();
    let PointRestorePlan { mut search, selected, destination, verify } = plan;
    let (mut stage, _claim) = destination.begin_stage(progress)?;
    let selected = fill_point(opened, &mut search, selected, &mut stage, verify, progress)?;
    let size_bytes = stage.size();
    let replaced = destination.put(stage, &search.former)?;
    Ok(PointRestoreReport {
        sealed_bytes: selected.way.sealed_bytes(),
        found: selected.found,
        skipped: search.skipped,
        damaged: search.detour.damaged,
        target: destination.target,
        size_bytes,
        replaced,
        verified: verify,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
