//! What a prune would do.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::choice::{Candidate, choose};
use super::needed::needed;
use crate::index::IndexedPack;
use crate::pack::header_bytes;
use crate::reading::not_listed;
use crate::{
    BlobHandle, BlobKind, BlobLocation, Error, Index, IndexId, Listed, ObjectId as _, PackId,
    PackedBlob, ResticRepository, Result, TreeId, list,
};

/// With more index objects than needed by so many they are put together.
const SPARE_INDEXES: usize = 20;
/// So many short packs are written anew, into few.
const MANY_SHORT: usize = 16;
/// How many blobs an index object lists at most, as with restic.
pub(super) const INDEX_BLOBS: usize = 50_000;

/// How to prune.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PruneOptions {
    /// How many percent of what stays may be bytes that nobody needs; less costs more reading and writing.
    pub max_unused: f64,
    /// A pack that is written anew is finished when it has so many bytes.
    pub pack_bytes: usize,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { max_unused: 5.0, pack_bytes: crate::packer::PACK_BYTES }
    }
}

/// What a prune would do. Nothing has been changed yet.
#[derive(Clone, Debug, Default)]
pub struct PrunePlan {
    /// Packs of which nothing is needed.
    pub remove: Vec<Listed<PackId>>,
    /// Packs that no index lists: what an interrupted backup or prune has left.
    pub unreferenced: Vec<Listed<PackId>>,
    /// Packs of which what is needed is written anew.
    pub repack: Vec<Listed<PackId>>,
    /// How many packs stay as they are.
    pub kept_packs: u64,
    /// Bytes of all blobs that are needed.
    pub used_bytes: u64,
    /// Bytes that are not needed and stay, in packs of which most is.
    pub unused_bytes: u64,
    /// Bytes of what is written anew.
    pub repack_bytes: u64,
    /// The trees that everything is kept for.
    pub(super) roots: BTreeSet<TreeId>,
    /// What is written anew, from where.
    pub(super) moves: Vec<(BlobHandle, BlobLocation)>,
    /// What stays as it is.
    pub(super) index: Vec<IndexedPack>,
    /// The index objects from which all this is known, and whose place others take.
    pub(super) old_indexes: Vec<IndexId>,
    /// Whether the index has to be written anew though no pack goes.
    pub(super) index_changes: bool,
}

impl PrunePlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty()
            && self.unreferenced.is_empty()
            && self.repack.is_empty()
            && !self.index_changes
    }

    /// How many bytes of packs will be gone, those that are written anew counted.
    #[must_use]
    pub fn freed_bytes(&self) -> u64 {
        let gone = self.remove.iter().chain(&self.unreferenced).chain(&self.repack);
        gone.map(|pack| pack.size).sum::<u64>().saturating_sub(self.repack_bytes)
    }

    /// Whether the index has to be written anew.
    pub(super) fn rewrites_index(&self) -> bool {
        !self.remove.is_empty() || !self.repack.is_empty() || self.index_changes
    }
}

/// What the index says of a pack.
#[derive(Default)]
struct Known {
    blobs: Vec<PackedBlob>,
    /// Those that are needed from here.
    needed: Vec<BlobHandle>,
    used_bytes: u64,
}

impl Known {
    /// Its length, as the index says.
    fn expected_size(&self) -> u64 {
        let compressed =
            self.blobs.iter().filter(|packed| packed.extent.uncompressed_length > 0).count();
        let blobs: u64 = self.blobs.iter().map(|packed| u64::from(packed.extent.length)).sum();
        blobs + header_bytes(self.blobs.len() - compressed, compressed)
    }
}

impl ResticRepository {
    /// Finds out what is not needed by the trees in `kept`, those of all snapshots that stay. The caller holds an
    /// exclusive lock, now and until the plan was followed.
    ///
    /// An error if anything that is needed is missing, or an index object or a directory cannot be read: then
    /// nothing is removed that might be of use in mending it.
    pub fn plan_prune(
        &self,
        kept: impl IntoIterator<Item = TreeId>,
        options: &PruneOptions,
    ) -> Result<PrunePlan> {
        let old_indexes: Vec<_> =
            list::<IndexId>(&**self.storage())?.into_iter().map(|listed| listed.id).collect();
        let index = Index::load(self)?;
        let present = list::<PackId>(&**self.storage())?;
        let sizes = present.iter().map(|pack| (pack.id, pack.size)).collect();
        let roots = BTreeSet::from_iter(kept);
        let needed = needed(self, &index, &roots)?;

        let mut plan = PrunePlan { roots, old_indexes, ..PrunePlan::default() };
        let mut packs = known(&index);
        place(&index, &needed, &sizes, &mut packs)?;
        plan.unreferenced =
            present.into_iter().filter(|pack| !packs.contains_key(&pack.id)).collect();
        plan.sort_out(packs, &sizes, options)?;
        let enough = plan.index.iter().map(|pack| pack.blobs.len()).sum::<usize>() / INDEX_BLOBS;
        plan.index_changes |= plan.old_indexes.len() > enough + SPARE_INDEXES;
        Ok(plan)
    }
}

fn known(index: &Index) -> BTreeMap<PackId, Known> {
    let mut packs = BTreeMap::<_, Known>::new();
    for kind in [BlobKind::Data, BlobKind::Tree] {
        for (id, BlobLocation { pack, extent }) in index.distinct_blobs(kind) {
            let blob = BlobHandle { kind, id };
            packs.entry(pack).or_default().blobs.push(PackedBlob { blob, extent });
        }
    }
    for pack in packs.values_mut() {
        pack.blobs.sort_by_key(|packed| packed.extent.offset);
    }
    packs
}

/// Chooses for each needed blob the place where it is kept: of packs that are there, one that is as long as it
/// should be, and of these the largest. So whole packs go rather than parts of many.
fn place(
    index: &Index,
    needed: &HashSet<BlobHandle>,
    sizes: &HashMap<PackId, u64>,
    packs: &mut BTreeMap<PackId, Known>,
) -> Result<()> {
    for blob in needed {
        let first = index.find(blob).ok_or_else(|| not_listed(blob))?;
        let there = index.find_all(blob).filter(|place| sizes.contains_key(&place.pack));
        let place = there.max_by_key(|BlobLocation { pack, .. }| {
            let size = sizes.get(pack).copied();
            let is_whole = packs.get(pack).map(Known::expected_size) == size;
            (is_whole, size, Reverse(*pack))
        });
        let Some(BlobLocation { pack, extent }) = place else {
            return Err(Error::corrupt(
                first.pack.key()?,
                format!("missing, and {blob} is needed"),
            ));
        };
        if let Some(pack) = packs.get_mut(&pack) {
            pack.needed.push(*blob);
            pack.used_bytes += u64::from(extent.length);
        }
    }
    Ok(())
}

impl PrunePlan {
    /// Decides what becomes of each pack that the index lists.
    fn sort_out(
        &mut self,
        mut packs: BTreeMap<PackId, Known>,
        sizes: &HashMap<PackId, u64>,
        options: &PruneOptions,
    ) -> Result<()> {
        let mut candidates = Vec::new();
        for (id, pack) in &packs {
            let Some(&size) = sizes.get(id) else {
                // Nothing of it is needed from there.
                self.index_changes = true;
                continue;
            };
            if pack.needed.is_empty() {
                self.remove.push(Listed { id: *id, size });
                continue;
            }
            must_have_its_size(id, pack, size)?;
            self.used_bytes += pack.used_bytes;
            if pack.needed.len() < pack.blobs.len() {
                let unused_bytes = size.saturating_sub(pack.used_bytes);
                candidates.push(Candidate { pack: *id, used_bytes: pack.used_bytes, unused_bytes });
            }
        }
        self.unused_bytes = candidates.iter().map(|candidate| candidate.unused_bytes).sum();
        let wasteful = choose(&candidates, self.used_bytes, options.max_unused);
        for id in wasteful.into_iter().chain(short(&packs, sizes, options)) {
            // One may be both.
            let (Some(pack), Some(&size)) = (packs.remove(&id), sizes.get(&id)) else { continue };
            self.repack.push(Listed { id, size });
            self.repack_bytes += pack.used_bytes;
            if pack.needed.len() < pack.blobs.len() {
                self.unused_bytes -= size.saturating_sub(pack.used_bytes);
            }
            self.moves.extend(moves(id, &pack));
        }
        packs.retain(|id, pack| sizes.contains_key(id) && !pack.needed.is_empty());
        self.kept_packs = packs.len() as u64;
        self.index =
            packs.into_iter().map(|(id, pack)| IndexedPack { id, blobs: pack.blobs }).collect();
        Ok(())
    }
}

/// Those of the packs that stay that are so short that as many as there are should be few: each backup adds some.
fn short(
    packs: &BTreeMap<PackId, Known>,
    sizes: &HashMap<PackId, u64>,
    options: &PruneOptions,
) -> Vec<PackId> {
    let limit = options.pack_bytes as u64 / 4;
    let is_short = |id: &PackId| sizes.get(id).is_some_and(|size| *size < limit);
    let stay = packs.iter().filter(|(_, pack)| !pack.needed.is_empty());
    let short: Vec<PackId> = stay.map(|(id, _)| *id).filter(is_short).collect();
    if short.len() < MANY_SHORT { Vec::new() } else { short }
}

/// Where the needed blobs of a pack are.
fn moves(id: PackId, pack: &Known) -> Vec<(BlobHandle, BlobLocation)> {
    let mut needed: HashSet<_> = pack.needed.iter().collect();
    let blobs = pack.blobs.iter().filter(|packed| needed.remove(&packed.blob));
    blobs.map(|packed| (packed.blob, BlobLocation { pack: id, extent: packed.extent })).collect()
}

/// A pack that is kept must not be damaged, as far as that can be seen.
fn must_have_its_size(id: &PackId, pack: &Known, size: u64) -> Result<()> {
    let expected = pack.expected_size();
    if size == expected {
        return Ok(());
    }
    Err(Error::corrupt(id.key()?, format!("{size} bytes, {expected} expected")))
}
