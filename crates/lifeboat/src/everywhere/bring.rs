//! From one repository to the others.

use std::thread;

use lifeboat_repository::{BackupId, BackupName, Manifest, Source, Time};

use super::first::First;
use super::open::{Opening, Place};
use super::{Brought, Elsewhere};
use crate::backup::{Written, backup_to};
use crate::copy::{copy_from, select_newer};
use crate::files::FilesPart;
use crate::threads::joined;
use crate::{
    BackupEvent, BackupReport, BackupRequest, CopyPlan, Error, Note, OpenRepository, Progress,
    Result,
};

/// Where the others get it from.
pub(super) struct Origin<'a, 'b> {
    pub(super) opened: &'a OpenRepository<'b>,
    /// The backup that was just made, and the newest that was there before, if nothing has come since but this one.
    pub(super) made: Option<(&'a Manifest, Option<&'a BackupName>)>,
    /// What was just made waits on this machine; with its files part, if it has files.
    pub(super) waiting: Option<Option<&'a FilesPart>>,
}

/// Another repository, and what became of it.
pub(super) struct Other<'a> {
    name: String,
    outcome: Result<Got<'a>>,
}

/// What a repository got.
enum Got<'a> {
    /// Copies, by then.
    Copies(Box<OpenRepository<'a>>, Brought, Time),
    /// A backup of its own.
    Backup(Box<BackupReport>),
}

/// How far it came with a repository.
pub(super) enum Attempt<'a> {
    Ended(Other<'a>),
    /// It must get a backup of its own.
    Alone(String, Box<OpenRepository<'a>>),
}

/// Brings the repository that has the backup what it lacks of the others, of those that have been opened by now.
/// One that had nothing before gets nothing: it is new.
pub(super) fn catch_up<'a>(
    first: &First<'_>,
    others: &mut Vec<Opening<'_, 'a>>,
    progress: &dyn Progress,
) -> Vec<Elsewhere> {
    let to = &first.opened;
    let Some(newest) = first.newest.as_ref().filter(|_| to.can_read()) else { return Vec::new() };
    *others = std::mem::take(others).into_iter().map(Opening::by_now).collect();
    let mut caught_up = Vec::new();
    for opening in others {
        let Opening::Done(place) = opening else { continue };
        let is_later =
            |other: &BackupName| other.started >= newest.started && other.id != newest.id;
        if !place.newest.as_ref().is_some_and(is_later) {
            continue;
        }
        let Some(from) = place.opened.as_ref().ok().filter(|from| from.can_read()) else {
            continue;
        };
        let origin = Origin { opened: from, made: None, waiting: None };
        let outcome = origin.bring(to, Some(newest), progress);
        if outcome.as_ref().map_or(true, Brought::is_something) {
            caught_up.push(Elsewhere { name: place.name.clone(), outcome });
        }
    }
    caught_up
}

/// Brings what they lack to all others, all at the same time.
pub(super) fn bring_to_all<'a>(
    origin: &Origin<'_, '_>,
    others: Vec<Opening<'_, 'a>>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Vec<Other<'a>> {
    progress.begin("copying to the other repositories", None);
    let brought = bring_each(origin, others, &AsOne { progress, counts: true });
    progress.end();
    store_alone(brought, request, progress)
}

/// The same, without those that must get a backup of their own.
pub(super) fn bring_each<'a>(
    origin: &Origin<'_, '_>,
    others: Vec<Opening<'_, 'a>>,
    progress: &AsOne<'_>,
) -> Vec<Attempt<'a>> {
    thread::scope(|scope| {
        let bring = |opening: Opening<'_, 'a>| origin.bring_to(opening.wait(), progress);
        let threads = others.into_iter().map(|opening| scope.spawn(move || bring(opening)));
        threads.collect::<Vec<_>>().into_iter().map(joined).collect()
    })
}

/// Backs up again to those that need it: one after the other, because each takes the databases.
pub(super) fn store_alone<'a>(
    brought: Vec<Attempt<'a>>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Vec<Other<'a>> {
    let store = |attempt| match attempt {
        Attempt::Ended(other) => other,
        Attempt::Alone(name, to) => {
            let stored = backup_to(&to, request, progress);
            Other { name, outcome: stored.map(|report| Got::Backup(Box::new(report))) }
        }
    };
    brought.into_iter().map(store).collect()
}

impl Origin<'_, '_> {
    fn bring_to<'a>(&self, place: Place<'a>, progress: &dyn Progress) -> Attempt<'a> {
        let Place { name, opened, newest } = place;
        let to = match opened {
            // Who holds no secrets cannot copy.
            Ok(to) if !self.opened.can_read() || !to.can_read() => {
                return Attempt::Alone(name, Box::new(to));
            }
            Ok(to) => Box::new(to),
            Err(error) => return Attempt::Ended(Other { name, outcome: Err(error) }),
        };
        match self.bring(&to, newest.as_ref(), progress) {
            Err(error) if self.is_to_blame(&error) => Attempt::Alone(name, to),
            brought => {
                let outcome = brought.map(|brought| Got::Copies(to, brought, Time::now()));
                Attempt::Ended(Other { name, outcome })
            }
        }
    }

    /// What waits is at hand, but somebody who lacks more than that needs the repository, which may be gone.
    fn is_to_blame(&self, error: &Error) -> bool {
        self.waiting.is_some() && error.is_of_storage_at(&self.opened.repository().location())
    }

    fn bring(
        &self,
        to: &OpenRepository<'_>,
        newest: Option<&BackupName>,
        progress: &dyn Progress,
    ) -> Result<Brought> {
        let id = |name: Option<&BackupName>| name.map(|name| name.id);
        let plan = match self.made {
            // It lacks that one, and no other.
            Some((made, before)) if id(before) == id(newest) => CopyPlan::of(made.clone()),
            _ => select_newer(self.opened, to, newest)?,
        };
        let report = copy_from(self.opened, self.waiting.flatten(), to, plan, progress)?;
        Ok(Brought {
            location: to.repository().location(),
            link: to.link(),
            stored_bytes: report.stored_bytes(),
            copied: report.copied,
            failures: report.failures,
        })
    }
}

impl Other<'_> {
    /// Whether it has a backup, or one of its own in its place.
    pub(super) fn has(&self, id: BackupId) -> bool {
        match &self.outcome {
            Ok(Got::Copies(_, brought, _)) => brought.copied.iter().any(|copied| copied.id == id),
            Ok(Got::Backup(_)) => true,
            Err(_) => false,
        }
    }

    /// Whether what it has is a copy.
    pub(super) fn is_copy(&self) -> bool {
        matches!(self.outcome, Ok(Got::Copies(..)))
    }

    /// Takes the place of the repository for which a backup was written: what it is called, and the backup there.
    pub(super) fn complete(
        self,
        written: Written,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<(String, BackupReport)> {
        let backup = match self.outcome? {
            Got::Backup(report) => *report,
            Got::Copies(opened, Brought { copied, .. }, when) => {
                written.copied(copied).complete(&opened, when, request, progress)?
            }
        };
        Ok((self.name, backup))
    }

    pub(super) fn into_elsewhere(self) -> Elsewhere {
        let outcome = self.outcome.map(|got| match got {
            Got::Copies(_, brought, _) => brought,
            Got::Backup(report) => Brought {
                location: report.location,
                link: report.link,
                stored_bytes: report.manifest.sources.iter().map(Source::stored_bytes).sum(),
                copied: vec![report.manifest],
                failures: Vec::new(),
            },
        });
        Elsewhere { name: self.name, outcome }
    }
}

/// What several threads do, told as one stage.
pub(super) struct AsOne<'a> {
    pub(super) progress: &'a dyn Progress,
    /// Whether what they copy is what is counted.
    pub(super) counts: bool,
}

impl Progress for AsOne<'_> {
    fn advance(&self, bytes: u64) {
        if self.counts {
            self.progress.advance(bytes);
        }
    }

    fn note(&self, note: &Note) {
        self.progress.note(note);
    }

    fn event(&self, event: &BackupEvent<'_>) {
        self.progress.event(event);
    }
}
