//! One blob or directory at a time.

use std::io::Read;
use std::ops::Range;

use crate::blob::{BlobOpener, Opened};
use crate::{
    BlobExtent, BlobHandle, BlobKind, BlobLocation, Error, Index, ObjectId as _, PackId,
    ResticRepository, Result, Tree, TreeId,
};

/// What a piece of a file may be long. restic cuts them to 8 MiB at most; other programs can be told to make
/// longer ones.
const DATA_LIMIT_BYTES: u32 = 64 * 1024 * 1024;
/// What a directory may be long: one of some million files.
const TREE_LIMIT_BYTES: u32 = 1024 * 1024 * 1024;

impl ResticRepository {
    /// The plain bytes of a blob. Where it is in several packs, one that is sound is enough.
    ///
    /// [`Error::Corrupt`] if no index object lists it, or if it is damaged wherever it is.
    pub fn blob(&self, index: &Index, blob: &BlobHandle) -> Result<Vec<u8>> {
        let mut opener = BlobOpener::new(self.cipher());
        read_anywhere(self, &mut opener, index, blob)
    }

    /// A directory. Its memory is some times that of its blob.
    ///
    /// [`Error::Corrupt`] if its blob cannot be read, or is no tree.
    pub fn tree(&self, index: &Index, id: &TreeId) -> Result<Tree> {
        let blob = BlobHandle { kind: BlobKind::Tree, id: (*id).into() };
        Tree::decode(*id, &self.blob(index, &blob)?)
    }
}

/// Tries all places where a blob is; the error is that of the first.
pub(crate) fn read_anywhere<T: Opened>(
    repository: &ResticRepository,
    opener: &mut BlobOpener<'_>,
    index: &Index,
    blob: &BlobHandle,
) -> Result<T> {
    let mut first_error = None;
    for BlobLocation { pack, extent } in index.find_all(blob) {
        let read = must_be_short(blob, &extent)
            .and_then(|()| read_range(repository, &pack, &extent.range()))
            .and_then(|mut bytes| open(opener, &pack, blob, &extent, &mut bytes));
        match read {
            Ok(opened) => return Ok(opened),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| not_listed(blob)))
}

/// Some bytes of a pack, and [`Error::Corrupt`] if it ends before them.
pub(crate) fn read_range(
    repository: &ResticRepository,
    pack: &PackId,
    range: &Range<u64>,
) -> Result<Vec<u8>> {
    let (key, expected) = (pack.key()?, range.end.saturating_sub(range.start));
    let mut bytes = Vec::new();
    let reader = repository.storage().read(&key, Some(range.clone()))?;
    reader
        .take(expected)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::from_stream("read", error))?;
    if bytes.len() as u64 != expected {
        let end = range.start + bytes.len() as u64;
        return Err(Error::corrupt(key, format!("ends at byte {end}, {} expected", range.end)));
    }
    Ok(bytes)
}

/// What is wanted of a blob that lies in `pack`. Errors name both.
pub(crate) fn open<T: Opened>(
    opener: &mut BlobOpener<'_>,
    pack: &PackId,
    blob: &BlobHandle,
    extent: &BlobExtent,
    sealed: &mut [u8],
) -> Result<T> {
    must_be_short(blob, extent)?;
    opener.open(blob, sealed, extent.uncompressed_length).map_err(|error| match error {
        Error::Corrupt { object, problem } => match pack.key() {
            Ok(key) => Error::corrupt(key, format!("{object}: {problem}")),
            Err(error) => error,
        },
        error => error,
    })
}

/// [`Error::Corrupt`] if a blob claims to be longer than any is. Asked before memory is taken for it.
pub(crate) fn must_be_short(blob: &BlobHandle, extent: &BlobExtent) -> Result<()> {
    let limit = match blob.kind {
        BlobKind::Data => DATA_LIMIT_BYTES,
        BlobKind::Tree => TREE_LIMIT_BYTES,
    };
    let length = extent.plain_length().max(extent.length);
    if length > limit {
        return Err(Error::corrupt(blob, format!("{length} bytes long, at most {limit} are read")));
    }
    Ok(())
}

pub(crate) fn not_listed(blob: &BlobHandle) -> Error {
    Error::corrupt(blob, "no index lists it")
}
