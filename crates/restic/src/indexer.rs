//! Publishes packs, and then index objects that list them.

use crate::index::{IndexFile, write_index_file};
use crate::packer::FinishedPack;
use crate::{Index, ResticRepository, Result};

/// An index object is written when so many blobs are in none, as restic does. What is in none is stored again
/// by whoever continues after this program was killed.
const INDEX_BLOBS: usize = 50_000;

/// Asked before anything is written by which other programs would take what was stored for theirs: whether the
/// right to do so is still there.
pub type Fence<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// What was published and is in no index yet.
pub(crate) struct Indexer<'a> {
    repository: &'a ResticRepository,
    fence: Fence<'a>,
    pending: IndexFile,
    pending_blobs: usize,
    stored_bytes: u64,
    /// What was listed, for whoever goes on with it.
    listed: Option<&'a mut Index>,
}

impl<'a> Indexer<'a> {
    pub(crate) fn new(repository: &'a ResticRepository, fence: Fence<'a>) -> Self {
        let pending = IndexFile::default();
        Self { repository, fence, pending, pending_blobs: 0, stored_bytes: 0, listed: None }
    }

    /// Adds to `listed` what index objects list as soon as they are durable, in no order.
    pub(crate) fn telling(self, listed: &'a mut Index) -> Self {
        Self { listed: Some(listed), ..self }
    }

    /// Makes a pack durable, and, if that is many blobs in no index, an index of them.
    pub(crate) fn publish(&mut self, pack: FinishedPack) -> Result<()> {
        let size = pack.size();
        let pack = pack.publish(&**self.repository.storage())?;
        self.stored_bytes += size;
        self.pending_blobs += pack.blobs.len();
        self.pending.packs.push(pack);
        if self.pending_blobs >= INDEX_BLOBS { self.write() } else { Ok(()) }
    }

    /// Makes an index of what is in none. Then all that was published can be found; it returns how many bytes
    /// of packs that are.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.write()?;
        Ok(self.stored_bytes)
    }

    fn write(&mut self) -> Result<()> {
        if self.pending.packs.is_empty() {
            return Ok(());
        }
        (self.fence)()?;
        write_index_file(self.repository, &self.pending)?;
        let written = std::mem::take(&mut self.pending);
        self.pending_blobs = 0;
        self.listed.as_mut().map_or(Ok(()), |listed| listed.add(&written))
    }
}
