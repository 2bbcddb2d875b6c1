//! One backup in every repository that is configured.
//!
//! The sources are read once, for the first repository: one of this machine if there is one, which is the
//! quickest. From there the backup is copied to all others at the same time, each on a thread of its own: one
//! that fails, or is slow, neither delays the others nor fails them. If the first one fails, the next that can
//! be opened takes its place.
//!
//! A repository that was away has gaps. It gets what it lacks since the newest backup that it holds of this
//! host, the oldest first; what lies before that was there, or was forgotten.
//!
//! Copying needs the secrets of both. A host that holds none backs up to each repository by itself.

use std::thread;

use lifeboat_repository::{Manifest, Source};

use crate::backup::backup_to;
use crate::context::Chosen;
use crate::copy::select_newer;
use crate::{
    BackupReport, BackupRequest, Context, CopyFailure, Error, OpenRepository, Progress, Result,
    backup, copy,
};

/// A backup in every repository that is meant.
#[derive(Debug)]
pub struct EverywhereReport {
    /// What was read, and stored in the first repository.
    pub backup: BackupReport,
    /// What the configuration calls the first repository, else where it is.
    pub first: String,
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
        !self.backup.is_partial() && self.others.iter().all(Elsewhere::is_complete)
    }

    /// Whether a repository, by its name, has the backup.
    pub fn has(&self, name: &str) -> bool {
        let mut others = self.others.iter().filter(|other| other.outcome.is_ok());
        self.first == name || others.any(|other| other.name == name)
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
        return Ok(EverywhereReport { backup, first, others: Vec::new() });
    }
    let mut places: Vec<Place<'_>> = open_all(context, chosen, progress);
    let (first, backup) = back_up_first(&mut places, request, progress)?;
    let source = places.remove(first);
    let from = source.opened?;
    let (readable, others): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| {
        place.opened.as_ref().map_or(true, |to| from.can_read() && to.can_read())
    });
    let mut outcomes = bring_to_all(&from, readable, progress);
    outcomes.extend(others.into_iter().map(|place| back_up_there(place, request, progress)));
    let others = outcomes;
    Ok(EverywhereReport { backup, first: source.name, others })
}

/// A repository, as it could be opened.
struct Place<'a> {
    name: String,
    opened: Result<OpenRepository<'a>>,
}

/// Opens all at the same time: one that does not answer is waited for once.
fn open_all<'a>(
    context: &'a Context,
    chosen: Vec<Result<Chosen>>,
    progress: &dyn Progress,
) -> Vec<Place<'a>> {
    thread::scope(|scope| {
        let open = |chosen: Result<Chosen>| {
            scope.spawn(move || match chosen {
                Ok(chosen) => {
                    let name = chosen.label();
                    Place { name, opened: context.open_to_write(chosen, progress) }
                }
                Err(error) => Place { name: "a repository".to_owned(), opened: Err(error) },
            })
        };
        let threads: Vec<_> = chosen.into_iter().map(open).collect();
        threads.into_iter().map(joined).collect()
    })
}

/// The result of a thread; its panic goes on in this one.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Backs up to the first that takes it; its number. What the sources are to blame for is no reason to try
/// another.
fn back_up_first(
    places: &mut [Place<'_>],
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<(usize, BackupReport)> {
    let mut failed_first = None;
    for (number, place) in places.iter_mut().enumerate() {
        let Ok(opened) = &place.opened else { continue };
        match backup_to(opened, request, progress) {
            Ok(report) => return Ok((number, report)),
            Err(error) if error.is_of_repository() => {
                failed_first = failed_first.or(Some(number));
                place.opened = Err(error);
            }
            Err(error) => return Err(error),
        }
    }
    let failed = failed_first.unwrap_or(0);
    let opened = std::mem::replace(&mut places[failed].opened, Err(Error::Skipped));
    Err(opened.err().unwrap_or(Error::Skipped))
}

fn bring_to_all(
    from: &OpenRepository<'_>,
    places: Vec<Place<'_>>,
    progress: &dyn Progress,
) -> Vec<Elsewhere> {
    let bring_to = |place: Place<'_>| {
        let Place { name, opened } = place;
        Elsewhere { name, outcome: opened.and_then(|to| bring(from, &to, progress)) }
    };
    thread::scope(|scope| {
        let threads = places.into_iter().map(|place| scope.spawn(|| bring_to(place)));
        threads.collect::<Vec<_>>().into_iter().map(joined).collect()
    })
}

/// Backs up again: who holds no secrets cannot copy.
fn back_up_there(place: Place<'_>, request: &BackupRequest, progress: &dyn Progress) -> Elsewhere {
    let back_up = |to: OpenRepository<'_>| {
        let report = backup_to(&to, request, progress)?;
        Ok(Brought {
            location: report.location,
            stored_bytes: report.manifest.sources.iter().map(Source::stored_bytes).sum(),
            copied: vec![report.manifest],
            failures: Vec::new(),
        })
    };
    Elsewhere { name: place.name, outcome: place.opened.and_then(back_up) }
}

fn bring(
    from: &OpenRepository<'_>,
    to: &OpenRepository<'_>,
    progress: &dyn Progress,
) -> Result<Brought> {
    let report = copy(from, to, select_newer(from, to)?, progress)?;
    Ok(Brought {
        location: to.repository().location(),
        stored_bytes: report.stored_bytes(),
        copied: report.copied,
        failures: report.failures,
    })
}
