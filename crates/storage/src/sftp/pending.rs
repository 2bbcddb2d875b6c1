//! Requests that wait for their answers.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::decode::Malformed;
use super::problem::NoConnection;
use super::reply::Reply;

/// Requests that wait for their answers. As many as there are callers, each with what it may have
/// in flight.
pub(super) struct Pending {
    table: Mutex<Table>,
    answered: Condvar,
}

struct Table {
    next_id: u32,
    waiting: HashMap<u32, SyncSender<Reply>>,
    /// When the server last did what it should, or was first asked for something after that.
    silent_since: Instant,
    lost: Option<NoConnection>,
}

impl Pending {
    pub(super) fn new() -> Self {
        let table =
            Table { next_id: 0, waiting: HashMap::new(), silent_since: Instant::now(), lost: None };
        Self { table: Mutex::new(table), answered: Condvar::new() }
    }

    /// A number for a request, and where its answer will come. The channel ends without one when
    /// the connection does.
    pub(super) fn add(&self) -> Result<(u32, Receiver<Reply>), NoConnection> {
        let mut table = self.table();
        if let Some(lost) = &table.lost {
            return Err(lost.clone());
        }
        let mut id = table.next_id;
        while table.waiting.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        table.next_id = id.wrapping_add(1);
        if table.waiting.is_empty() {
            table.silent_since = Instant::now();
        }
        let (sender, receiver) = sync_channel(1);
        table.waiting.insert(id, sender);
        Ok((id, receiver))
    }

    /// Hands an answer to whoever waits for it; who does not any more is not asked.
    pub(super) fn answer(&self, id: u32, reply: Reply) -> Result<(), Malformed> {
        let mut table = self.table();
        let Some(sender) = table.waiting.remove(&id) else {
            return Err(Malformed("an answer to nothing that was asked"));
        };
        table.silent_since = Instant::now();
        drop(table);
        self.answered.notify_all();
        let _ = sender.try_send(reply);
        Ok(())
    }

    /// Ends the wait of all, now and later.
    pub(super) fn fail(&self, error: NoConnection) {
        let mut table = self.table();
        table.lost.get_or_insert(error);
        table.waiting.clear();
        drop(table);
        self.answered.notify_all();
    }

    /// Why the connection ended, if it did.
    pub(super) fn lost(&self) -> Option<NoConnection> {
        self.table().lost.clone()
    }

    /// How long the server has owed an answer and said nothing.
    pub(super) fn silence(&self) -> Option<Duration> {
        let table = self.table();
        (!table.waiting.is_empty()).then(|| table.silent_since.elapsed())
    }

    /// Waits until all is answered, but not longer than `patience`.
    pub(super) fn wait_until_idle(&self, patience: Duration) {
        let table = self.table();
        let busy = |table: &mut Table| !table.waiting.is_empty();
        let _ = self.answered.wait_timeout_while(table, patience, busy);
    }

    /// No code of others runs while it is held, so a panic cannot have left half a change.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
