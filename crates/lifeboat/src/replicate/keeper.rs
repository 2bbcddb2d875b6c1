//! Keeps the history of databases short, while they are replicated, on a thread of its own.
//!
//! ```text
//! stored: uploaders ─► engine ─► rungs ─► plain merge ─► outbox ─► repository
//!                                  ▲           │
//!            spool, former merges ─┘ ◄─────────┘
//! ```
//!
//! *Rungs.* Which files a repository holds is known from what was stored there: nothing is listed. When a
//! window of the ladder is closed, what was captured in it becomes one file, made of the plain captures of
//! the spool, so that nothing is read back and a host needs no secrets for it. A merge is made once and
//! sealed for each repository. It adds no transaction, so it needs no lease, and where somebody else was
//! faster there is nothing left to do. What a merge takes the place of stays until a prune finds the merge
//! sound, and then for the grace period.
//!
//! *Passes.* Now and then everything is looked at: what was missed is merged, what nobody needs is announced and
//! removed, and a base is asked for where one is due. Of a database that nobody writes to any more this is done
//! when its last points are too old for a rung, and while something waits for its removal.
//!
//! Captures go first: while more than a few wait for a repository, it gets no merges. What fails is told,
//! tried again, and never stops a capture or an upload.

mod local;
mod pass;
mod rungs;
mod work;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use lifeboat_repository::{LtxName, Time};
use lifeboat_storage::{LocalStorage, Storage};

pub(super) use self::local::Local;
use self::work::{Database, Way, Work};
use super::Stop;
use super::message::{KeeperNews, Kept, Message, Upkeep};
use super::seal::seal_and_send;
use super::wake::Wake;
use crate::state::Spooled;
use crate::{Context, GRACE, OpenRepository, Result};

/// When passes are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// From the start to the first one.
    pub(crate) first: Duration,
    /// From one to the next.
    pub(crate) every: Duration,
    /// How long what nobody needs stays after it was announced.
    pub(crate) grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let (first, every) = (Duration::from_secs(10 * 60), Duration::from_secs(6 * 60 * 60));
        Self { first, every, grace: GRACE }
    }
}

/// The thread.
pub(super) struct Keeper<'a> {
    pub(super) context: &'a Context,
    /// How many repositories there are.
    pub(super) repositories: usize,
    pub(super) pace: Pace,
    /// The most bytes of merges of a database that are kept for the next rung.
    pub(super) merges_bytes: Option<u64>,
    pub(super) orders: Receiver<Upkeep>,
    pub(super) messages: Sender<Message>,
    pub(super) wake: Wake,
    pub(super) stop: &'a Stop,
}

impl<'a> Keeper<'a> {
    /// Works until nobody can ask any more.
    pub(super) fn run(self) {
        let mut work = Work::new(self.repositories, Instant::now() + self.pace.first);
        while self.take_orders(&mut work) {
            if let Some((database, repository)) = work.due(Time::now(), Instant::now()) {
                self.merge_due(&mut work, database, repository);
                continue;
            }
            work.begin_passes(Time::now(), Instant::now(), self.pace.every);
            if let Some((database, repository)) = work.passes.pop_front() {
                self.pass_due(&mut work, database, repository);
            }
            if work.passes.is_empty() {
                work.lanes.iter_mut().for_each(|lane| lane.unlocked = None);
            }
        }
        for database in work.databases.values() {
            // Merges of which none is made any more; the next start forgets them otherwise.
            let _ = database.kept.local.forget(None, Some(0));
        }
    }

    /// Waits for orders as long as nothing is due; `false` once there is nothing more to do.
    fn take_orders(&self, work: &mut Work<'_>) -> bool {
        loop {
            while let Ok(order) = self.orders.try_recv() {
                work.obey(order);
            }
            if self.stop.is_set() {
                return false;
            }
            let received = match work.pause(Time::now(), Instant::now()) {
                Some(Duration::ZERO) => return true,
                Some(pause) => self.orders.recv_timeout(pause),
                None => self.orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(order) => work.obey(order),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Merges what is due of a database in a repository.
    fn merge_due(&self, work: &mut Work<'a>, number: usize, repository: usize) {
        let Work { databases, lanes, .. } = work;
        let Some(database) = databases.get_mut(&number) else { return };
        let lane = &mut lanes[repository];
        let merged = match &lane.opened {
            Some(opened) => self.merge_rungs(opened, database, repository),
            None => self.open(repository).and_then(|opened| {
                let opened = lane.opened.insert(opened);
                self.merge_rungs(opened, database, repository)
            }),
        };
        let way = database.ways.entry(repository).or_default();
        match merged {
            Ok(()) => {
                let failed = way.retry.succeed() | lane.retry.succeed();
                if failed {
                    self.tell(number, repository, KeeperNews::Working);
                }
            }
            Err(error) => {
                let retry = if error.is_of_storage() { &mut lane.retry } else { &mut way.retry };
                retry.fail();
                self.tell(number, repository, KeeperNews::Failing(error));
            }
        }
    }

    fn open(&self, repository: usize) -> Result<OpenRepository<'a>> {
        let opened = self.context.open_one_of_several(repository)?;
        opened.require_writable()?;
        Ok(opened)
    }

    fn merge_rungs(
        &self,
        opened: &OpenRepository<'_>,
        database: &mut Database,
        repository: usize,
    ) -> Result<()> {
        let Database { kept, ways, .. } = database;
        let Some(way) = ways.get_mut(&repository) else { return Ok(()) };
        let now = way.rungs.now(Time::now(), way.is_behind());
        for merge in way.rungs.plan(&kept.ladder, now) {
            if self.stop.is_set() {
                return Ok(());
            }
            let plain = kept.local.file(&merge.name).unwrap_or_else(|error| {
                self.tell(kept.database, repository, KeeperNews::Failing(error));
                None
            });
            let Some(plain) = plain else {
                // A pass makes it of what the repository holds, if that can be read here.
                way.written |= opened.can_read();
                continue;
            };
            let sent_bytes = send(opened, way, kept, merge.name, &plain)?;
            way.rungs.add_merge(merge.name);
            // Only a pass announces what it takes the place of.
            way.written = true;
            let (name, files) = (merge.name, merge.inputs.len());
            let news = KeeperNews::Merged { name, files, sent_bytes };
            self.tell(kept.database, repository, news);
        }
        way.rungs.settle(&kept.ladder, now);
        if way.is_behind() {
            // What comes next tells more than any time.
            way.rungs.rest();
        }
        self.release(database)
    }

    /// Lets go of what no merge is made of any more.
    fn release(&self, database: &mut Database) -> Result<()> {
        let (captures, merges) = database.merged(self.repositories);
        database.kept.local.forget(merges, self.merges_bytes)?;
        if let Some(txid) = captures.filter(|txid| Some(*txid) > database.told) {
            database.told = Some(txid);
            let (database, lineage) = (database.kept.database, database.kept.lineage.id());
            let _ = self.messages.send(Message::Merged { database, lineage, txid });
            self.wake.ring();
        }
        Ok(())
    }

    fn tell(&self, database: usize, repository: usize, news: KeeperNews) {
        // Without an engine there is nobody to be told.
        let _ = self.messages.send(Message::Keeper { database, repository, news });
        self.wake.ring();
    }
}

/// Brings a merge into a repository; the bytes that were sent. What stands there under its name holds the
/// same transactions, whoever made it.
fn send(
    opened: &OpenRepository<'_>,
    way: &mut Way,
    kept: &Kept,
    name: LtxName,
    plain: &Spooled,
) -> Result<u64> {
    let repository = opened.repository();
    let outbox = match &way.outbox {
        Some(outbox) => outbox.clone(),
        None => {
            let path = kept.local.outbox(&opened.id());
            let outbox: Arc<dyn Storage> = Arc::new(LocalStorage::create(&path)?);
            way.outbox.insert(outbox).clone()
        }
    };
    let ledger = kept.local.ledger(&opened.id());
    let file = std::iter::once(plain);
    match seal_and_send(repository, &outbox, &ledger, &kept.lineage, name, file) {
        Err(error) if error.is_taken_name() => {
            for other in repository.outgoing(&outbox)? {
                outbox.remove(&other.entry.key)?;
            }
            Ok(0)
        }
        sent => sent,
    }
}
