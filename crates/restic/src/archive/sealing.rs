//! The threads that seal pieces of files, and the one that puts what is sealed into packs.

use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};

use super::budget::Permit;
use super::known::Known;
use super::reader::Job;
use super::stop::Stop;
use crate::blob::{BlobSealer, SealedBlob};
use crate::indexer::Indexer;
use crate::packer::{FinishedPack, Packer};
use crate::{BlobHandle, BlobId, BlobKind};

/// A sealed blob on its way into a pack.
pub(super) struct Parcel<'a> {
    pub(super) blob: SealedBlob,
    /// Its length before it was sealed.
    pub(super) plain_bytes: u64,
    pub(super) permit: Permit<'a>,
}

/// What was put into packs.
#[derive(Debug, Default)]
pub(super) struct PackStats {
    pub(super) data_blobs: u64,
    pub(super) tree_blobs: u64,
    /// Before they were sealed.
    pub(super) plain_bytes: u64,
}

/// Seals pieces until no more come, and tells their ids. A piece that is stored already, or is being stored, is
/// not sealed.
pub(super) fn seal_pieces<'a>(
    mut sealer: BlobSealer<'_>,
    known: &Known<'_>,
    jobs: &Mutex<Receiver<Job<'a>>>,
    parcels: &Sender<Parcel<'a>>,
    ids: &Sender<Option<(u64, BlobId)>>,
) -> Result<(), Stop> {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { number, plain, permit }) = next else { return Ok(()) };
        let id = BlobId::of(&plain);
        let handle = BlobHandle { kind: BlobKind::Data, id };
        if known.claim(handle) {
            let blob = sealer.seal(handle, &plain)?;
            let plain_bytes = plain.len() as u64;
            drop(plain);
            parcels.send(Parcel { blob, plain_bytes, permit }).map_err(|_| Stop::Elsewhere)?;
        }
        ids.send(Some((number, id))).map_err(|_| Stop::Elsewhere)?;
    }
}

/// Puts blobs into packs until no more come, and hands the packs on.
pub(super) fn pack_parcels(
    mut packer: Packer<'_>,
    parcels: Receiver<Parcel<'_>>,
    packs: &SyncSender<FinishedPack>,
) -> Result<PackStats, Stop> {
    let mut stats = PackStats::default();
    let hand_on = |pack| packs.send(pack).map_err(|_| Stop::Elsewhere);
    for Parcel { blob, plain_bytes, permit } in parcels {
        match blob.blob.kind {
            BlobKind::Data => stats.data_blobs += 1,
            BlobKind::Tree => stats.tree_blobs += 1,
        }
        stats.plain_bytes += plain_bytes;
        if let Some(pack) = packer.add(&blob)? {
            hand_on(pack)?;
        }
        drop((blob, permit));
    }
    packer.finish()?.into_iter().try_for_each(hand_on)?;
    Ok(stats)
}

/// Makes packs durable until no more come, and lists them in an index. Returns how many bytes they are.
pub(super) fn publish_packs(
    mut indexer: Indexer<'_>,
    packs: Receiver<FinishedPack>,
) -> Result<u64, Stop> {
    for pack in packs {
        indexer.publish(pack)?;
    }
    Ok(indexer.finish()?)
}
