use std::collections::BTreeSet;

use super::{Meddle, Meddling};
use crate::{Cause, Error, Failure, Key, MemoryStorage, Result, Storage};

/// Keeps objects from being removed, as a store with object lock does; over a [`MemoryStorage`].
#[derive(Debug)]
pub struct Locking {
    inner: MemoryStorage,
    locked: BTreeSet<Key>,
}

impl Locking {
    /// A storage that locks these objects of `inner`.
    pub fn new(inner: MemoryStorage, locked: impl IntoIterator<Item = Key>) -> Meddling<Self> {
        Meddling::new(Self { inner, locked: locked.into_iter().collect() })
    }
}

impl Meddle for Locking {
    fn inner(&self) -> &dyn Storage {
        &self.inner
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        if !self.locked.contains(key) {
            return self.inner.remove(key);
        }
        Err(Error::Storage {
            operation: "remove",
            object: key.to_string(),
            location: self.inner.location(),
            source: Failure::new(Cause::Protected, "it is locked").into(),
        })
    }
}
