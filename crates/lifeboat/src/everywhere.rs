//! One backup in every repository that is configured.
//!
//! The sources are read once, for the first repository: one of this machine if there is one, which is the
//! quickest. From there the backup is copied to all others at the same time, each on a thread of its own: one
//! that fails, or is slow, neither delays the others nor fails them. If the first one fails, the next that can
//! be opened takes its place.
//!
//! A repository that was away has gaps. It gets what it lacks since the newest backup that it had of this
//! host, the oldest first; what lies before that was there, or was forgotten. If the first one was away itself,
//! it gets that from the others before they get anything from it.
//!
//! Copying needs the secrets of both. A host that holds none backs up to each repository by itself.

use std::thread;

use lifeboat_repository::{BackupName, Manifest, Source};

use crate::backup::backup_to;
use crate::context::Chosen;
use crate::copy::{newest_own, select_newer};
use crate::{
    BackupEvent, BackupReport, BackupRequest, Context, CopyFailure, Error, Note, OpenRepository,
    Progress, Result, backup, copy,
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
    let mut places: Vec<Place<'_>> = open_all(context, chosen, progress);
    let (first, backup) = back_up_first(&mut places, request, progress)?;
    let first = places.remove(first);
    let from = first.opened?;
    let caught_up = catch_up(&from, first.newest.as_ref(), &places, progress);
    let (readable, others): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| {
        place.opened.as_ref().map_or(true, |to| from.can_read() && to.can_read())
    });
    let mut outcomes = bring_to_all(&from, readable, progress);
    outcomes.extend(others.into_iter().map(|place| back_up_there(place, request, progress)));
    Ok(EverywhereReport { backup, first: first.name, caught_up, others: outcomes })
}

/// Brings what some repositories lack of this host's newest backups to them, without making another one.
pub(crate) fn level(context: &Context, progress: &dyn Progress) -> Result<Vec<Elsewhere>> {
    let mut places = open_all(context, context.in_order(), progress);
    let newest = |place: &Place<'_>| place.newest.as_ref().map(|name| name.started);
    let Some(first) = (0..places.len()).max_by_key(|number| newest(&places[*number])) else {
        return Ok(Vec::new());
    };
    let from = places.remove(first).opened?;
    places.retain(|place| place.opened.as_ref().map_or(true, OpenRepository::can_read));
    Ok(if from.can_read() { bring_to_all(&from, places, progress) } else { Vec::new() })
}

/// A repository, as it could be opened.
struct Place<'a> {
    name: String,
    opened: Result<OpenRepository<'a>>,
    /// The newest backup of this host that it had then.
    newest: Option<BackupName>,
}

impl<'a> Place<'a> {
    fn open(context: &'a Context, chosen: Chosen, progress: &dyn Progress) -> Self {
        let name = chosen.label();
        let opened = context.open_to_write(chosen, progress);
        let with_newest = opened.and_then(|opened| Ok((newest_own(&opened)?, opened)));
        match with_newest {
            Ok((newest, opened)) => Self { name, opened: Ok(opened), newest },
            Err(error) => Self { name, opened: Err(error), newest: None },
        }
    }
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
                Ok(chosen) => Place::open(context, chosen, progress),
                Err(error) => {
                    let name = "a repository".to_owned();
                    Place { name, opened: Err(error), newest: None }
                }
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

/// Brings the repository that has the backup what it lacks of the others. One that had nothing before gets
/// nothing: it is new.
fn catch_up(
    to: &OpenRepository<'_>,
    newest: Option<&BackupName>,
    places: &[Place<'_>],
    progress: &dyn Progress,
) -> Vec<Elsewhere> {
    let Some(newest) = newest.filter(|_| to.can_read()) else { return Vec::new() };
    let mut caught_up = Vec::new();
    for place in places {
        let Ok(from) = &place.opened else { continue };
        if !from.can_read() {
            continue;
        }
        let outcome = bring(from, to, Some(newest), progress);
        if outcome.as_ref().map_or(true, Brought::is_something) {
            caught_up.push(Elsewhere { name: place.name.clone(), outcome });
        }
    }
    caught_up
}

fn bring_to_all(
    from: &OpenRepository<'_>,
    places: Vec<Place<'_>>,
    progress: &dyn Progress,
) -> Vec<Elsewhere> {
    let names: Vec<&str> = places.iter().map(|place| place.name.as_str()).collect();
    progress.begin(&format!("copying to {}", names.join(", ")), None);
    let told = AsOne(progress);
    let bring_to = |place: Place<'_>| {
        let Place { name, opened, newest } = place;
        let outcome = opened.and_then(|to| bring(from, &to, newest.as_ref(), &told));
        Elsewhere { name, outcome }
    };
    let brought = thread::scope(|scope| {
        let threads = places.into_iter().map(|place| scope.spawn(|| bring_to(place)));
        threads.collect::<Vec<_>>().into_iter().map(joined).collect()
    });
    progress.end();
    brought
}

/// What several threads do, told as one stage.
struct AsOne<'a>(&'a dyn Progress);

impl Progress for AsOne<'_> {
    fn advance(&self, bytes: u64) {
        self.0.advance(bytes);
    }

    fn note(&self, note: &Note) {
        self.0.note(note);
    }

    fn event(&self, event: &BackupEvent<'_>) {
        self.0.event(event);
    }
}

/// Backs up again: who holds no secrets cannot copy.
fn back_up_there(place: Place<'_>, request: &BackupRequest, progress: &dyn Progress) -> Elsewhere {
    let back_up = |to: OpenRepository<'_>| {
        let report = backup_to(&to, request, progress)?;
        Ok(Brought {
            location: report.location,
            link: report.link,
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
    newest: Option<&BackupName>,
    progress: &dyn Progress,
) -> Result<Brought> {
    let report = copy(from, to, select_newer(from, to, newest)?, progress)?;
    Ok(Brought {
        location: to.repository().location(),
        link: to.link(),
        stored_bytes: report.stored_bytes(),
        copied: report.copied,
        failures: report.failures,
    })
}
