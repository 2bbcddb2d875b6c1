//! Threads that fetch what was asked for.

use std::sync::Arc;

use super::blob::{open, read_anywhere, read_range};
use super::ranges::PackRange;
use super::shelf::{Promise, Shelf};
use crate::blob::{BlobOpener, Opened};
use crate::{BlobHandle, BlobKind, Index, ResticRepository};

/// What a thread works with.
#[derive(Debug)]
pub(super) struct Worker<T> {
    pub(super) repository: ResticRepository,
    pub(super) index: Arc<Index>,
    pub(super) shelf: Arc<Shelf<T>>,
}

impl<T: Opened> Worker<T> {
    /// Fetches until nobody wants anything any more.
    pub(super) fn run(&self) {
        let mut opener = BlobOpener::new(self.repository.cipher());
        while let Some(range) = self.shelf.next_range() {
            self.fetch(&mut opener, &range, Promise::new(&self.shelf, &range));
        }
    }

    /// What cannot be had from the bytes of the range is read by itself, wherever it is: one bad sector, or one
    /// damaged pack, takes no more with it than it has to.
    fn fetch(&self, opener: &mut BlobOpener<'_>, range: &PackRange, mut promise: Promise<'_, T>) {
        let mut bytes = read_range(&self.repository, &range.pack, &range.range);
        for (id, extent) in &range.blobs {
            let blob = BlobHandle { kind: BlobKind::Data, id: *id };
            let sealed = bytes.as_mut().ok().and_then(|bytes| range.slice(bytes, extent));
            let opened = sealed.map(|sealed| open(opener, &range.pack, &blob, extent, sealed));
            let opened = match opened {
                Some(Ok(opened)) => Ok(opened),
                _ => read_anywhere(&self.repository, opener, &self.index, &blob),
            };
            promise.put(opened);
        }
    }
}
