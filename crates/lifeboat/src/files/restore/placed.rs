//! The databases that belong among files: each is restored by itself to its place.

use std::fs::{File, FileTimes, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lifeboat_files::Overwrite;
use lifeboat_repository::{DatabaseSource, FilesSource, Manifest};
use lifeboat_sqlite::Replaced;

use super::super::filter::Filter;
use super::report::Problems;
use super::root::Root;
use super::{FilesRestorePlan, unescaped};
use crate::destination::Destination;
use crate::error::chain;
use crate::fill::fill;
use crate::selected::Selected;
use crate::{Detour, Error, OpenRepository, Progress, Result};

/// What is to be done with a database among files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPlan {
    /// Its name.
    pub name: String,
    /// Its path in the backup.
    pub path: PathBuf,
    /// Where it goes.
    pub target: PathBuf,
    /// Its bytes; 0 if the backup does not hold it any more.
    pub size_bytes: u64,
    /// What is to be done.
    pub action: PlacedAction,
}

/// What is to be done with a database among files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacedAction {
    /// It is put where nothing is.
    Create,
    /// What is there is moved aside.
    Replace,
    /// What is there stays, by the rule of [`Overwrite`].
    Skip,
    /// The backup does not hold it any more.
    Forgotten,
}

/// A database that was put back.
#[derive(Debug)]
pub struct RestoredDatabase {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub target: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// What was there.
    pub replaced: Replaced,
}

/// Plans for the databases that are meant.
pub(super) fn plan(
    manifest: &Manifest,
    source: &FilesSource,
    root: &Root,
    filter: &Filter,
    overwrite: Overwrite,
) -> Vec<PlacedPlan> {
    let meant = source.databases.iter().map(|placed| (placed, unescaped(&placed.path)));
    let meant = meant.filter(|(_, path)| filter.choose(path).itself);
    let plan = meant.filter_map(|(placed, path)| {
        let target = root.place(&path)?;
        let database = manifest.database(&placed.name);
        let there = target.symlink_metadata().ok();
        let action = match (database, there) {
            (None, _) => PlacedAction::Forgotten,
            (Some(_), None) => PlacedAction::Create,
            (Some(database), Some(there)) => action(overwrite, database, &there),
        };
        let size_bytes = database.map_or(0, |database| database.size_bytes);
        Some(PlacedPlan { name: placed.name.clone(), path, target, size_bytes, action })
    });
    plan.collect()
}

fn action(overwrite: Overwrite, database: &DatabaseSource, there: &Metadata) -> PlacedAction {
    let there_millis = there.mtime() * 1000 + there.mtime_nsec() / 1_000_000;
    match overwrite {
        Overwrite::Always | Overwrite::IfChanged => PlacedAction::Replace,
        Overwrite::IfNewer if database.time.millis() > there_millis => PlacedAction::Replace,
        Overwrite::IfNewer | Overwrite::Never => PlacedAction::Skip,
    }
}

/// Restores them. One that fails is a problem.
pub(super) fn restore_all(
    opened: &OpenRepository<'_>,
    plan: &FilesRestorePlan,
    problems: &mut Problems,
    progress: &dyn Progress,
) -> (Vec<RestoredDatabase>, Detour) {
    let (mut restored, mut detour) = (Vec::new(), Detour::default());
    for placed in &plan.databases {
        let Some(database) = plan.manifest.database(&placed.name) else {
            let why = "the database is not in this backup any more: it was forgotten";
            problems.add(&placed.target, why);
            continue;
        };
        if placed.action == PlacedAction::Skip || plan.request.dry_run {
            continue;
        }
        match restore_one(opened, plan, (placed, database), &mut detour, progress) {
            Ok(one) => restored.push(one),
            Err(error) => problems.add(&placed.target, chain(&error)),
        }
    }
    (restored, detour)
}

fn restore_one(
    opened: &OpenRepository<'_>,
    plan: &FilesRestorePlan,
    (placed, database): (&PlacedPlan, &DatabaseSource),
    detour: &mut Detour,
    progress: &dyn Progress,
) -> Result<RestoredDatabase> {
    must_not_leave(&plan.directory, &placed.target)?;
    // Dropped after the stage, which lies in it.
    let _directory = Directory::of(&placed.target);
    let mut selected = Selected::plan(opened, &plan.manifest, database, detour, progress)?;
    let destination = Destination::at(placed.target.clone(), database.size_bytes)?;
    let (mut stage, _claim) = destination.begin_stage(progress)?;
    let verify = !plan.request.no_verify;
    fill(opened, &mut selected.way, detour, &mut stage, verify, progress)?;
    let size_bytes = stage.size();
    let replaced = destination.put(stage, &database.into())?;
    Ok(RestoredDatabase {
        name: placed.name.clone(),
        target: placed.target.clone(),
        size_bytes,
        replaced,
    })
}

/// The directory of a database. The tree was put back before, and with it the time of its last change, which
/// staging a database in it changes.
struct Directory {
    opened: Option<File>,
    modified: Option<SystemTime>,
}

impl Directory {
    fn of(target: &Path) -> Self {
        let opened = target.parent().and_then(|directory| File::open(directory).ok());
        let found = opened.as_ref().and_then(|directory| directory.metadata().ok());
        Self { opened, modified: found.and_then(|found| found.modified().ok()) }
    }
}

impl Drop for Directory {
    /// A time is nothing to fail for once the database is there.
    fn drop(&mut self) {
        if let (Some(directory), Some(modified)) = (&self.opened, self.modified) {
            let _not_ours = directory.set_times(FileTimes::new().set_modified(modified));
        }
    }
}

/// Databases are put by their paths: none may lead out of the target through a link that lies there.
fn must_not_leave(directory: &Path, target: &Path) -> Result<()> {
    let below = target.strip_prefix(directory).unwrap_or(target);
    let mut path = directory.to_owned();
    for name in below {
        path.push(name);
        if path.is_symlink() {
            let problem = std::io::Error::other("a symbolic link is on the way");
            return Err(Error::file("put the database at", &path)(problem));
        }
    }
    Ok(())
}
