//! One backup in every repository that is configured.
//!
//! The sources are read once, for the first repository: one of this machine if there is one, which is the
//! quickest. From there the backup is copied to all others at the same time, each on a thread of its own: one
//! that fails, or is slow, neither delays the others nor fails them. If the first one fails, the next that can
//! be opened takes its place.
//!
//! A first one over a network fails, or is slow, like any other. So what is stored in it waits on this machine, is
//! sent from here, and is copied from here to the others, all at the same time.
//!
//! A repository that was away has gaps. It gets what it lacks since the newest backup that it had of this
//! host, the oldest first; what lies before that was there, or was forgotten. If the first one was away itself,
//! it gets that from the others before they get anything from it.
//!
//! Copying needs the secrets of both. A host that holds none backs up to each repository by itself.

mod bring;
mod first;
mod open;

use std::thread;

use lifeboat_repository::Manifest;

use self::bring::{Origin, Other, bring_to_all, catch_up};
use self::open::{Openers, Opening, Place};
use crate::backup::Begun;
use crate::{
    BackupReport, BackupRequest, Context, CopyFailure, OpenRepository, Progress, Result, backup,
};

/// A backup in every repository that is meant.
#[derive(Debug)]
pub struct EverywhereReport {
    /// What was read, and stored in the first repository.
    pub backup: BackupReport,
    /// What the configuration calls the first repository, else where it is.
    pub first: String,
    /// What of former backups the first repository lacked, and got from the others; or why it did not.
    pub caught_up: Vec<Elsewhere>,
    /// What became of the others.
    pub others: Vec<Elsewhere>,
}

/// What became of one of the other repositories.
#[derive(Debug)]
pub struct Elsewhere {
    /// What the configuration calls it.
    pub name: String,
    /// What was brought there, or why nothing was.
    pub outcome: Result<Brought>,
}

/// What was brought to another repository.
#[derive(Debug)]
pub struct Brought {
    /// Where it is.
    pub location: String,
    /// Where its owner sees that in a browser, if there is such a place.
    pub link: Option<String>,
    /// The manifests of the copies, the oldest first.
    pub copied: Vec<Manifest>,
    /// Backups that could not be copied.
    pub failures: Vec<CopyFailure>,
    /// Bytes that were added.
    pub stored_bytes: u64,
}

impl EverywhereReport {
    /// Whether nothing of the sources is missing, and no repository lacks the backup.
    pub fn is_complete(&self) -> bool {
        let mut elsewhere = self.caught_up.iter().chain(&self.others);
        !self.backup.is_partial() && elsewhere.all(Elsewhere::is_complete)
    }

    /// Whether a repository, by its name, has the backup.
    pub fn has(&self, name: &str) -> bool {
        let mut others = self.others.iter().filter(|other| other.outcome.is_ok());
        self.first == name || others.any(|other| other.name == name)
    }
}

impl Brought {
    fn is_something(&self) -> bool {
        !self.copied.is_empty() || !self.failures.is_empty()
    }
}

impl Elsewhere {
    /// Whether it lacks nothing now.
    pub fn is_complete(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|brought| brought.failures.is_empty())
    }
}

/// Backs up to every repository that is meant.
///
/// The error is that of the first repository if none of them has the backup.
pub fn backup_everywhere(
    context: &Context,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<EverywhereReport> {
    let mut chosen = context.in_order();
    if chosen.len() < 2 {
        let first = chosen.pop().transpose()?.map(|one| one.label()).unwrap_or_default();
        let backup = backup(context, request, progress)?;
        let (caught_up, others) = (Vec::new(), Vec::new());
        return Ok(EverywhereReport { backup, first, caught_up, others });
    }
    // Before anybody is waited for: leaving the scope means waiting for all that are being opened.
    let begun = Begun::new(context, request, progress)?;
    thread::scope(|scope| {
        let mut openers = Openers::start(scope, context, chosen, progress);
        let first = openers.back_up_first(begun, request, progress)?;
        let mut others = openers.rest();
        let caught_up = catch_up(&first, &mut others, progress);
        first.bring_to(others, caught_up, request, progress)
    })
}

/// Brings what some repositories lack of this host's newest backups to them, without making another one.
pub(crate) fn level(context: &Context, progress: &dyn Progress) -> Result<Vec<Elsewhere>> {
    thread::scope(|scope| {
        let openers = Openers::start(scope, context, context.in_order(), progress);
        let mut places: Vec<Place<'_>> = openers.rest().into_iter().map(Opening::wait).collect();
        let newest = |place: &Place<'_>| place.newest.as_ref().map(|name| name.started);
        let Some(first) = (0..places.len()).max_by_key(|number| newest(&places[*number])) else {
            return Ok(Vec::new());
        };
        let from = places.remove(first).opened?;
        places.retain(|place| place.opened.as_ref().map_or(true, OpenRepository::can_read));
        if !from.can_read() {
            return Ok(Vec::new());
        }
        let others = places.into_iter().map(|place| Opening::Done(Box::new(place))).collect();
        let origin = Origin { opened: &from, made: None, waiting: None };
        let others = bring_to_all(&origin, others, &BackupRequest::default(), progress);
        Ok(others.into_iter().map(Other::into_elsewhere).collect())
    })
}
