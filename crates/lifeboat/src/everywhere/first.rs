//! The repository for which the sources are read.

use std::sync::Arc;
use std::thread;

use lifeboat_repository::{BackupName, Deferred, Manifest, Time};

use super::bring::{AsOne, Origin, Other, bring_each, bring_to_all, store_alone};
use super::open::{Openers, Opening, Place};
use super::{Elsewhere, EverywhereReport};
use crate::backup::{Begun, Written};
use crate::files::FilesPart;
use crate::held_locks::LockTicket;
use crate::threads::joined;
use crate::{BackupReport, BackupRequest, Error, OpenRepository, Progress, Result};

/// The repository that has the backup, or gets it when what waits is sent.
pub(super) struct First<'a> {
    name: String,
    pub(super) opened: OpenRepository<'a>,
    /// The newest backup of this host that it had before.
    pub(super) newest: Option<BackupName>,
    made: Made,
}

/// A backup in the first repository.
enum Made {
    /// It is there.
    There(Box<BackupReport>),
    /// It waits on this machine.
    Waiting(Box<Written>, Arc<Deferred>),
}

impl<'scope, 'a: 'scope> Openers<'scope, 'a> {
    /// Backs up to the first that takes it. What the sources are to blame for is no reason to try another.
    pub(super) fn back_up_first(
        &mut self,
        begun: Begun,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<First<'a>> {
        let (mut failed, mut begun) = (None, Some(begun));
        while let Some((number, Place { name, opened, newest })) = self.next() {
            let error = match opened {
                Ok(mut opened) => {
                    let begun = match begun.take() {
                        Some(begun) => begun,
                        None => Begun::new(opened.context(), request, progress)?,
                    };
                    match Made::make(begun, &mut opened, request, progress) {
                        Ok(made) => return Ok(First { name, opened, newest, made }),
                        Err(error) if !error.is_of_repository() => return Err(error),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            failed = failed.or(Some(number));
            self.put_back(number, Place { name, opened: Err(error), newest });
        }
        let place = failed.and_then(|number| self.take(number));
        let error = place.and_then(|place| place.opened.err()).unwrap_or(Error::Skipped);
        Err(match begun {
            Some(begun) => begun.fail(error, progress),
            None => error,
        })
    }
}

impl Made {
    fn make(
        begun: Begun,
        opened: &mut OpenRepository<'_>,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let deferred = match opened.defer() {
            Ok(deferred) => deferred,
            Err(error) => return Err(begun.fail(error, progress)),
        };
        let written = begun.write(opened, request, progress);
        match (written, deferred) {
            (Ok(written), Some(deferred)) => Ok(Self::Waiting(Box::new(written), deferred)),
            (Ok(written), None) => {
                let report = written.complete(opened, Time::now(), request, progress)?;
                Ok(Self::There(Box::new(report)))
            }
            (Err(error), deferred) => {
                // That what waits cannot be taken away comes after that error.
                let _ = deferred.map(|deferred| deferred.clear());
                Err(error)
            }
        }
    }

    fn manifest(&self) -> &Manifest {
        match self {
            Self::There(report) => &report.manifest,
            Self::Waiting(written, _) => &written.manifest,
        }
    }
}

impl First<'_> {
    /// Brings the backup to the others.
    pub(super) fn bring_to(
        self,
        others: Vec<Opening<'_, '_>>,
        caught_up: Vec<Elsewhere>,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<EverywhereReport> {
        let Self { name, opened, newest, made: state } = self;
        let manifest = state.manifest().clone();
        // Otherwise it has got others as well.
        let made = caught_up.is_empty().then_some((&manifest, newest.as_ref()));
        let mut origin = Origin { opened: &opened, made, waiting: None };
        let (written, deferred) = match state {
            Made::There(report) => {
                let others = bring_to_all(&origin, others, request, progress);
                let others = others.into_iter().map(Other::into_elsewhere).collect();
                return Ok(EverywhereReport { backup: *report, first: name, caught_up, others });
            }
            Made::Waiting(written, deferred) => (written, deferred),
        };
        origin.waiting = Some(written.held.as_ref());
        let (sent, others) = send_to_all(&origin, &deferred, others, request, progress);
        match sent {
            Ok(sent) => {
                let backup = written.complete(&opened, sent, request, progress)?;
                let others = others.into_iter().map(Other::into_elsewhere).collect();
                Ok(EverywhereReport { backup, first: name, caught_up, others })
            }
            Err(error) => without_first((name, error), *written, others, request, progress),
        }
    }
}

/// Sends what waits, and brings it to the others, all at the same time; when all of it was sent.
fn send_to_all<'a>(
    origin: &Origin<'_, '_>,
    deferred: &Deferred,
    others: Vec<Opening<'_, 'a>>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> (Result<Time>, Vec<Other<'a>>) {
    deferred.freeze_listings();
    let lock = origin.waiting.flatten().map(|files: &FilesPart| &files.lock);
    let fence = || Ok(lock.map_or(Ok(()), LockTicket::still_ours)?);
    // The others get as much, more or less, at the same time.
    progress.begin("sending to all repositories", Some(deferred.waiting_bytes()));
    let told = AsOne { progress, counts: false };
    let (sent, brought) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let sent = deferred.send(&fence, &|bytes| progress.advance(bytes));
            sent.map(|()| Time::now())
        });
        let brought = bring_each(origin, others, &told);
        (joined(sender), brought)
    });
    progress.end();
    let cleared = deferred.clear();
    (sent.and_then(|sent| Ok(cleared.map(|()| sent)?)), store_alone(brought, request, progress))
}

/// The first repository failed when what waited was sent: another one that has the backup takes its place.
fn without_first(
    (name, error): (String, Error),
    written: Written,
    mut others: Vec<Other<'_>>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<EverywhereReport> {
    let id = written.manifest.id;
    let Some(at) = others.iter().position(|other| other.has(id)) else {
        return Err(written.fail(error, progress));
    };
    let place = others.remove(at);
    let error = if place.is_copy() { error } else { written.fail(error, progress) };
    let (first, backup) = place.complete(written, request, progress)?;
    let failed = Elsewhere { name, outcome: Err(error) };
    let others = others.into_iter().map(Other::into_elsewhere);
    let others = std::iter::once(failed).chain(others).collect();
    Ok(EverywhereReport { backup, first, caught_up: Vec::new(), others })
}
