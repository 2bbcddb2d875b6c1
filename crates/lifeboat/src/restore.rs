//! Puts a database back: plan, then stage, verify, swap.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lifeboat_repository::{BackupName, Time};
use lifeboat_sqlite::{Replaced, Stage, place, replace, sidecars};

use crate::discover::path_of_url;
use crate::fill::fill_newest;
use crate::search::Search;
use crate::selected::Selected;
use crate::space::require;
use crate::staging::{begin_stage, sweep};
use crate::{DatabaseSource, Detour, Error, OpenRepository, Progress, Result, Selection};

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
        self.selected.files.len()
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
    let target = target_of(opened, request, &selected.database)?;
    // A WAL or journal whose database is gone is in the way, too.
    let there = Some(target.clone())
        .filter(|target| target.symlink_metadata().is_ok())
        .or_else(|| sidecars(&target).into_iter().next());
    let replaces = there.is_some();
    if let Some(path) = there.filter(|_| !request.force) {
        return Err(lifeboat_sqlite::Error::TargetExists { path }.into());
    }
    let directory = directory_of(&target);
    let free_bytes = require(&directory, selected.database.size_bytes)?;
    Ok(RestorePlan {
        sealed_bytes: selected.sealed_bytes(),
        search,
        selected,
        target,
        replaces,
        free_bytes,
        verify: !request.no_verify,
    })
}

fn target_of(
    opened: &OpenRepository<'_>,
    request: &RestoreRequest,
    database: &DatabaseSource,
) -> Result<PathBuf> {
    let working_directory = opened.context().environment().working_directory();
    let mut target = match &request.target {
        Some(target) => working_directory.join(path_of_url(&target.to_string_lossy())),
        None => PathBuf::from(&database.path),
    };
    if target.is_dir() {
        let name = Path::new(&database.path).file_name().unwrap_or(database.name.as_ref());
        target.push(name);
    }
    settle(target)
}

/// Where a database that goes to `target` really goes; the directory must be there.
pub(crate) fn settle(mut target: PathBuf) -> Result<PathBuf> {
    // What a symbolic link points to is replaced, not the link.
    if target.is_symlink() {
        target = target.canonicalize().map_err(Error::file("resolve", &target))?;
    }
    let directory = directory_of(&target);
    if !directory.is_dir() {
        return Err(Error::usage(
            format!("directory {} does not exist", directory.display()),
            "make it, or choose another place with --target",
        ));
    }
    Ok(target)
}

pub(crate) fn directory_of(target: &Path) -> PathBuf {
    target
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
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
    let RestorePlan { mut search, selected, target, verify, .. } = plan;
    let (directory, prefix) = (directory_of(&target), stage_prefix(&target));
    sweep(&directory, &prefix, progress)?;
    let (mut stage, _claim) = begin_stage(&directory, &prefix)?;
    let selected = fill_newest(opened, &mut search, selected, &mut stage, verify, progress)?;
    own(&stage, &selected.database, &target)?;
    let replaced = if target.symlink_metadata().is_ok() || !sidecars(&target).is_empty() {
        replace(stage.path(), &target, &aside_path(&target))?
    } else {
        place(stage.path(), &target)?;
        Replaced::Nothing
    };
    let size_bytes = stage.size();
    stage.keep();
    Ok(RestoreReport {
        sealed_bytes: selected.sealed_bytes(),
        backup: selected.name,
        database: selected.database,
        detour: search.detour,
        target,
        size_bytes,
        replaced,
        verified: verify,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The staged file gets the permissions and the owner of the file that it replaces, else those that
/// the backup recorded; owners only where this user may give files away. Then it is made durable.
fn own(stage: &Stage, database: &DatabaseSource, target: &Path) -> Result<()> {
    let (mode, uid, gid) = match target.metadata() {
        Ok(former) => (former.mode(), former.uid(), former.gid()),
        Err(_) => {
            // A mode that cannot be read is no reason to open the file to others.
            let mode = u32::from_str_radix(&database.mode, 8).unwrap_or(0o600);
            (mode, database.uid, database.gid)
        }
    };
    if rustix::process::geteuid().is_root() {
        stage.give_to(uid, gid)?;
    }
    Ok(stage.sync(mode)?)
}

/// Where the former database goes: beside the target, so that a rename does it.
pub(crate) fn aside_path(target: &Path) -> PathBuf {
    suffixed(target, &format!(".before-restore-{}", Time::now().name()))
}

pub(crate) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `.app.db.lifeboat-` and a random number, beside `app.db`.
pub(crate) fn stage_prefix(target: &Path) -> String {
    format!(".{}.lifeboat-", target.file_name().unwrap_or_default().to_string_lossy())
}
