//! What was asked for and what has come, between those who fetch and the one who reads.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::ranges::PackRange;
use crate::{BlobHandle, BlobId, BlobKind, Error, Result};

/// How many blobs that were used more than once are kept for a next time: blocks of zeros above all.
const KEPT_BLOBS: usize = 4;

/// Holds what is wanted of each blob, a `T`, which is perhaps used several times.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    state: Mutex<State<T>>,
    /// There is something to fetch, or nothing ever again.
    asked: Condvar,
    /// Something has come.
    came: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<PackRange>,
    slots: HashMap<BlobId, Slot<T>>,
    /// Bytes of all that is asked for and not yet used up.
    bytes: u64,
    /// Blobs that nobody waits for and that may be asked for again, the oldest first.
    kept: VecDeque<BlobId>,
    closed: bool,
}

#[derive(Debug)]
struct Slot<T> {
    /// How often it will be taken.
    uses: usize,
    /// Whether it was asked for more than once.
    repeated: bool,
    bytes: u64,
    content: Option<Result<Arc<T>>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            slots: HashMap::new(),
            bytes: 0,
            kept: VecDeque::new(),
            closed: false,
        };
        Self { state: Mutex::new(state), asked: Condvar::new(), came: Condvar::new() }
    }
}

impl<T> Shelf<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of all that is asked for and not yet used up.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Reserves a place for a blob of so many plain bytes; `false` if it has one and need not be fetched.
    pub(super) fn reserve(&self, id: BlobId, bytes: u64) -> bool {
        let mut state = self.state();
        if let Some(slot) = state.slots.get_mut(&id) {
            let revived = if slot.uses == 0 { slot.bytes } else { 0 };
            (slot.uses, slot.repeated) = (slot.uses + 1, true);
            state.bytes += revived;
            return false;
        }
        state.slots.insert(id, Slot { uses: 1, repeated: false, bytes, content: None });
        state.bytes += bytes;
        true
    }

    pub(super) fn ask(&self, ranges: Vec<PackRange>) {
        self.state().waiting.extend(ranges);
        self.asked.notify_all();
    }

    /// What is to be fetched next; `None` when nobody wants anything any more.
    pub(super) fn next_range(&self) -> Option<PackRange> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            if let Some(range) = state.waiting.pop_front() {
                return Some(range);
            }
            state = self.asked.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts a blob in its place, if it is not there yet.
    pub(super) fn put(&self, id: BlobId, content: Result<T>) {
        if let Some(slot) = self.state().slots.get_mut(&id) {
            slot.content.get_or_insert_with(|| content.map(Arc::new));
        }
        self.came.notify_all();
    }

    /// Waits for a blob and takes it. `None` if it has no place, because it could not be read for an earlier use.
    pub(super) fn take(&self, id: BlobId) -> Option<Result<Arc<T>>> {
        let mut state = self.state();
        loop {
            match state.slots.get(&id)?.content {
                Some(_) => return state.take(id),
                None => state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Nobody waits for anything any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.asked.notify_all();
    }
}

impl<T> State<T> {
    fn take(&mut self, id: BlobId) -> Option<Result<Arc<T>>> {
        let slot = self.slots.get_mut(&id)?;
        let Some(Ok(content)) = &slot.content else {
            let slot = self.slots.remove(&id)?;
            self.bytes -= slot.bytes;
            return slot.content;
        };
        let content = Arc::clone(content);
        slot.uses -= 1;
        if slot.uses == 0 {
            self.bytes -= slot.bytes;
            if slot.repeated {
                self.keep(id);
            } else {
                self.slots.remove(&id);
            }
        }
        Some(Ok(content))
    }

    fn keep(&mut self, id: BlobId) {
        self.kept.retain(|kept| *kept != id);
        self.kept.push_back(id);
        while self.kept.len() > KEPT_BLOBS {
            let Some(oldest) = self.kept.pop_front() else { break };
            if self.slots.get(&oldest).is_some_and(|slot| slot.uses == 0) {
                self.slots.remove(&oldest);
            }
        }
    }
}

/// The blobs of a range, for the one who fetches them: whatever ends that, nobody waits for them in vain.
pub(super) struct Promise<'shelf, T> {
    shelf: &'shelf Shelf<T>,
    blobs: VecDeque<BlobId>,
}

impl<'shelf, T> Promise<'shelf, T> {
    pub(super) fn new(shelf: &'shelf Shelf<T>, range: &PackRange) -> Self {
        Self { shelf, blobs: range.blobs.iter().map(|(id, _)| *id).collect() }
    }

    /// Puts the next blob of the range in its place. From then on it may be taken, and asked for anew.
    pub(super) fn put(&mut self, content: Result<T>) {
        if let Some(id) = self.blobs.pop_front() {
            self.shelf.put(id, content);
        }
    }
}

impl<T> Drop for Promise<'_, T> {
    fn drop(&mut self) {
        for id in self.blobs.drain(..) {
            let blob = BlobHandle { kind: BlobKind::Data, id };
            self.shelf.put(id, Err(Error::corrupt(blob, "reading it ended early")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> BlobId {
        BlobId::from([number; 32])
    }

    #[test]
    fn counts_what_is_not_used_up() {
        let shelf = Shelf::default();
        assert!(shelf.reserve(id(1), 10));
        assert!(!shelf.reserve(id(1), 10));
        assert!(shelf.reserve(id(2), 5));
        assert_eq!(shelf.bytes(), 15);
        shelf.put(id(1), Ok(vec![1]));
        shelf.put(id(1), Ok(vec![2]));
        assert_eq!(*shelf.take(id(1)).unwrap().unwrap(), [1]);
        assert_eq!(shelf.bytes(), 15);
        assert_eq!(*shelf.take(id(1)).unwrap().unwrap(), [1]);
        assert_eq!(shelf.bytes(), 5);
        // It is kept, having been used twice.
        assert!(!shelf.reserve(id(1), 10));
        assert_eq!(shelf.bytes(), 15);
        assert_eq!(*shelf.take(id(1)).unwrap().unwrap(), [1]);

        shelf.put(id(2), Err(Error::corrupt("a blob", "bad")));
        assert!(shelf.take(id(2)).unwrap().is_err());
        assert!(shelf.take(id(2)).is_none());
        assert_eq!(shelf.bytes(), 0);
        assert!(shelf.reserve(id(2), 5));
    }

    #[test]
    fn keeps_few_that_were_used_more_than_once() {
        let shelf = Shelf::default();
        for number in 0..10 {
            shelf.reserve(id(number), 1);
            shelf.reserve(id(number), 1);
            shelf.put(id(number), Ok(vec![number]));
            shelf.take(id(number)).unwrap().unwrap();
            shelf.take(id(number)).unwrap().unwrap();
        }
        let fetched = (0..10).filter(|number| shelf.reserve(id(*number), 1)).count();
        assert_eq!(fetched, 10 - KEPT_BLOBS);
        assert_eq!(shelf.state().slots.len(), 10);
    }

    #[test]
    fn a_broken_promise_is_told() {
        let shelf = Shelf::default();
        shelf.reserve(id(1), 1);
        shelf.reserve(id(2), 1);
        let mut promise = Promise { shelf: &shelf, blobs: [id(1), id(2)].into() };
        promise.put(Ok(vec![1]));
        assert_eq!(*shelf.take(id(1)).unwrap().unwrap(), [1]);
        shelf.reserve(id(1), 1);
        drop(promise);
        shelf.put(id(1), Ok(vec![1]));
        assert_eq!(*shelf.take(id(1)).unwrap().unwrap(), [1]);
        let error = shelf.take(id(2)).unwrap().unwrap_err().to_string();
        assert!(error.contains("ended early"), "{error}");
        shelf.close();
        assert_eq!(shelf.next_range(), None);
    }
}
