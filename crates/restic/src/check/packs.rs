//! The packs that are there, beside those that the index lists.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::report::Damages;
use crate::pack::header_bytes;
use crate::{BlobHandle, BlobKind, BlobLocation, Index, Listed, ObjectId as _, PackId, Result};

/// What the index says of a pack.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expected {
    /// How many blobs are in it.
    pub(super) blobs: usize,
    /// How many of them are compressed.
    compressed: usize,
    /// Length of all blobs, sealed.
    blob_bytes: u64,
}

impl Expected {
    /// Its length in bytes.
    pub(super) fn size(&self) -> u64 {
        self.blob_bytes + header_bytes(self.blobs - self.compressed, self.compressed)
    }
}

/// What is known of the packs.
#[derive(Debug)]
pub(super) struct Packs {
    /// Those that the index lists.
    pub(super) expected: BTreeMap<PackId, Expected>,
    /// Those that are there, by their sizes.
    pub(super) present: HashMap<PackId, u64>,
    /// Blobs that were read and found damaged where they are.
    pub(super) damaged: HashSet<(PackId, BlobHandle)>,
}

impl Packs {
    pub(super) fn new(index: &Index, listed: &[Listed<PackId>]) -> Self {
        let mut expected = BTreeMap::<PackId, Expected>::new();
        for kind in [BlobKind::Data, BlobKind::Tree] {
            for (_, BlobLocation { pack, extent }) in index.distinct_blobs(kind) {
                let pack = expected.entry(pack).or_default();
                pack.blobs += 1;
                pack.compressed += usize::from(extent.uncompressed_length > 0);
                pack.blob_bytes += u64::from(extent.length);
            }
        }
        let present = listed.iter().map(|pack| (pack.id, pack.size)).collect();
        Self { expected, present, damaged: HashSet::new() }
    }

    /// Tells of packs that are missing or have another size than the index implies.
    pub(super) fn compare(&self, damages: &mut Damages) -> Result<()> {
        for (id, expected) in &self.expected {
            let problem = match self.present.get(id) {
                None => "missing".to_owned(),
                Some(size) if *size == expected.size() => continue,
                Some(size) => format!("{size} bytes, {} expected", expected.size()),
            };
            damages.add(id.key()?, problem);
        }
        Ok(())
    }

    /// Whether a blob can be had from nowhere, and why.
    pub(super) fn lost(&self, index: &Index, blob: &BlobHandle) -> Option<String> {
        let mut problem = None;
        for location in index.find_all(blob) {
            problem = Some(self.problem(blob, &location)?);
        }
        problem.or_else(|| Some(format!("{blob}: no index lists it")))
    }

    fn problem(&self, blob: &BlobHandle, location: &BlobLocation) -> Option<String> {
        let pack = location.pack;
        match self.present.get(&pack) {
            None => Some(format!("{blob}: pack {pack} is missing")),
            Some(size) if location.extent.range().end > *size => {
                Some(format!("{blob}: pack {pack} ends before it"))
            }
            Some(_) if self.damaged.contains(&(pack, *blob)) => {
                Some(format!("{blob}: damaged in pack {pack}"))
            }
            Some(_) => None,
        }
    }
}
