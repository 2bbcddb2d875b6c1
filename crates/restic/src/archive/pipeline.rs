//! The threads of an archiving, and what is between them.

use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::archived::Stored;
use super::budget::Budget;
use super::builder::Builder;
use super::known::Known;
use super::parent::Parent;
use super::reader::{EVENTS_AT_ONCE, Reader};
use super::sealing::{pack_parcels, publish_packs, seal_pieces};
use super::stop::{Outcome, Stop};
use super::{ArchiveOptions, ArchiveProgress, Source};
use crate::blob::BlobSealer;
use crate::chunker::Chunker;
use crate::indexer::{Fence, Indexer};
use crate::packer::Packer;
use crate::{Error, Index, ResticRepository, Result};

/// The most that is between reading and packing: pieces that wait to be sealed, and sealed ones.
pub(crate) const IN_FLIGHT_BYTES: usize = 32 * 1024 * 1024;
/// How many entries may be seen before the directory that the first of them is in has taken it up.
pub(crate) const IN_FLIGHT_EVENTS: usize = 1024;
/// Those that wait; beside them are those that are collected, and those that are just taken up.
const WAITING_BATCHES: usize = IN_FLIGHT_EVENTS / EVENTS_AT_ONCE - 2;
/// How many packs wait to become durable, beside the one that is being made durable.
const IN_FLIGHT_PACKS: usize = 1;
/// More threads than that would find nothing to do: one reads for all.
const MAX_WORKERS: usize = 8;

pub(super) struct Pipeline<'a> {
    pub(super) repository: &'a ResticRepository,
    pub(super) index: &'a Index,
    pub(super) options: &'a ArchiveOptions,
    pub(super) fence: Fence<'a>,
    pub(super) progress: &'a dyn ArchiveProgress,
}

impl Pipeline<'_> {
    /// Runs all threads to their end. `listed` gets what durable index objects list then, whatever comes of it.
    pub(super) fn run(
        &self,
        source: &mut dyn Source,
        parent: Parent<'_>,
        listed: &mut Index,
    ) -> Result<Stored> {
        let Self { repository, index, options, fence, progress } = *self;
        let (storage, cipher) = (&**repository.storage(), &**repository.cipher());
        let chunker = &Chunker::new(repository.config().chunker_polynomial);
        let known = &Known::new(index);
        let budget = &Budget::new(IN_FLIGHT_BYTES);
        let outcome = Outcome::new(budget);
        let made = thread::scope(|scope| {
            let outcome = &outcome;
            outcome.of(|| {
                let (packs, waiting_packs) = sync_channel(IN_FLIGHT_PACKS);
                let indexer = Indexer::new(repository, fence).telling(listed);
                let publish = move || outcome.of(|| publish_packs(indexer, waiting_packs));
                let publisher = spawn(scope, "archive-publish", publish)?;

                let (parcels, waiting_parcels) = channel();
                let packer = Packer::new(storage, cipher, options.pack_bytes);
                let pack = move || outcome.of(|| pack_parcels(packer, waiting_parcels, &packs));
                let packer = spawn(scope, "archive-pack", pack)?;

                let (ids, waiting_ids) = channel();
                let (events, waiting_events) = sync_channel(WAITING_BATCHES);
                let sealer = BlobSealer::new(cipher, options.level)?;
                let builder = Builder::new(sealer, known, budget, waiting_ids, parcels.clone());
                let build = move || outcome.of(|| builder.run(&waiting_events));
                let builder = spawn(scope, "archive-build", build)?;

                let (jobs, waiting_jobs) = channel();
                let waiting_jobs = Arc::new(Mutex::new(waiting_jobs));
                for _ in 0..workers(options) {
                    let sealer = BlobSealer::new(cipher, options.level)?;
                    let (jobs, ids) = (Arc::clone(&waiting_jobs), ids.clone());
                    let parcels = parcels.clone();
                    let seal = move || {
                        let work = || seal_pieces(sealer, known, &jobs, &parcels, &ids);
                        if outcome.of(work).is_none() {
                            // Or the builder would wait for a piece that nobody seals.
                            let _ = ids.send(None);
                        }
                    };
                    spawn(scope, "archive-seal", seal)?;
                }
                drop((waiting_jobs, ids, parcels));

                let reader = Reader::new(chunker, parent, budget, jobs, events, progress);
                let read = reader.run(source)?;
                let (tree, trees) = join(builder)?;
                let (packs, stored_bytes) = (join(packer)?, join(publisher)?);
                Ok(Stored { tree, read, trees, packs, stored_bytes })
            })
        });
        outcome.conclude(made)
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .map_err(|source| Error::Machine { operation: "start a thread", source })
}

fn join<T>(thread: ScopedJoinHandle<'_, Option<T>>) -> Result<T, Stop> {
    // A panic was caught inside.
    thread.join().ok().flatten().ok_or(Stop::Elsewhere)
}

fn workers(options: &ArchiveOptions) -> usize {
    match options.workers {
        0 => thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS),
        workers => workers,
    }
}
