//! Collects sealed blobs into packs, which are uploaded as they grow.

use lifeboat_storage::{HashingWriter, ObjectDigest, Storage, Upload};
use std::io::Write;

use crate::blob::{BlobExtent, SealedBlob};
use crate::cipher::Cipher;
use crate::index::IndexedPack;
use crate::pack::{PackedBlob, encode_header};
use crate::{BlobKind, Error, Result, object};

/// What a pack grows to unless somebody wants it otherwise. Restoring a little of it costs little, and a card
/// fsyncs not too often.
pub(crate) const PACK_BYTES: usize = 16 * 1024 * 1024;
/// Of how many blobs a pack is at most: far below what the longest header lists.
const PACK_BLOBS: usize = 100_000;
/// So much is collected before it is written: most directories and many files are shorter than it would be
/// worth asking the system for.
const WRITE_BYTES: usize = 256 * 1024;

/// The packs that are being filled: one of pieces of files, one of directories, so that directories are read
/// without what lies between them.
pub(crate) struct Packer<'a> {
    storage: &'a dyn Storage,
    cipher: &'a Cipher,
    pack_bytes: usize,
    data: Option<OpenPack>,
    trees: Option<OpenPack>,
}

/// A pack with all its bytes, which has no name yet.
pub(crate) struct FinishedPack {
    upload: Box<dyn Upload>,
    digest: ObjectDigest,
    blobs: Vec<PackedBlob>,
}

struct OpenPack {
    upload: HashingWriter<Box<dyn Upload>>,
    unwritten: Vec<u8>,
    blobs: Vec<PackedBlob>,
    length: usize,
}

impl<'a> Packer<'a> {
    /// Packs are finished when they have grown to `pack_bytes`.
    pub(crate) fn new(storage: &'a dyn Storage, cipher: &'a Cipher, pack_bytes: usize) -> Self {
        Self { storage, cipher, pack_bytes, data: None, trees: None }
    }

    /// Adds a blob; returns the pack that has become full by it.
    pub(crate) fn add(&mut self, blob: &SealedBlob) -> Result<Option<FinishedPack>> {
        let place = match blob.blob.kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.trees,
        };
        let pack = match place {
            Some(pack) => pack,
            None => place.insert(OpenPack::begin(self.storage)?),
        };
        pack.add(blob)?;
        if pack.length < self.pack_bytes && pack.blobs.len() < PACK_BLOBS {
            return Ok(None);
        }
        place.take().map(|pack| pack.finish(self.cipher)).transpose()
    }

    /// The packs that are not full.
    pub(crate) fn finish(self) -> Result<Vec<FinishedPack>> {
        let open = self.data.into_iter().chain(self.trees);
        open.map(|pack| pack.finish(self.cipher)).collect()
    }
}

impl OpenPack {
    fn begin(storage: &dyn Storage) -> Result<Self> {
        Ok(Self {
            upload: HashingWriter::new(storage.begin()?),
            unwritten: Vec::new(),
            blobs: Vec::new(),
            length: 0,
        })
    }

    fn add(&mut self, blob: &SealedBlob) -> Result<()> {
        let SealedBlob { blob, sealed, uncompressed_length } = blob;
        let too_long = |_| Error::corrupt(blob, "longer than the format allows");
        let extent = BlobExtent {
            offset: u32::try_from(self.length).map_err(too_long)?,
            length: u32::try_from(sealed.len()).map_err(too_long)?,
            uncompressed_length: *uncompressed_length,
        };
        self.write(sealed)?;
        self.blobs.push(PackedBlob { blob: *blob, extent });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length += bytes.len();
        if self.unwritten.len() + bytes.len() > WRITE_BYTES {
            self.flush()?;
        }
        if bytes.len() > WRITE_BYTES {
            return self.upload.write_all(bytes).map_err(cannot_write);
        }
        self.unwritten.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.upload.write_all(&self.unwritten).map_err(cannot_write)?;
        self.unwritten.clear();
        Ok(())
    }

    fn finish(mut self, cipher: &Cipher) -> Result<FinishedPack> {
        self.write(&encode_header(cipher, &self.blobs)?)?;
        self.flush()?;
        let (upload, digest) = self.upload.finish();
        Ok(FinishedPack { upload, digest, blobs: self.blobs })
    }
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::from_stream("write", error)
}

impl FinishedPack {
    /// Its length in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.digest.size
    }

    /// Gives it its name. When this returns, it is durable and may be listed by an index.
    pub(crate) fn publish(self, storage: &dyn Storage) -> Result<IndexedPack> {
        let id = object::publish(storage, self.upload, self.digest)?;
        Ok(IndexedPack { id, blobs: self.blobs })
    }
}
