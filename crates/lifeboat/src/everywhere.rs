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

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use lifeboat_repository::{BackupName, Manifest, Source};

use crate::backup::{Begun, backup_to};
use crate::context::Chosen;
use crate::copy::{newest_own, select_newer};
use crate::threads::joined;
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
    // Before anybody is waited for: leaving the scope means waiting for all that are being opened.
    let begun = Begun::new(context, request, progress)?;
    thread::scope(|scope| {
        let mut openers = Openers::start(scope, context, chosen, progress);
        let (first, backup) = openers.back_up_first(begun, request, progress)?;
        let from = first.opened?;
        let mut others = openers.rest();
        let caught_up = catch_up(&from, first.newest.as_ref(), &mut others, progress);
        let others = bring_to_all(&from, others, request, progress);
        Ok(EverywhereReport { backup, first: first.name, caught_up, others })
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
        Ok(bring_to_all(&from, others, &BackupRequest::default(), progress))
    })
}

/// A repository, as it could be opened.
struct Place<'a> {
    name: String,
    opened: Result<OpenRepository<'a>>,
    /// The newest backup of this host that it had then.
    newest: Option<BackupName>,
}

impl<'a> Place<'a> {
    fn of(context: &'a Context, chosen: Result<Chosen>, progress: &dyn Progress) -> Self {
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(error) => {
                let name = "a repository".to_owned();
                return Self { name, opened: Err(error), newest: None };
            }
        };
        let name = chosen.label();
        let opened = context.open_to_write(chosen, progress);
        let with_newest = opened.and_then(|opened| Ok((newest_own(&opened)?, opened)));
        match with_newest {
            Ok((newest, opened)) => Self { name, opened: Ok(opened), newest },
            Err(error) => Self { name, opened: Err(error), newest: None },
        }
    }
}

/// Repositories that are being opened, all at the same time: one that does not answer keeps no other waiting.
struct Openers<'scope, 'a> {
    /// Those of this machine first; `None` where it was taken.
    openings: Vec<Option<Opening<'scope, 'a>>>,
    /// How many of them are of this machine.
    near: usize,
    /// Tells the number of each that is through.
    through: Receiver<usize>,
}

/// A repository that is being opened, or has been.
enum Opening<'scope, 'a> {
    UnderWay(ScopedJoinHandle<'scope, Place<'a>>),
    Done(Box<Place<'a>>),
}

impl<'a> Opening<'_, 'a> {
    fn wait(self) -> Place<'a> {
        match self {
            Self::UnderWay(thread) => joined(thread),
            Self::Done(place) => *place,
        }
    }

    /// The repository, if it has been opened by now.
    fn by_now(self) -> Self {
        match self {
            Self::UnderWay(thread) if thread.is_finished() => Self::Done(Box::new(joined(thread))),
            opening => opening,
        }
    }
}

impl<'scope, 'a: 'scope> Openers<'scope, 'a> {
    /// Repositories of this machine must come first.
    fn start(
        scope: &'scope Scope<'scope, '_>,
        context: &'a Context,
        chosen: Vec<Result<Chosen>>,
        progress: &'scope dyn Progress,
    ) -> Self {
        let is_near = |chosen: &Result<Chosen>| {
            chosen.as_ref().map_or(true, |chosen| chosen.location.local_path().is_some())
        };
        let near = chosen.iter().take_while(|chosen| is_near(chosen)).count();
        let (tell, through) = channel();
        let open = |(number, chosen)| {
            let tell: Sender<usize> = tell.clone();
            let thread = scope.spawn(move || {
                let place = Place::of(context, chosen, progress);
                // Nobody listens any more once a repository has the backup.
                let _ = tell.send(number);
                place
            });
            Some(Opening::UnderWay(thread))
        };
        let openings = chosen.into_iter().enumerate().map(open).collect();
        Self { openings, near, through }
    }

    /// Backs up to the first that takes it: of this machine in their order, then of the others in that in which they
    /// are there. What the sources are to blame for is no reason to try another.
    fn back_up_first(
        &mut self,
        begun: Begun,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<(Place<'a>, BackupReport)> {
        let (mut failed, mut near) = (None, 0..self.near);
        let mut begun = Some(begun);
        // Those of this machine are told as well, and were taken before.
        while let Some(number) = near.next().or_else(|| self.through.recv().ok()) {
            let untaken = matches!(self.openings[number], Some(Opening::UnderWay(_)));
            if !untaken {
                continue;
            }
            let Some(mut place) = self.openings[number].take().map(Opening::wait) else { continue };
            let done = place.opened.as_ref().map(|opened| match begun.take() {
                Some(begun) => begun.store(opened, request, progress),
                None => backup_to(opened, request, progress),
            });
            match done {
                Ok(Ok(report)) => return Ok((place, report)),
                Ok(Err(error)) if !error.is_of_repository() => return Err(error),
                Ok(Err(error)) => place.opened = Err(error),
                Err(_) => {}
            }
            failed = failed.or(Some(number));
            self.openings[number] = Some(Opening::Done(Box::new(place)));
        }
        let place = failed.and_then(|number| self.openings[number].take()).map(Opening::wait);
        let error = place.and_then(|place| place.opened.err()).unwrap_or(Error::Skipped);
        Err(match begun {
            Some(begun) => begun.fail(error, progress),
            None => error,
        })
    }

    fn rest(self) -> Vec<Opening<'scope, 'a>> {
        self.openings.into_iter().flatten().collect()
    }
}

/// Brings the repository that has the backup what it lacks of the others, of those that have been opened by now.
/// One that had nothing before gets nothing: it is new.
fn catch_up<'a>(
    to: &OpenRepository<'_>,
    newest: Option<&BackupName>,
    others: &mut Vec<Opening<'_, 'a>>,
    progress: &dyn Progress,
) -> Vec<Elsewhere> {
    let Some(newest) = newest.filter(|_| to.can_read()) else { return Vec::new() };
    *others = std::mem::take(others).into_iter().map(Opening::by_now).collect();
    let mut caught_up = Vec::new();
    for opening in others {
        let Opening::Done(place) = opening else { continue };
        let Some(from) = place.opened.as_ref().ok().filter(|from| from.can_read()) else {
            continue;
        };
        let outcome = bring(from, to, Some(newest), progress);
        if outcome.as_ref().map_or(true, Brought::is_something) {
            caught_up.push(Elsewhere { name: place.name.clone(), outcome });
        }
    }
    caught_up
}

fn bring_to_all<'a>(
    from: &OpenRepository<'_>,
    others: Vec<Opening<'_, 'a>>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Vec<Elsewhere> {
    progress.begin("copying to the other repositories", None);
    let told = AsOne(progress);
    let bring_to = |opening: Opening<'_, 'a>| {
        let Place { name, opened, newest } = opening.wait();
        match opened {
            Ok(to) if !from.can_read() || !to.can_read() => Err((name, Box::new(to))),
            opened => {
                let outcome = opened.and_then(|to| bring(from, &to, newest.as_ref(), &told));
                Ok(Elsewhere { name, outcome })
            }
        }
    };
    let brought: Vec<_> = thread::scope(|scope| {
        let threads = others.into_iter().map(|opening| scope.spawn(|| bring_to(opening)));
        threads.collect::<Vec<_>>().into_iter().map(joined).collect()
    });
    progress.end();
    let back_up = |(name, to): (_, Box<_>)| back_up_there(name, &to, request, progress);
    brought.into_iter().map(|brought| brought.unwrap_or_else(back_up)).collect()
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

/// Backs up again: who holds no secrets cannot copy. One after the other, because each takes the databases.
fn back_up_there(
    name: String,
    to: &OpenRepository<'_>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Elsewhere {
    let outcome = backup_to(to, request, progress).map(|report| Brought {
        location: report.location,
        link: report.link,
        stored_bytes: report.manifest.sources.iter().map(Source::stored_bytes).sum(),
        copied: vec![report.manifest],
        failures: Vec::new(),
    });
    Elsewhere { name, outcome }
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
