//! What a repository takes.

use std::collections::HashMap;

use lifeboat_storage::Storage;

use crate::pack::header_bytes;
use crate::{
    BlobHandle, BlobKind, Index, IndexId, KeyId, Listed, LockId, ObjectId, PackId,
    ResticRepository, Result, SnapshotId, list,
};

/// What a repository consists of, by listing it. Sizes are those of the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Index objects.
    pub indexes: u64,
    /// Their bytes.
    pub index_bytes: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Their bytes.
    pub snapshot_bytes: u64,
    /// Key files.
    pub keys: u64,
    /// Their bytes.
    pub key_bytes: u64,
    /// Locks, also those that were left behind.
    pub locks: u64,
    /// Their bytes.
    pub lock_bytes: u64,
    /// Pieces of files that the index lists, each once.
    pub data_blobs: u64,
    /// Directories that the index lists, each once.
    pub tree_blobs: u64,
    /// What all of these are before compression.
    pub plain_bytes: u64,
    /// Packs that no index lists.
    pub unreferenced_packs: u64,
    /// Their bytes.
    pub unreferenced_bytes: u64,
    /// What blobs take that are elsewhere, too. What no snapshot needs any more is not known here.
    pub duplicate_bytes: u64,
}

impl Usage {
    /// All bytes but those of `config`.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.pack_bytes + self.index_bytes + self.snapshot_bytes + self.key_bytes + self.lock_bytes
    }
}

impl ResticRepository {
    /// Lists the repository and reads its index.
    pub fn usage(&self) -> Result<Usage> {
        let storage = &**self.storage();
        let index = Index::load(self)?;
        let packs: HashMap<PackId, u64> =
            list(storage)?.into_iter().map(|Listed { id, size }| (id, size)).collect();
        let mut usage = Usage {
            packs: packs.len() as u64,
            pack_bytes: packs.values().sum(),
            ..Usage::default()
        };
        (usage.indexes, usage.index_bytes) = count::<IndexId>(storage)?;
        (usage.snapshots, usage.snapshot_bytes) = count::<SnapshotId>(storage)?;
        (usage.keys, usage.key_bytes) = count::<KeyId>(storage)?;
        (usage.locks, usage.lock_bytes) = count::<LockId>(storage)?;
        usage.add_blobs(&index);
        usage.add_unreferenced(&index, packs);
        Ok(usage)
    }
}

fn count<I: ObjectId>(storage: &dyn Storage) -> Result<(u64, u64)> {
    let listed = list::<I>(storage)?;
    Ok((listed.len() as u64, listed.iter().map(|object| object.size).sum()))
}

impl Usage {
    fn add_blobs(&mut self, index: &Index) {
        for kind in [BlobKind::Data, BlobKind::Tree] {
            let mut last = None;
            for (id, location) in index.distinct_blobs(kind) {
                if last.replace(BlobHandle { kind, id }) == Some(BlobHandle { kind, id }) {
                    let compressed = usize::from(location.extent.uncompressed_length > 0);
                    let entry = header_bytes(1 - compressed, compressed) - header_bytes(0, 0);
                    self.duplicate_bytes += u64::from(location.extent.length) + entry;
                    continue;
                }
                match kind {
                    BlobKind::Data => self.data_blobs += 1,
                    BlobKind::Tree => self.tree_blobs += 1,
                }
                self.plain_bytes += u64::from(location.extent.plain_length());
            }
        }
    }

    fn add_unreferenced(&mut self, index: &Index, mut packs: HashMap<PackId, u64>) {
        for pack in index.packs() {
            packs.remove(&pack);
        }
        self.unreferenced_packs = packs.len() as u64;
        self.unreferenced_bytes = packs.values().sum();
    }
}
