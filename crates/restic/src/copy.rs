//! Copies snapshots to another repository, under another key.
//!
//! A blob is named by its plain bytes, so it has the same id in every repository: those that the target lists
//! are not read, the others are read, verified, and sealed anew. A piece of a file stays compressed as it is: what
//! is sealed for the target is the message of which the plain bytes were verified.
//!
//! A snapshot is copied in the order in which one is made: directories and pieces of files, in packs; index objects
//! that list these; then the snapshot. So what a copy that was killed leaves is a part of the next one, or goes with
//! the next prune.
//!
//! Every directory is read, also those that the target has: that it has a directory does not mean that it has
//! what is in it, where something was killed or damaged. It is named by its plain bytes, so those that the target
//! has may be read from there, if the source is farther away.
//!
//! The caller holds a lock of each repository from before its index is loaded ([`SnapshotCopier::open`]) until what
//! names the copies is written: the indexes are read once, and what they list must stay.

mod trees;
mod walk;

use std::collections::HashSet;
use std::sync::Arc;

use self::walk::Walked;
use crate::blob::{BlobMessage, BlobSealer, SealedBlob};
use crate::indexer::{Fence, Indexer};
use crate::packer::{PACK_BYTES, Packer};
use crate::{
    BlobHandle, BlobId, BlobKind, BlobStream, Error, Index, ReadOptions, ResticRepository, Result,
    Snapshot, SnapshotId, TreeId,
};

/// How to copy.
#[derive(Clone, Debug)]
pub struct CopyOptions {
    /// Of zstd, for directories and for pieces that are not compressed.
    pub level: i32,
    /// A pack that has grown to so many bytes is finished.
    pub pack_bytes: usize,
    /// How blobs are read.
    pub read: ReadOptions,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { level: 1, pack_bytes: PACK_BYTES, read: ReadOptions::default() }
    }
}

/// What a repository lacks of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissingBlobs {
    /// Pieces of files.
    pub data_blobs: u64,
    /// Directories.
    pub tree_blobs: u64,
    /// What they take where they are.
    pub packed_bytes: u64,
}

/// A snapshot that was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedSnapshot {
    /// The copy.
    pub snapshot: SnapshotId,
    /// Pieces of files that were stored.
    pub data_blobs: u64,
    /// Directories that were stored.
    pub tree_blobs: u64,
    /// Bytes of packs that were stored.
    pub stored_bytes: u64,
}

/// Copies snapshots from one repository to another.
///
/// Takes the memory of both indexes, some 40 to 80 bytes for each directory that was seen and each blob that
/// was copied, that of the directories on the way to where it is (and of some megabytes around them, 32 MiB at most
/// for each repository that they are read from), and what [`ReadOptions`] says: pieces are read ahead as they are
/// stored, and decompressed only to be verified, one by each thread at a time.
#[derive(Debug)]
pub struct SnapshotCopier {
    source: ResticRepository,
    source_index: Arc<Index>,
    /// Whether directories are rather read from the target.
    source_is_far: bool,
    target: Option<ResticRepository>,
    target_index: Index,
    /// Directories of which the target has everything.
    whole: HashSet<TreeId>,
    /// Blobs that were stored in the target since its index was read.
    stored: HashSet<BlobHandle>,
    /// Copies that the target had when that was first asked for.
    copies: Option<Vec<(SnapshotId, Snapshot)>>,
}

impl SnapshotCopier {
    /// Reads the indexes of both. Without a target, everything is missing in it.
    pub fn open(source: ResticRepository, target: Option<ResticRepository>) -> Result<Self> {
        let source_index = Arc::new(Index::load(&source)?);
        Self::with_index(source, source_index, target)
    }

    /// The same, with an index of the source that is there already: it must list all that the snapshots need which
    /// are copied, and have been loaded under the lock that is held. The target's is read.
    pub fn with_index(
        source: ResticRepository,
        source_index: Arc<Index>,
        target: Option<ResticRepository>,
    ) -> Result<Self> {
        let target_index = target.as_ref().map_or_else(|| Ok(Index::default()), Index::load)?;
        Ok(Self {
            source,
            source_index,
            source_is_far: false,
            target,
            target_index,
            whole: HashSet::new(),
            stored: HashSet::new(),
            copies: None,
        })
    }

    /// The target is nearer than the source: directories that it lists are read from there, and from the source only
    /// where that fails. Then the source is asked for snapshots and for what the target lacks, and nothing else.
    #[must_use]
    pub fn far_source(self) -> Self {
        Self { source_is_far: true, ..self }
    }

    /// Whether files are cut at the same places in both: else what a later backup stores in the target shares
    /// little with what is copied there.
    #[must_use]
    pub fn cuts_alike(&self) -> bool {
        let polynomial = self.source.config().chunker_polynomial;
        self.target.as_ref().is_none_or(|target| target.config().chunker_polynomial == polynomial)
    }

    /// What the target lacks of a tree. What was counted once is taken for copied.
    pub fn count_missing(&mut self, tree: TreeId) -> Result<MissingBlobs> {
        let walked = self.walk(tree, |_, _| Ok(()))?;
        let found = walked.blobs.iter().filter_map(|blob| self.source_index.find(blob));
        let packed_bytes = found.map(|location| u64::from(location.extent.length)).sum();
        let data_blobs = walked.data.len() as u64;
        let tree_blobs = walked.blobs.len() as u64 - data_blobs;
        self.keep(walked);
        Ok(MissingBlobs { data_blobs, tree_blobs, packed_bytes })
    }

    /// Copies a snapshot, which must be of `tree`. One that is there already is left as it is.
    ///
    /// `fence` is asked before anything is written by which others see what was stored. `progress` is told of
    /// plain bytes of files.
    ///
    /// [`Error::Corrupt`] if anything that is missing in the target cannot be read whole from the source: then
    /// there is no copy, and another snapshot may still be copied.
    pub fn copy(
        &mut self,
        snapshot: &SnapshotId,
        tree: TreeId,
        options: &CopyOptions,
        fence: Fence<'_>,
        progress: &dyn Fn(u64),
    ) -> Result<CopiedSnapshot> {
        let original = self.source.snapshot(snapshot)?;
        if original.tree != tree {
            let problem = format!("it names tree {}, {tree} expected", original.tree);
            return Err(Error::corrupt(format!("snapshot {snapshot}"), problem));
        }
        let Some(target) = self.target.clone() else {
            return Err(Error::NoRepository { location: "the target of a copy".to_owned() });
        };
        let mut store = Store::new(&target, options, fence)?;
        let walked = self.walk(tree, |blob, plain| store.add(blob, plain))?;
        self.copy_data(&walked.data, &mut store, options, progress)?;
        let stored_bytes = store.finish()?;
        let data_blobs = walked.data.len() as u64;
        let tree_blobs = walked.blobs.len() as u64 - data_blobs;
        self.keep(walked);
        fence()?;
        let snapshot = self.save(&target, snapshot, original)?;
        Ok(CopiedSnapshot { snapshot, data_blobs, tree_blobs, stored_bytes })
    }

    fn copy_data(
        &self,
        data: &[BlobId],
        store: &mut Store<'_>,
        options: &CopyOptions,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let wanted = data.iter().copied();
        let messages: BlobStream<_, BlobMessage> =
            self.source.read_opened(&self.source_index, wanted, &options.read)?;
        for (&id, message) in data.iter().zip(messages) {
            let message = message?;
            store.add_message(BlobHandle { kind: BlobKind::Data, id }, &message)?;
            progress(message.plain_length());
        }
        Ok(())
    }

    /// All that was walked is in the target from now on.
    fn keep(&mut self, walked: Walked) {
        self.whole.extend(walked.trees);
        self.stored.extend(walked.blobs);
    }

    /// Writes the copy of a snapshot, as restic does: it names the first of which it is a copy, and no parent,
    /// which has another id here. What a copy that was killed has written serves again.
    fn save(
        &mut self,
        target: &ResticRepository,
        id: &SnapshotId,
        original: Snapshot,
    ) -> Result<SnapshotId> {
        let copy = Snapshot { parent: None, original: original.original.or(Some(*id)), ..original };
        let copies = match &mut self.copies {
            Some(copies) => copies,
            None => {
                let mut there = target.snapshots()?.readable;
                there.retain(|(_, snapshot)| snapshot.original.is_some());
                self.copies.insert(there)
            }
        };
        match copies.iter().find(|(_, there)| *there == copy) {
            Some((there, _)) => Ok(*there),
            None => target.save_snapshot(&copy),
        }
    }
}

/// Seals blobs and stores them.
struct Store<'a> {
    sealer: BlobSealer<'a>,
    packer: Packer<'a>,
    indexer: Indexer<'a>,
}

impl<'a> Store<'a> {
    fn new(target: &'a ResticRepository, options: &CopyOptions, fence: Fence<'a>) -> Result<Self> {
        let cipher = target.cipher();
        Ok(Self {
            sealer: BlobSealer::new(cipher, options.level)?,
            packer: Packer::new(&**target.storage(), cipher, options.pack_bytes),
            indexer: Indexer::new(target, fence),
        })
    }

    fn add(&mut self, blob: BlobHandle, plain: &[u8]) -> Result<()> {
        let sealed = self.sealer.seal(blob, plain)?;
        self.pack(&sealed)
    }

    fn add_message(&mut self, blob: BlobHandle, message: &BlobMessage) -> Result<()> {
        let sealed = self.sealer.reseal(blob, message)?;
        self.pack(&sealed)
    }

    fn pack(&mut self, sealed: &SealedBlob) -> Result<()> {
        match self.packer.add(sealed)? {
            Some(pack) => self.indexer.publish(pack),
            None => Ok(()),
        }
    }

    /// Makes all of it durable and lists it in an index; how many bytes of packs that are.
    fn finish(mut self) -> Result<u64> {
        for pack in self.packer.finish()? {
            self.indexer.publish(pack)?;
        }
        self.indexer.finish()
    }
}
