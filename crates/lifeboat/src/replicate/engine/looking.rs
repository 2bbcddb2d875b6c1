//! Looking at databases, and what follows from it.

use std::time::{Duration, Instant};

use super::Engine;
use super::slot::Phase;
use crate::Error;
use crate::error::chain;
use crate::replicate::captures::{Look, Released};
use crate::replicate::event::Event;
use crate::replicate::message::{Order, Start, Upkeep};

/// How often the state is saved while captures go on, and the spool cleared of what nobody lacks.
const SAVE: Duration = Duration::from_secs(5);

/// How often a database at rest is looked at where nobody tells when it is written to.
const UNWATCHED: Duration = Duration::from_secs(10);
/// A look may take this part of the time at most.
const MOST_OF_THE_TIME: u32 = 10;

impl Engine<'_> {
    /// Hands databases to the starter.
    pub(super) fn begin_due(&mut self, now: Instant) {
        let Some(starter) = &self.starter else { return };
        for (number, slot) in self.databases.iter_mut().enumerate() {
            if matches!(slot.phase, Phase::Waiting) && slot.next.is_some_and(|next| next <= now) {
                (slot.phase, slot.next) = (Phase::Starting, None);
                let start = Start::Begin { database: number, target: slot.target.clone() };
                let _ = starter.send(start);
            }
        }
    }

    pub(super) fn look_due(&mut self, now: Instant) {
        for number in 0..self.databases.len() {
            if self.databases[number].next.is_some_and(|next| next <= now) {
                self.look(number);
            }
        }
    }

    /// Looks at a database and tells every uploader of what was captured.
    pub(super) fn look(&mut self, number: usize) {
        let slot = &mut self.databases[number];
        let Phase::Following(replica) = &mut slot.phase else { return };
        let began = Instant::now();
        let look = replica.look(&self.limits);
        let took = began.elapsed();
        match look {
            Ok(Look::Nothing) => self.looked(number, took),
            Ok(Look::Captured) => {
                self.spread(number);
                self.looked(number, took);
            }
            Ok(Look::NewLineage(reason)) => {
                self.events
                    .event(&Event::NewLineage { database: &slot.target.name, reason: &reason });
                self.store(number, 0);
            }
            Err(error) => self.failed(number, &error),
        }
    }

    /// What was captured of a database goes to every uploader.
    pub(super) fn spread(&mut self, number: usize) {
        let slot = &mut self.databases[number];
        let Phase::Following(replica) = &slot.phase else { return };
        let new = replica.captures.waiting.iter().filter(|spooled| Some(spooled.max) > slot.spread);
        for spooled in new {
            let (database, txid) = (slot.target.name.as_str(), spooled.max);
            let (time, bytes) = (spooled.time, spooled.bytes);
            self.events.event(&Event::Captured { database, txid, time, bytes });
            for uploader in &self.uploaders {
                let _ = uploader.send(Order::Add { database: number, spooled: spooled.clone() });
            }
        }
        slot.spread = replica.captured().0;
    }

    /// A look went well; `took` so long.
    fn looked(&mut self, number: usize, took: Duration) {
        let slot = &mut self.databases[number];
        let Phase::Following(replica) = &mut slot.phase else { return };
        (slot.looked, slot.failures) = (true, 0);
        if slot.trouble.take().is_some() {
            self.events
                .event(&Event::Working { database: Some(&slot.target.name), repository: None });
        }
        let idle = self.limits.idle;
        let is_still = slot.stirred.is_none_or(|stirred| stirred.elapsed() >= idle);
        let rests = is_still && replica.is_quiet_for(idle);
        if rests {
            replica.rest();
        }
        // One that must be read as a whole, because it has a rollback journal, is not read all the time.
        let pause = slot.interval.max(took * MOST_OF_THE_TIME);
        let pause = replica.pause(&self.limits).map_or(pause, |most| pause.min(most));
        let pause = if rests { pause.max(UNWATCHED) } else { pause };
        slot.next = (!rests || !slot.watched).then(|| Instant::now() + pause);
    }

    pub(super) fn failed(&mut self, number: usize, error: &Error) {
        let slot = &mut self.databases[number];
        slot.next = Some(slot.retry(error));
        // What is in the spool is taken up again from there.
        if let Phase::Following(replica) = &mut slot.phase {
            let _ = replica.captures.save();
        }
        slot.phase = Phase::Waiting;
        slot.ways.iter_mut().for_each(|way| way.attached = false);
        for uploader in &self.uploaders {
            let _ = uploader.send(Order::Detach { database: number });
        }
        self.tell_keeper(Upkeep::Detach { database: number });
        let (slot, error) = (&mut self.databases[number], chain(error));
        if slot.trouble.as_ref() != Some(&error) {
            self.events.event(&Event::Failing {
                database: Some(&slot.target.name),
                repository: None,
                error: &error,
            });
            slot.trouble = Some(error);
        }
    }

    /// Has a repository brought up to a database.
    pub(super) fn store(&mut self, number: usize, repository: usize) {
        let (slot, Some(starter)) = (&mut self.databases[number], &self.starter) else { return };
        match std::mem::replace(&mut slot.phase, Phase::Starting) {
            Phase::Following(replica) => {
                slot.next = None;
                let _ = starter.send(Start::Store { database: number, replica, repository });
            }
            // It is on its way; whoever comes back is attached, and asks again.
            other => slot.phase = other,
        }
    }

    pub(super) fn save_due(&mut self, now: Instant) {
        if now < self.save_next {
            return;
        }
        self.save_next = now + SAVE;
        self.save();
    }

    pub(super) fn save(&mut self) {
        let ids: Vec<String> =
            self.repositories.iter().filter_map(|lane| lane.id.clone()).collect();
        // One that was not reached yet may need all of it.
        let releases = ids.len() == self.repositories.len();
        let keeps_copies = self.keeper.is_some();
        for number in 0..self.databases.len() {
            let slot = &mut self.databases[number];
            let Phase::Following(replica) = &mut slot.phase else { continue };
            let captures = &mut replica.captures;
            let saved = captures.save().and_then(|()| {
                let ids = if releases { ids.as_slice() } else { &[] };
                captures.release(ids, self.limits.spool_bytes, keeps_copies)
            });
            match saved {
                Ok(Released::All) => {}
                Ok(Released::Merged) => self.attach_anew(number),
                Ok(Released::Dropped(txid)) => {
                    let database = self.databases[number].target.name.as_str();
                    self.events.event(&Event::Dropped { database, txid });
                    self.attach_anew(number);
                }
                Err(error) => self.failed(number, &error),
            }
        }
    }

    /// The uploaders are told what is in the spool now.
    fn attach_anew(&mut self, number: usize) {
        (0..self.repositories.len()).for_each(|repository| self.attach(number, repository));
    }

    /// Whether something is not saved yet.
    pub(super) fn is_unsaved(&self) -> bool {
        self.databases.iter().any(|slot| match &slot.phase {
            Phase::Following(replica) => replica.captures.is_unsaved(),
            _ => false,
        })
    }
}
