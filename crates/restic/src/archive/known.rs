//! Which blobs need not be stored.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::{BlobHandle, Index};

/// The blobs that are in the index, and those that are being stored; some 40 to 80 bytes each of those.
pub(super) struct Known<'a> {
    index: &'a Index,
    new: Mutex<HashSet<BlobHandle>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self { index, new: Mutex::default() }
    }

    /// Whether whoever asks must store the blob: nobody else did or will.
    pub(super) fn claim(&self, blob: BlobHandle) -> bool {
        !self.index.contains(&blob)
            && self.new.lock().unwrap_or_else(PoisonError::into_inner).insert(blob)
    }
}
