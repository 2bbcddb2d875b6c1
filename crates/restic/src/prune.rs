//! Removes what no snapshot needs any more, under an exclusive lock that the caller holds.
//!
//! What is done in which order, so that the repository is sound whenever it ends early:
//!
//! 1. What is needed of packs that are mostly waste is written into new packs, verified, and an index of these.
//!    Ended here, some blobs are in two packs.
//! 2. A new index of all packs that stay is written. Ended here, much is listed twice.
//! 3. The old index objects are removed. Ended within, what they list is still there. From here on nothing
//!    leads to the packs that go. If the store keeps one of them for now, the packs that are listed stay, too.
//! 4. These packs are removed. Ended within, the next prune finds the others, which no index lists.
//!
//! Before each step that cannot be taken back the caller is asked whether the lock is still held.

mod choice;
mod needed;
mod plan;

use self::plan::INDEX_BLOBS;
pub use self::plan::{PruneOptions, PrunePlan};
use crate::blob::{BlobOpener, BlobSealer, SealedBlob};
use crate::index::{IndexFile, write_index_file};
use crate::indexer::Indexer;
use crate::packer::Packer;
use crate::reading::{PackRange, open, ranges, read_anywhere, read_range};
use crate::{
    BlobExtent, BlobHandle, BlobId, BlobKind, BlobLocation, Error, Fence, Index, Listed,
    ObjectId as _, PackId, ResticRepository, Result,
};

/// Of zstd, for the blobs that have to be sealed anew because where they were planned to come from is damaged.
const LEVEL: i32 = 3;

/// What a prune did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneStats {
    /// Packs that are gone, those written anew counted.
    pub removed_packs: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Packs that the store keeps from being removed for now: a later prune removes them.
    pub protected_packs: u64,
    /// Bytes of new packs.
    pub written_bytes: u64,
    /// Index objects that are gone.
    pub removed_indexes: u64,
    /// Index objects that the store keeps from being removed for now. What they list stays.
    pub protected_indexes: u64,
}

impl ResticRepository {
    /// Does what was planned. The caller holds the exclusive lock under which the plan was made; `fence` says
    /// whether it still does.
    ///
    /// Refused if there is a snapshot whose tree the plan does not keep, or one that cannot be read: the caller
    /// removes those first that are to go. If it fails, nothing that is needed is lost, and the next one finds
    /// what was left.
    pub fn prune(
        &self,
        plan: &PrunePlan,
        options: &PruneOptions,
        fence: Fence<'_>,
    ) -> Result<PruneStats> {
        let mut stats = PruneStats::default();
        if plan.is_empty() {
            return Ok(stats);
        }
        self.must_cover_all_snapshots(plan)?;
        stats.written_bytes = self.repack(plan, options, fence)?;
        if plan.rewrites_index() {
            self.write_kept(plan, fence)?;
            for id in &plan.old_indexes {
                fence()?;
                match self.storage().remove(&id.key()?) {
                    Ok(removed) => stats.removed_indexes += u64::from(removed),
                    Err(error) if error.is_protected() => stats.protected_indexes += 1,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let is_listed = stats.protected_indexes > 0;
        let listed = plan.remove.iter().chain(&plan.repack).filter(|_| !is_listed);
        for Listed { id, size } in plan.unreferenced.iter().chain(listed) {
            fence()?;
            match self.storage().remove(&id.key()?) {
                Ok(true) => {
                    stats.removed_packs += 1;
                    stats.removed_bytes += size;
                }
                Ok(false) => {}
                // No index names it any more, so a later prune finds it.
                Err(error) if error.is_protected() => stats.protected_packs += 1,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(stats)
    }

    fn must_cover_all_snapshots(&self, plan: &PrunePlan) -> Result<()> {
        let snapshots = self.snapshots()?;
        if let Some((_, error)) = snapshots.unreadable.into_iter().next() {
            return Err(error);
        }
        match snapshots.readable.iter().find(|(_, snapshot)| !plan.roots.contains(&snapshot.tree)) {
            None => Ok(()),
            Some((id, _)) => Err(Error::Unplanned { snapshot: *id }),
        }
    }

    /// Writes what is needed of packs that go into new ones, each blob verified. Returns the bytes of these.
    fn repack(&self, plan: &PrunePlan, options: &PruneOptions, fence: Fence<'_>) -> Result<u64> {
        if plan.moves.is_empty() {
            return Ok(0);
        }
        let index = Index::load(self)?;
        let mut repacking = Repacking {
            repository: self,
            index: &index,
            opener: BlobOpener::new(self.cipher()),
            packer: Packer::new(&**self.storage(), self.cipher(), options.pack_bytes),
            indexer: Indexer::new(self, fence),
            fence,
        };
        for kind in [BlobKind::Data, BlobKind::Tree] {
            let moves: Vec<(BlobId, BlobLocation)> = plan
                .moves
                .iter()
                .filter(|(blob, _)| blob.kind == kind)
                .map(|(blob, location)| (blob.id, *location))
                .collect();
            for range in ranges(&moves) {
                repacking.copy(kind, &range)?;
            }
        }
        repacking.finish()
    }

    /// Writes an index of all packs that stay as they are.
    fn write_kept(&self, plan: &PrunePlan, fence: Fence<'_>) -> Result<()> {
        let (mut file, mut blobs) = (IndexFile::default(), 0);
        for pack in &plan.index {
            blobs += pack.blobs.len();
            file.packs.push(pack.clone());
            if blobs >= INDEX_BLOBS {
                fence()?;
                write_index_file(self, &std::mem::take(&mut file))?;
                blobs = 0;
            }
        }
        if !file.packs.is_empty() {
            fence()?;
            write_index_file(self, &file)?;
        }
        Ok(())
    }
}

/// Copies blobs into new packs.
struct Repacking<'a> {
    repository: &'a ResticRepository,
    index: &'a Index,
    opener: BlobOpener<'a>,
    packer: Packer<'a>,
    indexer: Indexer<'a>,
    fence: Fence<'a>,
}

impl Repacking<'_> {
    fn copy(&mut self, kind: BlobKind, range: &PackRange) -> Result<()> {
        let mut bytes = read_range(self.repository, &range.pack, &range.range);
        for (id, extent) in &range.blobs {
            let blob = BlobHandle { kind, id: *id };
            let sealed = bytes.as_mut().ok().and_then(|bytes| range.slice(bytes, extent));
            let verified =
                sealed.and_then(|sealed| self.verified(&range.pack, blob, extent, sealed));
            let blob = match verified {
                Some(sealed) => sealed,
                None => self.seal_anew(blob)?,
            };
            if let Some(pack) = self.packer.add(&blob)? {
                (self.fence)()?;
                self.indexer.publish(pack)?;
            }
        }
        Ok(())
    }

    /// The blob as it lies there, if it is sound.
    fn verified(
        &mut self,
        pack: &PackId,
        blob: BlobHandle,
        extent: &BlobExtent,
        sealed: &mut [u8],
    ) -> Option<SealedBlob> {
        let copy = sealed.to_vec();
        let () = open(&mut self.opener, pack, &blob, extent, sealed).ok()?;
        let uncompressed_length = extent.uncompressed_length;
        Some(SealedBlob { blob, sealed: copy, uncompressed_length })
    }

    /// From whichever other place it can be had; an error if from none.
    fn seal_anew(&mut self, blob: BlobHandle) -> Result<SealedBlob> {
        let plain: Vec<u8> = read_anywhere(self.repository, &mut self.opener, self.index, &blob)?;
        BlobSealer::new(self.repository.cipher(), LEVEL)?.seal(blob, &plain)
    }

    fn finish(mut self) -> Result<u64> {
        for pack in self.packer.finish()? {
            (self.fence)()?;
            self.indexer.publish(pack)?;
        }
        self.indexer.finish()
    }
}
