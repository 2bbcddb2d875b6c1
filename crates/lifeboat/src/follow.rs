//! Keeps a standby: a copy of a database that follows its repository, warm and readable.
//!
//! What is new is found by listing, planned from names, and applied through SQLite, one transaction
//! for each file, so that whoever reads the standby sees a captured state as a whole. What it holds is
//! written down beside it after each commit; applying a file again does no harm, and a standby that
//! is not what it should be is noticed by its checksum and overwritten where it differs.
//!
//! Each file is verified as in a restore, but for the manifest, which names only what backups need:
//! who can write to the repository can feed a standby.

mod anew;
mod event;
mod lineages;
mod onward;
mod pause;
mod poll;
mod sidecar;
mod step;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use event::{FollowEnd, FollowEvent, FollowPoint, Rewrite};

use self::event::Situation;
use self::pause::{pause, wait};
use self::poll::Keeper;
use self::sidecar::{Sidecar, lock};
use crate::databases_meant::database_meant;
use crate::destination::settle;
use crate::discover::path_of_url;
use crate::error::chain;
use crate::{Error, OpenRepository, Progress, Result};

/// Which database to follow, and where to.
#[derive(Debug, Clone)]
pub struct FollowRequest {
    /// The database: its name, or its path on the host it comes from.
    pub source: String,
    /// The host that it comes from. `None`: this one, or the only one there is.
    pub host: Option<String>,
    /// Where the standby is, or will be.
    pub target: PathBuf,
    /// How often to look for what is new.
    pub interval: Duration,
    /// Catch up and end.
    pub once: bool,
    /// Replace what is at the target, even if it is no standby of this database; it is moved aside.
    pub force: bool,
}

/// How following ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowReport {
    /// What the standby holds; `None` if nothing was ever restored.
    pub point: Option<FollowPoint>,
    /// Whether that is what is newest.
    pub end: FollowEnd,
}

/// Keeps a standby until `stop` is set or, with `once`, until it has caught up.
///
/// `events` is told what happens, each situation when it begins. Failures of the repository or the
/// target are told and tried again; with `once`, and before the first look, they are returned.
///
/// [`Error::NoDatabase`] if the repository does not hold the database;
/// [`TargetExists`](lifeboat_sqlite::Error::TargetExists) without `force` for a target that is no
/// standby, [`Error::Usage`] for that of another database;
/// [`TargetInUse`](lifeboat_sqlite::Error::TargetInUse) if another process keeps it.
pub fn follow(
    opened: &OpenRepository<'_>,
    request: &FollowRequest,
    stop: &AtomicBool,
    progress: &dyn Progress,
    events: &dyn Fn(&FollowEvent),
) -> Result<FollowReport> {
    opened.secrets()?;
    let database = database_meant(opened, Some(&request.source), request.host.as_deref())?;
    let working_directory = opened.context().environment().working_directory();
    let target = path_of_url(&request.target.to_string_lossy());
    let target = settle(working_directory.join(target))?;
    let own = || Sidecar::new(&opened.id(), &database);
    // Twice: a refusal leaves nothing behind, and what counts is what is there under the lock.
    claim(&target, own(), request.force)?;
    let _lock = lock(&target)?;
    let claimed = claim(&target, own(), request.force)?;
    let mut keeper = Keeper::new(opened, database, target, claimed, progress, events);
    events(&FollowEvent::Began { target: keeper.target.clone(), from: keeper.point() });

    let mut former: Option<Situation> = None;
    let mut failures = 0;
    loop {
        let now = match keeper.poll(stop) {
            Err(error) if request.once => return Err(error),
            Err(error) => Situation::Failing(chain(&error)),
            Ok(end) => Situation::Seen(end),
        };
        if former.as_ref().is_none_or(|former| !now.is_like(former))
            && let Some(event) = now.event(keeper.point())
        {
            events(&event);
        }
        let point = keeper.point();
        match &now {
            Situation::Seen(end) if request.once => {
                return Ok(FollowReport { point, end: end.clone() });
            }
            _ if stop.load(Ordering::Relaxed) => {
                return Ok(FollowReport { point, end: FollowEnd::Stopped });
            }
            _ => {}
        }
        failures = if now.is_failure() { failures + 1 } else { 0 };
        former = Some(now);
        wait(pause(request.interval, failures), stop);
    }
}

/// The sidecar to go on with, and whether what is at the target is to be moved aside.
fn claim(target: &Path, own: Sidecar, force: bool) -> Result<(Sidecar, bool)> {
    let there = Some(target.to_owned())
        .filter(|target| target.symlink_metadata().is_ok())
        .or_else(|| lifeboat_sqlite::sidecars(target).into_iter().next());
    match (Sidecar::load(target), there) {
        (Ok(Some(former)), _) if former.is_like(&own) => Ok((former, false)),
        (Ok(Some(former)), Some(_)) if !force => Err(Error::usage(
            format!("{} is a standby of {}", target.display(), former.subject()),
            "choose another --target; --force replaces it (and moves it aside)",
        )),
        (Err(error), Some(_)) if !force => Err(error),
        (Ok(None), Some(path)) if !force => {
            Err(lifeboat_sqlite::Error::TargetExists { path }.into())
        }
        (_, there) => Ok((own, there.is_some())),
    }
}
