//! What waits, and how it is sent.

use std::collections::VecDeque;
use std::io;
use std::sync::PoisonError;

use lifeboat_storage::{Entry, Error, Key, Result, Storage, StoredContent};

use super::watched::{SentBytes, Watched};
use super::{Deferred, Shared, begins};
use crate::create::digest_of;
use crate::outbox::sent_mark;

/// What is sent before the rest where space is short: nobody sees it before an index or a manifest names it.
const LARGE: [&str; 2] = ["databases/", "data/"];
/// What the next process sends if this one cannot: the rest is of use only if all of it comes through.
const RESUMED: [&str; 1] = ["databases/"];

/// The objects in the outbox.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// What is still to be sent, in this order.
    objects: VecDeque<Entry>,
    /// What was sent, and is read from here by who copies it.
    sent: Vec<Entry>,
    /// Of all of them.
    bytes: u64,
}

impl Waiting {
    fn add(&mut self, entry: Entry) {
        self.bytes += entry.size;
        self.objects.push_back(entry);
    }

    /// Takes an object out of what is to be sent; whether it was to be.
    pub(super) fn withdraw(&mut self, key: &Key) -> bool {
        let taken = self.take(key);
        self.bytes -= taken.as_ref().map_or(0, |entry| entry.size);
        taken.is_some()
    }

    fn take(&mut self, key: &Key) -> Option<Entry> {
        let at = self.objects.iter().position(|entry| entry.key == *key)?;
        self.objects.remove(at)
    }

    fn keep_as_sent(&mut self, key: &Key) {
        let sent = self.take(key);
        self.sent.extend(sent);
    }

    /// All that need not be in the outbox any more.
    fn drain(&mut self) -> Vec<Entry> {
        let mut done = std::mem::take(&mut self.sent);
        let (last, useless) =
            self.objects.drain(..).partition(|entry| begins(&entry.key, &RESUMED));
        self.objects = last;
        done.extend::<VecDeque<_>>(useless);
        self.bytes -= done.iter().map(|entry| entry.size).sum::<u64>();
        done
    }
}

impl Deferred {
    /// Bytes that are still to be sent.
    pub fn waiting_bytes(&self) -> u64 {
        self.shared.waiting().objects.iter().map(|entry| entry.size).sum()
    }

    /// Sends all that waits, in the order in which it was written. `fence` is asked before anything is sent by which
    /// others see what was stored; `progress` is told of bytes that were sent, also of those that were sent in vain.
    ///
    /// What was sent can be read from the outbox until [`Deferred::clear`].
    pub fn send<E: From<crate::Error>>(
        &self,
        fence: &dyn Fn() -> std::result::Result<(), E>,
        progress: &SentBytes<'_>,
    ) -> std::result::Result<(), E> {
        let _alone = self.shared.sending.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(next) = self.shared.waiting().objects.front().cloned() else { return Ok(()) };
            if !begins(&next.key, &LARGE) {
                fence()?;
            }
            self.shared.send(&next.key, progress).map_err(crate::Error::from)?;
        }
    }

    /// Takes out of the outbox what was sent. Of what was not, LTX files stay, for [`crate::Repository::resume`];
    /// the rest would be of no use. From then on all is read from the target.
    pub fn clear(&self) -> crate::Result<()> {
        self.shared.listings().frozen = false;
        let done = self.shared.waiting().drain();
        for entry in done {
            self.shared.outbox.remove(&entry.key)?;
            self.shared.outbox.remove(&sent_mark(&entry.key)?)?;
        }
        Ok(())
    }
}

impl Shared {
    /// Lets an object of the outbox wait; then there is room for one more.
    pub(super) fn wait(&self, key: &Key) -> Result<()> {
        let entry = self.entry(key)?;
        self.waiting().add(entry);
        self.make_room()
    }

    /// Copies an object of the outbox into the target.
    pub(super) fn put(&self, key: &Key, progress: &SentBytes<'_>) -> Result<()> {
        let content = StoredContent::new(&*self.outbox, key, self.entry(key)?.size);
        self.target.put_content(key, &Watched { content, progress }, None)
    }

    /// The same with one that waited. It may be there already, sent by a request whose answer was lost; and a target
    /// that takes an object for whole although it was cut short is found out.
    fn put_waiting(&self, key: &Key, progress: &SentBytes<'_>) -> Result<()> {
        let (outbox, target) = (&*self.outbox, &*self.target);
        match self.put(key, progress) {
            Err(Error::Exists { .. }) if digest_of(target, key)? == digest_of(outbox, key)? => {}
            put => put?,
        }
        let size = self.entry(key)?.size;
        let found = target.stat(key)?.map(|entry| entry.size);
        if found == Some(size) {
            return Ok(());
        }
        let found = found.map_or("none".to_owned(), |found| found.to_string());
        Err(Error::Storage {
            operation: "publish",
            object: key.to_string(),
            location: target.location(),
            source: io::Error::other(format!("{size} bytes just written, {found} found")),
        })
    }

    /// Sends an object that waits.
    fn send(&self, key: &Key, progress: &SentBytes<'_>) -> Result<()> {
        self.put_waiting(key, progress)?;
        if begins(key, &RESUMED) {
            // Or the next process, if this one is killed, reads all of it back to be told that it is there.
            self.outbox.put(&sent_mark(key)?, b"")?;
        }
        self.waiting().keep_as_sent(key);
        Ok(())
    }

    /// Makes sure that the outbox has room for one more object, by sending what is large. From then on that is read
    /// from the target.
    fn make_room(&self) -> Result<()> {
        let is_full = || self.waiting().bytes.saturating_add(self.object_bytes) > self.room;
        if !is_full() {
            return Ok(());
        }
        let _alone = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        while is_full() {
            let is_large = |entry: &&Entry| begins(&entry.key, &LARGE);
            let large = self.waiting().objects.iter().find(is_large).cloned();
            let Some(Entry { key, .. }) = large else { return Ok(()) };
            self.put_waiting(&key, &|_| ())?;
            self.outbox.remove(&key)?;
            self.waiting().withdraw(&key);
        }
        Ok(())
    }

    fn entry(&self, key: &Key) -> Result<Entry> {
        let missing = || Error::NotFound { key: key.clone(), location: self.outbox.location() };
        self.outbox.stat(key)?.ok_or_else(missing)
    }
}
