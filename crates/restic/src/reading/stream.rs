//! Blobs in the order in which they are needed, fetched ahead in the order in which they lie.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::blob::{must_be_short, not_listed};
use super::ranges::ranges;
use super::shelf::Shelf;
use super::worker::Worker;
use crate::blob::Opened;
use crate::{BlobHandle, BlobId, BlobKind, BlobLocation, Error, Index, ResticRepository, Result};

/// How many blobs are looked ahead, at most: blobs that repeat take no memory of their own.
const MOST_AHEAD: usize = 8192;

/// How to read many blobs.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// How many bytes are fetched ahead, about: plain ones, or compressed ones where that is longer.
    pub ahead_bytes: u64,
    /// How many threads fetch, decrypt and decompress.
    pub threads: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { ahead_bytes: 32 * 1024 * 1024, threads: processors.clamp(2, 4) }
    }
}

/// Blobs of files, one after the other: their plain bytes, or what else of them is wanted within this crate. One that
/// cannot be read is an error in its place, and those after it come as if nothing had been.
///
/// Takes the memory of [`ReadOptions::ahead_bytes`], of up to 8 MiB a thread for what is still sealed, and of
/// four blobs that repeat.
#[derive(Debug)]
pub struct BlobStream<W, T = Vec<u8>> {
    wanted: W,
    /// What was asked for and not yet returned.
    order: VecDeque<BlobId>,
    index: Arc<Index>,
    shelf: Arc<Shelf<T>>,
    ahead_bytes: u64,
    threads: Vec<JoinHandle<()>>,
}

impl ResticRepository {
    /// Reads blobs of files in the order in which `wanted` names them: the contents of one or of many files.
    pub fn read_blobs<W: Iterator<Item = BlobId>>(
        &self,
        index: &Arc<Index>,
        wanted: W,
        options: &ReadOptions,
    ) -> Result<BlobStream<W>> {
        self.read_opened(index, wanted, options)
    }

    /// Reads whatever is wanted of blobs of files.
    pub(crate) fn read_opened<T: Opened, W: Iterator<Item = BlobId>>(
        &self,
        index: &Arc<Index>,
        wanted: W,
        options: &ReadOptions,
    ) -> Result<BlobStream<W, T>> {
        let shelf = Arc::new(Shelf::default());
        let mut stream = BlobStream {
            wanted,
            order: VecDeque::new(),
            index: Arc::clone(index),
            shelf: Arc::clone(&shelf),
            ahead_bytes: options.ahead_bytes.max(1),
            threads: Vec::new(),
        };
        for _ in 0..options.threads.max(1) {
            let (repository, index, shelf) = (self.clone(), Arc::clone(index), Arc::clone(&shelf));
            let (worker, thread) = (Worker { repository, index, shelf }, thread::Builder::new());
            let thread = thread.name("restic reader".to_owned()).spawn(move || worker.run());
            // What was started ends when the stream is dropped.
            stream.threads.push(thread.map_err(|source| Error::Machine {
                operation: "start a thread that reads",
                source,
            })?);
        }
        Ok(stream)
    }
}

impl<W: Iterator<Item = BlobId>, T> BlobStream<W, T> {
    /// Asks for more when half of what was asked for is used up, so that there is enough at once to choose
    /// from, and nobody waits meanwhile.
    fn ask_ahead(&mut self) {
        let half = self.ahead_bytes.div_ceil(2);
        if self.shelf.bytes() >= half && !self.order.is_empty() {
            return;
        }
        let (mut fetched, mut bytes) = (Vec::new(), 0);
        while bytes < half && self.order.len() < MOST_AHEAD {
            let Some(id) = self.wanted.next() else { break };
            self.order.push_back(id);
            bytes += self.ask(id, &mut fetched);
        }
        self.shelf.ask(ranges(&fetched));
    }

    /// How many bytes more it takes to have this blob; what is to be fetched for that is added.
    fn ask(&self, id: BlobId, fetched: &mut Vec<(BlobId, BlobLocation)>) -> u64 {
        let blob = BlobHandle { kind: BlobKind::Data, id };
        let found = self.index.find(&blob).ok_or_else(|| not_listed(&blob));
        match found.and_then(|found| must_be_short(&blob, &found.extent).map(|()| found)) {
            Ok(location) => {
                // What is wanted of it may be either.
                let bytes = location.extent.plain_length().max(location.extent.length).into();
                if !self.shelf.reserve(id, bytes) {
                    return 0;
                }
                fetched.push((id, location));
                bytes
            }
            Err(error) => {
                if self.shelf.reserve(id, 0) {
                    self.shelf.put(id, Err(error));
                }
                0
            }
        }
    }
}

impl<W: Iterator<Item = BlobId>, T> Iterator for BlobStream<W, T> {
    type Item = Result<Arc<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.ask_ahead();
        let id = self.order.pop_front()?;
        loop {
            if let Some(content) = self.shelf.take(id) {
                return Some(content);
            }
            // It could not be read for an earlier use: once more, for an error of its own.
            let mut fetched = Vec::new();
            self.ask(id, &mut fetched);
            self.shelf.ask(ranges(&fetched));
        }
    }
}

impl<W, T> Drop for BlobStream<W, T> {
    fn drop(&mut self) {
        self.shelf.close();
        for thread in self.threads.drain(..) {
            // What it did not bring was told in its place.
            let _panicked = thread.join();
        }
    }
}
