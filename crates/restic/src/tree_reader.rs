//! Reads directories on the way through a tree.

use std::io::Read;
use std::ops::Range;

use crate::blob::BlobOpener;
use crate::reading::{must_be_short, not_listed, read_anywhere};
use crate::{
    BlobHandle, BlobKind, BlobLocation, Error, Index, ObjectId, PackId, ResticRepository, Result,
    Tree, TreeId,
};

/// How much before and behind a directory is read with it. Packs hold directories in the order in which a
/// walk leaves them: those in a directory lie before it, the next one beside it behind it. Asking a remote
/// store for each alone would take hours.
const BEFORE_BYTES: u64 = 128 * 1024;
const BEHIND_BYTES: u64 = 384 * 1024;
/// How many such stretches are kept: at each level of the way the next directory is somewhere else.
const WINDOWS: usize = 8;
/// A longer one is not kept: it is that of a directory of very many files.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Reads directories, verified; keeps some megabytes, 32 MiB at most, of what lies around those that were read last.
pub(crate) struct TreeReader<'a> {
    repository: &'a ResticRepository,
    index: &'a Index,
    opener: BlobOpener<'a>,
    /// Those used last come last.
    windows: Vec<Window>,
}

/// A stretch of a pack.
struct Window {
    pack: PackId,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> TreeReader<'a> {
    pub(crate) fn new(repository: &'a ResticRepository, index: &'a Index) -> Self {
        let opener = BlobOpener::new(repository.cipher());
        Self { repository, index, opener, windows: Vec::new() }
    }

    /// A directory. [`Error::Corrupt`] if it is in no pack, or is damaged wherever it is.
    pub(crate) fn read(&mut self, id: TreeId) -> Result<Tree> {
        Tree::decode(id, &self.read_plain(id)?)
    }

    /// The bytes of a directory, which have its id.
    pub(crate) fn read_plain(&mut self, id: TreeId) -> Result<Vec<u8>> {
        let blob = BlobHandle { kind: BlobKind::Tree, id: id.into() };
        let location = self.index.find(&blob).ok_or_else(|| not_listed(&blob))?;
        // Where the first place of a directory is damaged, another may not be.
        self.read_at(&blob, &location)
            .or_else(|_| read_anywhere(self.repository, &mut self.opener, self.index, &blob))
    }

    fn read_at(&mut self, blob: &BlobHandle, location: &BlobLocation) -> Result<Vec<u8>> {
        must_be_short(blob, &location.extent)?;
        let mut sealed = self.sealed(location)?;
        self.opener.open(blob, &mut sealed, location.extent.uncompressed_length)
    }

    fn sealed(&mut self, location: &BlobLocation) -> Result<Vec<u8>> {
        let range = location.extent.range();
        let known = self.windows.iter().position(|window| window.has(&location.pack, &range));
        let window = match known {
            Some(place) => self.windows.remove(place),
            None => self.load(location.pack, &range)?,
        };
        let sealed = window.slice(&range).map(<[u8]>::to_vec);
        if window.bytes.len() <= KEPT_BYTES {
            if self.windows.len() == WINDOWS {
                self.windows.remove(0);
            }
            self.windows.push(window);
        }
        sealed.ok_or_else(|| {
            Error::corrupt(format_args!("pack {}", location.pack), "shorter than the index says")
        })
    }

    fn load(&self, pack: PackId, range: &Range<u64>) -> Result<Window> {
        let start = range.start.saturating_sub(BEFORE_BYTES);
        let mut bytes = Vec::new();
        self.repository
            .storage()
            .read(&pack.key()?, Some(start..range.end + BEHIND_BYTES))?
            .read_to_end(&mut bytes)
            .map_err(|error| Error::from_stream("read", error))?;
        Ok(Window { pack, start, bytes })
    }
}

impl Window {
    fn has(&self, pack: &PackId, range: &Range<u64>) -> bool {
        self.pack == *pack && self.slice(range).is_some()
    }

    fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        let start = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..end)
    }
}
