//! Which pack holds which blob.
//!
//! Index objects are JSON; in memory a blob takes 48 bytes, in arrays sorted by id.

mod file;

use crate::blob::{BlobExtent, BlobHandle, BlobKind};
use crate::layout::{Listed, list};
use crate::pack::PackedBlob;
use crate::{BlobId, Error, IndexId, PackId, ResticRepository, Result, unpacked};

pub(crate) use file::{IndexFile, IndexedPack};

/// What an index object may be long, decompressed. restic writes at most some 50,000 blobs into one, of
/// some 150 bytes each; other programs' are larger.
const LIMIT_BYTES: usize = 512 * 1024 * 1024;

/// Where a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobLocation {
    /// In which pack.
    pub pack: PackId,
    /// Where in it.
    pub extent: BlobExtent,
}

/// All blobs that the index objects of a repository list. A blob may be in several packs.
///
/// It says how the repository was when it was loaded, and what [`crate::archive`] stored with it since. Who took a
/// lock of the repository before can go by it as long as the lock is held: nobody removes what it lists. What others
/// add meanwhile is not in it, and at worst is stored once more.
#[derive(Clone, Debug, Default)]
pub struct Index {
    packs: Vec<PackId>,
    data: Vec<IndexEntry>,
    trees: Vec<IndexEntry>,
}

/// 48 bytes.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    id: BlobId,
    /// Place in the table of packs.
    pack: u32,
    extent: BlobExtent,
}

impl Index {
    /// Reads all index objects. One that cannot be read is an error: what it lists would be taken for
    /// missing.
    pub fn load(repository: &ResticRepository) -> Result<Self> {
        let mut index = Self::default();
        for Listed { id, .. } in list::<IndexId>(&**repository.storage())? {
            index.add(&read_index_file(repository, &id)?)?;
        }
        index.sort();
        index.data.shrink_to_fit();
        index.trees.shrink_to_fit();
        Ok(index)
    }

    /// Reads all index objects that can be read; for those that cannot, why. Only for who looks for damage: what
    /// they list is taken for missing.
    pub(crate) fn load_readable(
        repository: &ResticRepository,
    ) -> Result<(Self, Vec<(IndexId, Error)>)> {
        let (mut index, mut unreadable) = (Self::default(), Vec::new());
        for Listed { id, .. } in list::<IndexId>(&**repository.storage())? {
            match read_index_file(repository, &id) {
                Ok(file) => index.add(&file)?,
                Err(error) => unreadable.push((id, error)),
            }
        }
        index.sort();
        Ok((index, unreadable))
    }

    /// The first of the places where a blob is.
    #[must_use]
    pub fn find(&self, blob: &BlobHandle) -> Option<BlobLocation> {
        self.find_all(blob).next()
    }

    /// All places where a blob is.
    pub fn find_all(&self, blob: &BlobHandle) -> impl Iterator<Item = BlobLocation> {
        let entries = self.entries(blob.kind);
        let first = entries.partition_point(|entry| entry.id < blob.id);
        let id = blob.id;
        let same = entries[first..].iter().take_while(move |entry| entry.id == id);
        same.map(|entry| self.location(entry))
    }

    /// Whether a blob is anywhere.
    #[must_use]
    pub fn contains(&self, blob: &BlobHandle) -> bool {
        self.entries(blob.kind).binary_search_by_key(&blob.id, |entry| entry.id).is_ok()
    }

    /// All blobs of a kind, in the order of their ids.
    pub fn blobs(&self, kind: BlobKind) -> impl Iterator<Item = (BlobId, BlobLocation)> {
        self.entries(kind).iter().map(|entry| (entry.id, self.location(entry)))
    }

    /// All blobs of a kind as [`Index::blobs`], but what several index objects say alike only once.
    pub(crate) fn distinct_blobs(
        &self,
        kind: BlobKind,
    ) -> impl Iterator<Item = (BlobId, BlobLocation)> {
        let entries = self.entries(kind);
        entries.iter().enumerate().filter_map(|(place, entry)| {
            let location = self.location(entry);
            let before = entries[..place].iter().rev().take_while(|before| before.id == entry.id);
            let is_new = before.into_iter().all(|before| self.location(before) != location);
            is_new.then_some((entry.id, location))
        })
    }

    /// All packs that are listed, each once, in the order of their ids.
    #[must_use]
    pub fn packs(&self) -> Vec<PackId> {
        let mut packs = self.packs.clone();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    fn entries(&self, kind: BlobKind) -> &[IndexEntry] {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        }
    }

    fn location(&self, entry: &IndexEntry) -> BlobLocation {
        BlobLocation { pack: self.packs[entry.pack as usize], extent: entry.extent }
    }

    /// Takes up what was listed since, in no order. There is never a second copy of either.
    pub(crate) fn absorb(&mut self, listed: Self) -> Result<()> {
        if listed.packs.is_empty() {
            return Ok(());
        }
        let before = pack_number(self.packs.len())?;
        pack_number(self.packs.len() + listed.packs.len())?;
        self.packs.extend(listed.packs);
        absorb_entries(&mut self.data, listed.data, before);
        absorb_entries(&mut self.trees, listed.trees, before);
        self.sort();
        Ok(())
    }

    /// Adds what an index object lists. It is found after [`Index::sort`].
    pub(crate) fn add(&mut self, file: &IndexFile) -> Result<()> {
        for IndexedPack { id, blobs } in &file.packs {
            let pack = pack_number(self.packs.len())?;
            self.packs.push(*id);
            for &PackedBlob { blob, extent } in blobs {
                let entries = match blob.kind {
                    BlobKind::Data => &mut self.data,
                    BlobKind::Tree => &mut self.trees,
                };
                entries.push(IndexEntry { id: blob.id, pack, extent });
            }
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.data.sort_unstable_by_key(|entry| (entry.id, entry.pack));
        self.trees.sort_unstable_by_key(|entry| (entry.id, entry.pack));
    }
}

fn pack_number(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::corrupt("the index", "lists too many packs"))
}

/// Adds entries of which the table of packs begins at `before`.
fn absorb_entries(entries: &mut Vec<IndexEntry>, listed: Vec<IndexEntry>, before: u32) {
    entries.reserve_exact(listed.len());
    entries
        .extend(listed.into_iter().map(|entry| IndexEntry { pack: before + entry.pack, ..entry }));
}

/// What one index object lists.
pub(crate) fn read_index_file(repository: &ResticRepository, id: &IndexId) -> Result<IndexFile> {
    let json = unpacked::read(&**repository.storage(), repository.cipher(), id, LIMIT_BYTES)?;
    IndexFile::from_json(id, &json)
}

/// Writes an index object.
pub(crate) fn write_index_file(repository: &ResticRepository, file: &IndexFile) -> Result<IndexId> {
    let json = file.to_json()?;
    unpacked::write(&**repository.storage(), repository.cipher(), &json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_48_bytes() {
        assert_eq!(size_of::<IndexEntry>(), 48);
    }
}
