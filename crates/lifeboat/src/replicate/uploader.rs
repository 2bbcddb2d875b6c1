//! Brings captures into one repository, in their order, on a thread of its own: a repository that
//! fails or is slow delays no other and no capture.
//!
//! A file is sealed into an outbox, noted in the ledger, sent, and removed from the outbox. What was
//! cut short is begun again from the outbox, with the same bytes.

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;
use lifeboat_repository::{LtxName, Repository, Time};
use lifeboat_storage::Storage;

use super::message::{Attach, Message, Order, UploadNews};
use super::queue::{Queue, Standing};
use super::seal::seal_and_send;
use super::wake::Wake;
use crate::backoff::backoff;
use crate::lease::{LEASE_TTL, hold};
use crate::opened::OpenRepository;
use crate::state::{Position, Spooled};
use crate::way::resized;
use crate::{Context, Error, Result};

/// The first and the longest time between two tries.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Why a repository lacks a capture whose name it refuses.
const TAKEN: &str = "other bytes stand under the name of a capture";

/// The thread of one repository.
pub(super) struct Uploader<'a> {
    pub(super) context: &'a Context,
    /// Its number.
    pub(super) repository: usize,
    /// How long captures are gathered before they are sent as one; `None`: each by itself.
    pub(super) interval: Option<Duration>,
    /// Whether the user says that no other host writes.
    pub(super) take_over: bool,
    pub(super) orders: Receiver<Order>,
    pub(super) messages: Sender<Message>,
    pub(super) wake: Wake,
}

/// What an uploader knows at a time.
#[derive(Default)]
struct Work {
    queues: BTreeMap<usize, Queue>,
    /// Failures since the last success, and when to try again.
    failures: u32,
    not_before: Option<Instant>,
    /// It ends when all is sent, at the first failure, or at a time.
    finish: Option<Option<Instant>>,
}

impl Uploader<'_> {
    /// Works until it is told to finish.
    pub(super) fn run(self) {
        let mut work = Work::default();
        let mut opened: Option<OpenRepository<'_>> = None;
        loop {
            if !self.take_orders(&mut work, opened.is_none()) {
                return;
            }
            if work.not_before.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            let done = match &opened {
                Some(open) => self.serve(open, &mut work),
                None => self.open().map(|open| opened = Some(open)),
            };
            match done {
                Ok(()) if work.failures > 0 => {
                    (work.failures, work.not_before) = (0, None);
                    self.tell(UploadNews::Working { database: None });
                }
                Ok(()) => {}
                Err((database, error)) => self.fail(&mut work, database, error),
            }
        }
    }

    fn open(&self) -> Result<OpenRepository<'_>, (Option<usize>, Error)> {
        let open = || {
            let opened = self.context.open_one_of_several(self.repository)?;
            opened.require_writable()?;
            Ok(opened)
        };
        let opened = open().map_err(|error| (None, error))?;
        let location = opened.repository().location();
        self.tell(UploadNews::Opened { id: opened.id(), location });
        Ok(opened)
    }

    /// Waits for orders as long as nothing is due; `false` once there is nothing more to do.
    fn take_orders(&self, work: &mut Work, closed: bool) -> bool {
        loop {
            while let Ok(order) = self.orders.try_recv() {
                work.obey(order);
            }
            if work.is_finished(closed) {
                return false;
            }
            let now = Instant::now();
            let due = if closed { Some(now) } else { work.due(self.interval, now) };
            let due = due.map(|due| work.not_before.map_or(due, |until| until.max(due)));
            let received = match due {
                Some(due) if due <= now => return true,
                Some(due) => self.orders.recv_timeout(due - now),
                None => self.orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(order) => work.obey(order),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Does one thing for each database for which one is due.
    fn serve(
        &self,
        opened: &OpenRepository<'_>,
        work: &mut Work,
    ) -> Result<(), (Option<usize>, Error)> {
        let now = Instant::now();
        let finishing = work.finish.is_some();
        let interval = if finishing { None } else { self.interval };
        for (database, queue) in &mut work.queues {
            if queue.due(interval, now).is_none_or(|due| due > now) {
                continue;
            }
            let repository = opened.repository();
            let done = match queue.standing {
                Standing::Unknown => self.look(repository, queue),
                _ => self.send_next(repository, queue),
            };
            done.map_err(|error| (Some(*database), error))?;
            if std::mem::take(&mut queue.failures) > 0 {
                queue.not_before = None;
                self.tell(UploadNews::Working { database: Some(*database) });
            }
        }
        Ok(())
    }

    /// Sends what an earlier process left, and finds out whether the rest can go on from there.
    fn look(&self, repository: &Repository, queue: &mut Queue) -> Result<()> {
        let database = queue.attach.database;
        let outbox = queue.outbox()?;
        let reached = queue.attach.position.map(|position| position.txid);
        let mut taken = None;
        for outgoing in repository.outgoing(&outbox)? {
            match repository.send(&outbox, &outgoing.entry).map_err(Error::from) {
                // Sent again, it would be refused again: what it holds comes by another file, if it
                // has not come yet.
                Err(error) if error.is_taken_name() => {
                    taken = taken.max(outgoing.name.map(|name| name.max));
                }
                sent => drop(sent?),
            }
            outbox.remove(&outgoing.entry.key)?;
        }
        let lineage = &queue.attach.lineage;
        let (name, node) = (&queue.attach.name, &self.context.host().node);
        let own = Some(lineage.id());
        let lease = hold(repository, lineage.database(), name, node, own, self.take_over)?;
        queue.lease = Some((lease.epoch, Instant::now()));
        let mut listing = repository.listing(lineage)?;
        // Half a file is none.
        let known = queue.attach.ledger.objects()?;
        listing.files.retain(|file| resized(file, &known).is_none());
        let reason = if listing.fenced {
            Some("another host took the database over".to_owned())
        } else if listing.highest > queue.attach.highest {
            Some("the repository is ahead of the local state".to_owned())
        } else {
            // What came through before the state knew it, by itself or at the end of several. A base
            // does not tell: it may stand there before the captures that lead to it.
            let deltas = listing.files.iter().filter(|file| !file.name.range().is_base());
            let there: HashSet<_> = deltas.map(|file| point_of(&file.name)).collect();
            let came_through = queue.waiting.iter().rev().find(|spooled| {
                Some(spooled.max) > reached && there.contains(&(spooled.max, spooled.time))
            });
            if let Some(spooled) = came_through
                && let Some(checksum) = spooled.captured()?.checksum
            {
                queue.attach.position = Some(Position { txid: spooled.max, checksum });
            }
            match queue.attach.position {
                None => Some("the repository does not hold this database yet".to_owned()),
                Some(_) if queue.attach.behind => Some("the repository is behind".to_owned()),
                Some(position) if taken > Some(position.txid) => Some(TAKEN.to_owned()),
                Some(position) => listing.plan(lineage, position.txid).err().map(|e| e.to_string()),
            }
        };
        let reason = match reason {
            None if !queue.goes_on() => Some("captures are missing from the spool".to_owned()),
            reason => reason,
        };
        match (reason, queue.attach.position) {
            (None, Some(position)) => {
                queue.standing = Standing::Good;
                let ends = listing.files.iter().filter(|file| file.name.max == position.txid);
                let time = ends.map(|file| file.name.time).min().unwrap_or(Time::from_millis(0));
                let lineage = queue.attach.lineage.id();
                let names = listing.files.iter().map(|file| file.name).collect();
                let waiting = queue.waiting.len();
                self.tell(UploadNews::Attached {
                    database,
                    lineage,
                    position,
                    time,
                    names,
                    waiting,
                });
            }
            (reason, _) => {
                let reason = reason.unwrap_or_default();
                queue.standing = Standing::Lacking;
                self.tell(UploadNews::Lacks { database, reason });
            }
        }
        Ok(())
    }

    /// Seals and sends the next file.
    fn send_next(&self, repository: &Repository, queue: &mut Queue) -> Result<()> {
        if !self.is_still_ours(repository, queue)? {
            queue.standing = Standing::Unknown;
            return Ok(());
        }
        let outbox = queue.outbox()?;
        let count = queue.batch(self.interval);
        let Some(name) = queue.name(count) else { return Ok(()) };
        let captured = queue.waiting.get(count - 1).map(Spooled::captured).transpose()?;
        let checksum = captured.and_then(|captured| captured.checksum);
        let Attach { ledger, lineage, .. } = &queue.attach;
        let batch = queue.waiting.iter().take(count);
        let sent_bytes = seal_and_send(repository, &outbox, ledger, lineage, name, batch)?;
        queue.waiting.drain(..count);
        queue.sent = Some(Instant::now());
        queue.hurry = !queue.waiting.is_empty() && queue.hurry;
        if let Some(checksum) = checksum {
            let (database, position) =
                (queue.attach.database, Position { txid: name.max, checksum });
            queue.attach.position = Some(position);
            let (lineage, waiting) = (queue.attach.lineage.id(), queue.waiting.len());
            self.tell(UploadNews::Stored {
                database,
                lineage,
                name,
                position,
                sent_bytes,
                waiting,
            });
        }
        Ok(())
    }

    /// Whether this host still holds the lease; asked again once others might have taken it.
    fn is_still_ours(&self, repository: &Repository, queue: &mut Queue) -> Result<bool> {
        let Some((epoch, asked)) = queue.lease else { return Ok(false) };
        // Its own uploads do not tell: one that lost a race would never learn of it.
        if asked.elapsed() < LEASE_TTL / 2 {
            return Ok(true);
        }
        let (database, node) = (queue.attach.lineage.database(), &self.context.host().node);
        queue.lease = Some((epoch, Instant::now()));
        Ok(repository.confirm_lease(database, node, epoch)?)
    }

    fn fail(&self, work: &mut Work, database: Option<usize>, error: Error) {
        if let (Some(database), true) = (database, error.is_taken_name()) {
            // Somebody else writes there: this lineage cannot go on.
            if let Some(queue) = work.queues.get_mut(&database) {
                queue.standing = Standing::Lacking;
            }
            return self.tell(UploadNews::Lacks { database, reason: TAKEN.to_owned() });
        }
        let queue = database.and_then(|database| work.queues.get_mut(&database));
        match queue.filter(|_| !error.is_of_storage()) {
            // The others in this repository are not kept waiting.
            Some(queue) => {
                queue.not_before = Some(next_try(&mut queue.failures));
                self.tell(UploadNews::Failing { database, error });
            }
            None => {
                work.not_before = Some(next_try(&mut work.failures));
                self.tell(UploadNews::Failing { database: None, error });
            }
        }
    }

    fn tell(&self, news: UploadNews) {
        // Without an engine there is nobody to be told.
        let _ = self.messages.send(Message::Upload { repository: self.repository, news });
        self.wake.ring();
    }
}

/// What tells a point from all others, those included that a state that was set back gave the same number.
fn point_of(name: &LtxName) -> (Txid, Time) {
    (name.max, name.time)
}

/// When to try again, after one more failure.
pub(super) fn next_try(failures: &mut u32) -> Instant {
    let wait = backoff(RETRY.0, RETRY.1, *failures);
    *failures = failures.saturating_add(1);
    Instant::now() + wait
}

impl Work {
    fn obey(&mut self, order: Order) {
        match order {
            Order::Attach(attach) => {
                self.queues.insert(attach.database, Queue::new(*attach));
            }
            Order::Add { database, spooled } => {
                if let Some(queue) = self.queues.get_mut(&database) {
                    queue.waiting.push_back(spooled);
                }
            }
            Order::Detach { database } => {
                self.queues.remove(&database);
            }
            Order::Hurry { database } => {
                if let Some(queue) = self.queues.get_mut(&database) {
                    (queue.hurry, queue.not_before) = (true, None);
                    // Who asks wants to know, now.
                    self.not_before = None;
                }
            }
            Order::Finish { until } => {
                (self.finish, self.not_before, self.failures) = (Some(until), None, 0);
                for queue in self.queues.values_mut() {
                    (queue.not_before, queue.failures) = (None, 0);
                }
            }
        }
    }

    fn due(&self, interval: Option<Duration>, now: Instant) -> Option<Instant> {
        let interval = if self.finish.is_some() { None } else { interval };
        self.queues.values().filter_map(|queue| queue.due(interval, now)).min()
    }

    fn is_finished(&self, closed: bool) -> bool {
        let Some(until) = self.finish else { return false };
        let rests = |queue: &Queue| queue.failures > 0 || queue.due(None, Instant::now()).is_none();
        let idle = !closed && self.queues.values().all(rests);
        idle || self.failures > 0 || until.is_some_and(|until| Instant::now() >= until)
    }
}
