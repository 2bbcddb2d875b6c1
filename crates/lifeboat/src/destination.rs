//! Where a restored database goes, and how it gets there.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_repository::{DatabaseSource, Time};
use lifeboat_sqlite::{Replaced, Stage, place, replace, sidecars};

use crate::discover::path_of_url;
use crate::space::require;
use crate::staging::{Claim, begin_stage, sweep};
use crate::{Context, Error, Progress, Result};

/// A place for a database, looked at beforehand.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) target: PathBuf,
    /// Whether something is there that will be moved aside.
    pub(crate) replaces: bool,
    /// Bytes free where the target lies.
    pub(crate) free_bytes: u64,
}

/// What is known of the file that a database was.
#[derive(Debug, Clone)]
pub(crate) struct FormerFile {
    /// Where it lay.
    pub(crate) path: Option<PathBuf>,
    /// Its permissions.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: Option<(u32, u32)>,
}

impl From<&DatabaseSource> for FormerFile {
    fn from(database: &DatabaseSource) -> Self {
        Self {
            path: Some(PathBuf::from(&database.path)),
            // A mode that cannot be read is no reason to open the file to others.
            mode: u32::from_str_radix(&database.mode, 8).unwrap_or(0o600),
            owner: Some((database.uid, database.gid)),
        }
    }
}

impl Destination {
    /// Of the database `name`: where the user says, else where it lay. Something that is there is
    /// refused without `force`.
    pub(crate) fn plan(
        context: &Context,
        wanted: Option<&Path>,
        force: bool,
        name: &str,
        former: &FormerFile,
        size_bytes: u64,
    ) -> Result<Self> {
        let target = resolve(context, wanted, name, former)?;
        // A WAL or journal whose database is gone is in the way, too.
        let there = Some(target.clone())
            .filter(|target| target.symlink_metadata().is_ok())
            .or_else(|| sidecars(&target).into_iter().next());
        let replaces = there.is_some();
        if let Some(path) = there.filter(|_| !force) {
            return Err(lifeboat_sqlite::Error::TargetExists { path }.into());
        }
        let free_bytes = require(&directory_of(&target), size_bytes)?;
        Ok(Self { target, replaces, free_bytes })
    }

    /// A path of a tree that is being restored, in a directory that is there. What is there is moved aside.
    pub(crate) fn at(target: PathBuf, size_bytes: u64) -> Result<Self> {
        let replaces = target.symlink_metadata().is_ok() || !sidecars(&target).is_empty();
        let free_bytes = require(&directory_of(&target), size_bytes)?;
        Ok(Self { target, replaces, free_bytes })
    }

    /// Begins an empty stage beside the target, and removes what killed processes left there.
    pub(crate) fn begin_stage(&self, progress: &dyn Progress) -> Result<(Stage, Claim)> {
        let (directory, prefix) = (directory_of(&self.target), stage_prefix(&self.target));
        sweep(&directory, &prefix, progress)?;
        begin_stage(&directory, &prefix)
    }

    /// Makes a verified stage durable and swaps it in.
    pub(crate) fn put(&self, stage: Stage, former: &FormerFile) -> Result<Replaced> {
        let target = &self.target;
        own(&stage, former, target)?;
        let replaced = if target.symlink_metadata().is_ok() || !sidecars(target).is_empty() {
            replace(stage.path(), target, &aside_path(target))?
        } else {
            place(stage.path(), target)?;
            Replaced::Nothing
        };
        stage.keep();
        Ok(replaced)
    }
}

fn resolve(
    context: &Context,
    wanted: Option<&Path>,
    name: &str,
    former: &FormerFile,
) -> Result<PathBuf> {
    let working_directory = context.environment().working_directory();
    let mut target = match (wanted, &former.path) {
        (Some(wanted), _) => working_directory.join(path_of_url(&wanted.to_string_lossy())),
        (None, Some(path)) => path.clone(),
        (None, None) => {
            return Err(Error::usage(
                format!("where database {name} came from is not known"),
                "say where to with --target",
            ));
        }
    };
    if target.is_dir() {
        let former = former.path.as_deref().and_then(Path::file_name);
        target.push(former.unwrap_or(name.as_ref()));
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

/// The staged file gets the permissions and the owner of the file that it replaces, else those that
/// are known of its former file; owners only where this user may give files away. Then it is made
/// durable.
fn own(stage: &Stage, former: &FormerFile, target: &Path) -> Result<()> {
    let (mode, owner) = match target.metadata() {
        Ok(there) => (there.mode(), Some((there.uid(), there.gid()))),
        Err(_) => (former.mode, former.owner),
    };
    if let Some((uid, gid)) = owner.filter(|_| rustix::process::geteuid().is_root()) {
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
