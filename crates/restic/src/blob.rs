//! Blobs: pieces of files and directories, each sealed by itself.
//!
//! Plain bytes, or zstd of them where that is shorter, sealed. The id is the SHA-256 of the plain bytes.

use std::borrow::Cow;
use std::io::Cursor;

use sha2::{Digest, Sha256};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

use crate::cipher::{Cipher, NONCE_BYTES, OVERHEAD_BYTES};
use crate::{BlobId, Error, Result};

/// Up to this many plain bytes are decompressed at once into a buffer made for them; what claims to be
/// longer is decompressed as it comes. restic's pieces of files are at most 8 MiB.
const AT_ONCE_BYTES: usize = 16 * 1024 * 1024;

/// What an empty blob takes.
const EMPTY_BYTES: u32 = 32;
const _: () = assert!(EMPTY_BYTES as usize == OVERHEAD_BYTES);

/// What a blob is of. The same bytes may be there as both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlobKind {
    /// A piece of a file.
    Data,
    /// A directory.
    Tree,
}

impl std::fmt::Display for BlobKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Data => "data",
            Self::Tree => "tree",
        })
    }
}

/// A blob: what it is of, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHandle {
    /// What it is of.
    pub kind: BlobKind,
    /// The SHA-256 of its plain bytes.
    pub id: BlobId,
}

impl std::fmt::Display for BlobHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} blob {}", self.kind, self.id)
    }
}

/// How a blob lies in its pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobExtent {
    /// Where it begins, in bytes from the beginning of the pack.
    pub offset: u32,
    /// Its sealed length in bytes.
    pub length: u32,
    /// Its plain length in bytes where it is compressed; 0 where it is not.
    pub uncompressed_length: u32,
}

impl BlobExtent {
    /// Its plain length in bytes.
    #[must_use]
    pub fn plain_length(&self) -> u32 {
        match self.uncompressed_length {
            0 => self.length.saturating_sub(EMPTY_BYTES),
            length => length,
        }
    }

    /// The bytes of the pack that it takes.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.length)
    }
}

/// A blob ready to be put into a pack.
#[derive(Debug)]
pub(crate) struct SealedBlob {
    pub(crate) blob: BlobHandle,
    pub(crate) sealed: Vec<u8>,
    /// 0 if it is not compressed.
    pub(crate) uncompressed_length: u32,
}

/// What is sealed of a blob, which was verified: its plain bytes, or zstd of them.
#[derive(Debug)]
pub(crate) struct BlobMessage {
    bytes: Vec<u8>,
    /// 0 if it is not compressed.
    uncompressed_length: u32,
}

impl BlobMessage {
    /// The length of the plain bytes.
    pub(crate) fn plain_length(&self) -> u64 {
        match self.uncompressed_length {
            0 => self.bytes.len() as u64,
            length => u64::from(length),
        }
    }
}

/// Seals blobs; keeps what compressing needs between them.
pub(crate) struct BlobSealer<'a> {
    cipher: &'a Cipher,
    compressor: Compressor<'static>,
}

impl<'a> BlobSealer<'a> {
    /// With a compression level of zstd.
    pub(crate) fn new(cipher: &'a Cipher, level: i32) -> Result<Self> {
        let compressor = Compressor::new(level).map_err(cannot_compress)?;
        Ok(Self { cipher, compressor })
    }

    /// Seals the bytes of a blob, compressed where that is shorter.
    pub(crate) fn seal(&mut self, blob: BlobHandle, plain: &[u8]) -> Result<SealedBlob> {
        let uncompressed_length = u32::try_from(plain.len())
            .map_err(|_| Error::corrupt(blob, "longer than the format allows"))?;
        let mut sealed = self.compress(plain).map_err(cannot_compress)?;
        let is_shorter = sealed.len() < NONCE_BYTES + plain.len();
        if !is_shorter {
            sealed.truncate(NONCE_BYTES);
            sealed.extend_from_slice(plain);
        }
        self.cipher.seal(&mut sealed)?;
        let uncompressed_length = if is_shorter { uncompressed_length } else { 0 };
        Ok(SealedBlob { blob, sealed, uncompressed_length })
    }

    /// Seals what was sealed under another key: as it is if it is compressed, else as [`BlobSealer::seal`].
    pub(crate) fn reseal(&mut self, blob: BlobHandle, message: &BlobMessage) -> Result<SealedBlob> {
        let BlobMessage { bytes, uncompressed_length } = message;
        if *uncompressed_length == 0 {
            return self.seal(blob, bytes);
        }
        let mut sealed = Vec::with_capacity(bytes.len() + OVERHEAD_BYTES);
        sealed.resize(NONCE_BYTES, 0);
        sealed.extend_from_slice(bytes);
        self.cipher.seal(&mut sealed)?;
        Ok(SealedBlob { blob, sealed, uncompressed_length: *uncompressed_length })
    }

    /// With room for a nonce before it and a tag behind.
    fn compress(&mut self, plain: &[u8]) -> std::io::Result<Vec<u8>> {
        let room = compress_bound(plain.len()) + OVERHEAD_BYTES;
        let mut compressed = Cursor::new(Vec::with_capacity(room));
        compressed.get_mut().resize(NONCE_BYTES, 0);
        compressed.set_position(NONCE_BYTES as u64);
        self.compressor.compress_to_buffer(plain, &mut compressed)?;
        Ok(compressed.into_inner())
    }
}

fn cannot_compress(source: std::io::Error) -> Error {
    Error::Machine { operation: "compress", source }
}

/// What is wanted of a blob that was opened.
pub(crate) trait Opened: Send + Sync + 'static {
    /// Takes what is wanted of a message and of the plain bytes that it stands for, which were verified.
    /// `uncompressed_length` is 0 for a blob that is not compressed.
    fn take(message: &[u8], plain: Cow<'_, [u8]>, uncompressed_length: u32) -> Self;
}

/// Nothing but that it is sound.
impl Opened for () {
    fn take(_: &[u8], _: Cow<'_, [u8]>, _: u32) -> Self {}
}

/// Its plain bytes.
impl Opened for Vec<u8> {
    fn take(_: &[u8], plain: Cow<'_, [u8]>, _: u32) -> Self {
        plain.into_owned()
    }
}

/// What can be sealed under another key.
impl Opened for BlobMessage {
    fn take(message: &[u8], _: Cow<'_, [u8]>, uncompressed_length: u32) -> Self {
        Self { bytes: message.to_vec(), uncompressed_length }
    }
}

/// Opens sealed blobs; keeps what decompressing needs between them.
pub(crate) struct BlobOpener<'a> {
    cipher: &'a Cipher,
    decompressor: Option<Decompressor<'static>>,
}

impl<'a> BlobOpener<'a> {
    pub(crate) fn new(cipher: &'a Cipher) -> Self {
        Self { cipher, decompressor: None }
    }

    /// What is wanted of a sealed blob, whose id and length are verified. `uncompressed_length` is 0
    /// for a blob that is not compressed. What is in `sealed` afterwards is of no use.
    ///
    /// [`Error::Corrupt`] if anything about it is wrong.
    pub(crate) fn open<T: Opened>(
        &mut self,
        handle: &BlobHandle,
        sealed: &mut [u8],
        uncompressed_length: u32,
    ) -> Result<T> {
        let message = self.cipher.open(sealed);
        let message =
            &*message.ok_or_else(|| Error::corrupt(handle, "not sealed with the key given"))?;
        let plain = self.verified(handle, message, uncompressed_length)?;
        Ok(T::take(message, plain, uncompressed_length))
    }

    /// The plain bytes that a message stands for.
    fn verified<'message>(
        &mut self,
        handle: &BlobHandle,
        message: &'message [u8],
        uncompressed_length: u32,
    ) -> Result<Cow<'message, [u8]>> {
        let corrupt = |problem: &str| Error::corrupt(handle, problem);
        let plain = match uncompressed_length {
            0 => Cow::Borrowed(message),
            length => Cow::Owned(
                self.decompress(message, length as usize)
                    .map_err(|error| corrupt(&format!("cannot be decompressed: {error}")))?,
            ),
        };
        if uncompressed_length != 0 && plain.len() != uncompressed_length as usize {
            return Err(corrupt("not as long as the index says"));
        }
        if Sha256::digest(&plain).as_slice() != handle.id.as_bytes() {
            return Err(corrupt("its SHA-256 is not its id"));
        }
        Ok(plain)
    }

    fn decompress(&mut self, compressed: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
        if length > AT_ONCE_BYTES {
            return lifeboat_storage::decompress_bytes(compressed, length)
                .map_err(std::io::Error::from);
        }
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            None => self.decompressor.insert(Decompressor::new()?),
        };
        decompressor.decompress(compressed, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MasterKey;

    fn handle(plain: &[u8]) -> BlobHandle {
        BlobHandle { kind: BlobKind::Data, id: BlobId::of(plain) }
    }

    #[test]
    fn opens_what_it_sealed_compressed_or_not() {
        let cipher = Cipher::new(&MasterKey::random().unwrap());
        let mut sealer = BlobSealer::new(&cipher, 1).unwrap();
        let mut opener = BlobOpener::new(&cipher);
        for (plain, is_compressed) in
            [(&b""[..], false), (b"abc", false), (&[7; 100_000], true), (b"abcd", false)]
        {
            let mut blob = sealer.seal(handle(plain), plain).unwrap();
            assert_eq!(blob.uncompressed_length > 0, is_compressed);
            assert!(blob.sealed.len() <= plain.len() + OVERHEAD_BYTES);
            let length = blob.uncompressed_length;
            let opened: Vec<u8> = opener.open(&blob.blob, &mut blob.sealed, length).unwrap();
            assert_eq!(opened, plain);
        }
    }

    #[test]
    fn seals_for_another_key_what_was_verified() {
        let [one, other] = [(); 2].map(|()| Cipher::new(&MasterKey::random().unwrap()));
        // Compressed more than the second sealer would.
        let words: Vec<u8> = (0..50_000_u32).flat_map(|n| (n * n % 9973).to_le_bytes()).collect();
        for plain in [&b""[..], b"abc", &[7; 100_000], &words] {
            let blob = handle(plain);
            let mut sealed = BlobSealer::new(&one, 19).unwrap().seal(blob, plain).unwrap();
            let length = sealed.uncompressed_length;
            let mut opener = BlobOpener::new(&one);
            let message: BlobMessage = opener.open(&blob, &mut sealed.sealed, length).unwrap();
            assert_eq!(message.plain_length(), plain.len() as u64);
            let mut again = BlobSealer::new(&other, 1).unwrap().reseal(blob, &message).unwrap();
            assert_eq!((again.blob, again.uncompressed_length), (blob, length));
            assert_eq!(again.sealed.len(), sealed.sealed.len());
            let opened: Vec<u8> =
                BlobOpener::new(&other).open(&blob, &mut again.sealed, length).unwrap();
            assert_eq!(opened, plain);
        }
        // The key alone does not make it a blob.
        let mut sealed = BlobSealer::new(&one, 1).unwrap().seal(handle(b"x"), &[7; 1000]).unwrap();
        let opened: Result<BlobMessage> =
            BlobOpener::new(&one).open(&sealed.blob, &mut sealed.sealed, 1000);
        assert!(opened.is_err());
    }

    #[test]
    fn refuses_whatever_is_not_the_blob() {
        let cipher = Cipher::new(&MasterKey::random().unwrap());
        let other = Cipher::new(&MasterKey::random().unwrap());
        let plain = [7; 100_000];
        let blob = BlobSealer::new(&cipher, 1).unwrap().seal(handle(&plain), &plain).unwrap();
        let open = |cipher, handle, sealed: &[u8], length| {
            let opened = BlobOpener::new(cipher).open::<()>(&handle, &mut sealed.to_vec(), length);
            opened.is_ok()
        };
        assert!(open(&cipher, blob.blob, &blob.sealed, 100_000));
        assert!(!open(&other, blob.blob, &blob.sealed, 100_000));
        assert!(!open(&cipher, handle(b"another"), &blob.sealed, 100_000));
        for length in [0, 1, 99_999, 100_001, 16 << 20 | 1, u32::MAX] {
            assert!(!open(&cipher, blob.blob, &blob.sealed, length), "{length}");
        }
        for length in 0..blob.sealed.len() {
            assert!(!open(&cipher, blob.blob, &blob.sealed[..length], 100_000));
            let mut changed = blob.sealed.clone();
            changed[length] ^= 1;
            assert!(!open(&cipher, blob.blob, &changed, 100_000));
        }
    }
}
