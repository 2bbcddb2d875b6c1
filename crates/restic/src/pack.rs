//! Packs: sealed blobs one after the other, then a sealed header that lists them.
//!
//! `blob ‖ blob ‖ … ‖ header ‖ length of the sealed header (4, little endian)`. An entry of the header is
//! its type (1), the sealed length (4), for compressed blobs the plain length (4), and the id (32). The
//! blobs lie in the order of their entries without gaps.

use std::io::Read;

use crate::blob::{BlobExtent, BlobHandle, BlobKind};
use crate::cipher::{Cipher, NONCE_BYTES, OVERHEAD_BYTES};
use crate::ids::ID_BYTES;
use crate::{Error, ObjectId as _, PackId, ResticRepository, Result};

/// Length of the length at the end.
pub(crate) const TRAILER_BYTES: usize = 4;
/// The longest header accepted, as in restic.
pub(crate) const MAX_HEADER_BYTES: usize = 16 * 1024 * 1024;
/// So much of the end of a pack is read in the hope that its header is in it.
const USUAL_HEADER_BYTES: u64 = 64 * 1024;
const PLAIN_ENTRY_BYTES: usize = 1 + 4 + ID_BYTES;
const COMPRESSED_ENTRY_BYTES: usize = PLAIN_ENTRY_BYTES + 4;

/// A blob in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedBlob {
    /// Which.
    pub blob: BlobHandle,
    /// Where.
    pub extent: BlobExtent,
}

/// How long the end of a pack of so many blobs is: the sealed header and its length.
pub(crate) fn header_bytes(plain: usize, compressed: usize) -> u64 {
    let entries = plain * PLAIN_ENTRY_BYTES + compressed * COMPRESSED_ENTRY_BYTES;
    (entries + OVERHEAD_BYTES + TRAILER_BYTES) as u64
}

/// The end of a pack of these blobs: the sealed header and its length.
pub(crate) fn encode_header(cipher: &Cipher, blobs: &[PackedBlob]) -> Result<Vec<u8>> {
    let room = blobs.len() * COMPRESSED_ENTRY_BYTES + OVERHEAD_BYTES + TRAILER_BYTES;
    let mut header = Vec::with_capacity(room);
    header.resize(NONCE_BYTES, 0);
    for PackedBlob { blob, extent } in blobs {
        let kind = match (blob.kind, extent.uncompressed_length) {
            (BlobKind::Data, 0) => 0,
            (BlobKind::Tree, 0) => 1,
            (BlobKind::Data, _) => 2,
            (BlobKind::Tree, _) => 3,
        };
        header.push(kind);
        header.extend_from_slice(&extent.length.to_le_bytes());
        if extent.uncompressed_length > 0 {
            header.extend_from_slice(&extent.uncompressed_length.to_le_bytes());
        }
        header.extend_from_slice(blob.id.as_bytes());
    }
    cipher.seal(&mut header)?;
    let length = u32::try_from(header.len())
        .map_err(|_| Error::corrupt("a new pack", "has too many blobs"))?;
    header.extend_from_slice(&length.to_le_bytes());
    Ok(header)
}

impl ResticRepository {
    /// The blobs that a pack of `pack_bytes` says to hold, in their order. Most are read at once.
    ///
    /// [`Error::Corrupt`] unless they fill the pack exactly.
    pub fn pack_header(&self, pack: &PackId, pack_bytes: u64) -> Result<Vec<PackedBlob>> {
        let mut end = self.pack_end(pack, pack_bytes, USUAL_HEADER_BYTES)?;
        let Some((_, trailer)) = end.split_last_chunk() else {
            return Err(corrupt(pack, format!("only {pack_bytes} bytes long")));
        };
        let length = header_length(pack, pack_bytes, *trailer)?;
        if end.len() < length + TRAILER_BYTES {
            end = self.pack_end(pack, pack_bytes, (length + TRAILER_BYTES) as u64)?;
        }
        let missing = || corrupt(pack, "shorter than it is listed");
        let start = end.len().checked_sub(length + TRAILER_BYTES).ok_or_else(missing)?;
        decode_header(self.cipher(), pack, pack_bytes, &mut end[start..start + length])
    }

    fn pack_end(&self, pack: &PackId, pack_bytes: u64, length: u64) -> Result<Vec<u8>> {
        let mut end = Vec::new();
        let range = pack_bytes.saturating_sub(length)..pack_bytes;
        self.storage()
            .read(&pack.key()?, Some(range))?
            .read_to_end(&mut end)
            .map_err(|error| Error::from_stream("read", error))?;
        Ok(end)
    }
}

/// The length of the sealed header of a pack of `pack_bytes`, from its last [`TRAILER_BYTES`].
/// [`Error::Corrupt`] if the pack has no room for it.
pub(crate) fn header_length(
    pack: &PackId,
    pack_bytes: u64,
    trailer: [u8; TRAILER_BYTES],
) -> Result<usize> {
    let length = u32::from_le_bytes(trailer) as usize;
    let room = pack_bytes.saturating_sub(TRAILER_BYTES as u64);
    if !(OVERHEAD_BYTES..=MAX_HEADER_BYTES).contains(&length) || length as u64 > room {
        return Err(corrupt(pack, format!("a header of {length} bytes")));
    }
    Ok(length)
}

/// The blobs that the sealed header of a pack of `pack_bytes` lists, in their order.
/// [`Error::Corrupt`] unless they fill the pack exactly.
pub(crate) fn decode_header(
    cipher: &Cipher,
    pack: &PackId,
    pack_bytes: u64,
    sealed_header: &mut [u8],
) -> Result<Vec<PackedBlob>> {
    let header_bytes = (sealed_header.len() + TRAILER_BYTES) as u64;
    let mut rest: &[u8] = cipher
        .open(sealed_header)
        .ok_or_else(|| corrupt(pack, "its header is not sealed with the key given"))?;
    let mut blobs = Vec::with_capacity(rest.len() / PLAIN_ENTRY_BYTES);
    let mut offset = 0_u32;
    while !rest.is_empty() {
        let packed = decode_entry(&mut rest, offset)
            .ok_or_else(|| corrupt(pack, "its header ends within an entry or has a wrong one"))?;
        offset = offset
            .checked_add(packed.extent.length)
            .ok_or_else(|| corrupt(pack, "its blobs are longer than 4 GiB"))?;
        blobs.push(packed);
    }
    if u64::from(offset) + header_bytes != pack_bytes {
        let problem = format!("its blobs take {offset} of {pack_bytes} bytes");
        return Err(corrupt(pack, problem));
    }
    Ok(blobs)
}

/// `None` if there is no whole entry, or one that cannot be.
fn decode_entry(rest: &mut &[u8], offset: u32) -> Option<PackedBlob> {
    let (kind, compressed) = match take::<1>(rest)?[0] {
        0 => (BlobKind::Data, false),
        1 => (BlobKind::Tree, false),
        2 => (BlobKind::Data, true),
        3 => (BlobKind::Tree, true),
        _ => return None,
    };
    let length = u32::from_le_bytes(take(rest)?);
    let uncompressed_length = if compressed { u32::from_le_bytes(take(rest)?) } else { 0 };
    let id = take::<ID_BYTES>(rest)?.into();
    if (length as usize) < OVERHEAD_BYTES || compressed && uncompressed_length == 0 {
        return None;
    }
    let extent = BlobExtent { offset, length, uncompressed_length };
    Some(PackedBlob { blob: BlobHandle { kind, id }, extent })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn corrupt(pack: &PackId, problem: impl Into<String>) -> Error {
    Error::corrupt(format_args!("pack {pack}"), problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{BlobId, MasterKey};

    fn cipher() -> Cipher {
        Cipher::new(&MasterKey::random().unwrap())
    }

    fn packed(specs: &[(bool, u32, u32, u8)]) -> (Vec<PackedBlob>, u64) {
        let mut offset = 0;
        let blobs = specs.iter().map(|&(tree, length, uncompressed_length, id)| {
            let kind = if tree { BlobKind::Tree } else { BlobKind::Data };
            let extent = BlobExtent { offset, length, uncompressed_length };
            offset += length;
            PackedBlob { blob: BlobHandle { kind, id: BlobId::from([id; 32]) }, extent }
        });
        (blobs.collect(), offset.into())
    }

    fn decode(cipher: &Cipher, end: &[u8], blob_bytes: u64) -> Result<Vec<PackedBlob>> {
        let pack = PackId::from([7; 32]);
        let (sealed, trailer) = end.split_last_chunk().unwrap();
        let pack_bytes = blob_bytes + end.len() as u64;
        let length = header_length(&pack, pack_bytes, *trailer)?;
        assert_eq!(length, sealed.len());
        decode_header(cipher, &pack, pack_bytes, &mut sealed.to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn reads_what_it_wrote(
            specs in proptest::collection::vec(
                (any::<bool>(), 32..1_000_000_u32, 0..1_000_000_u32, any::<u8>()), 0..20)
        ) {
            let cipher = cipher();
            let (blobs, bytes) = packed(&specs);
            let end = encode_header(&cipher, &blobs).unwrap();
            prop_assert_eq!(decode(&cipher, &end, bytes).unwrap(), blobs);
            prop_assert!(decode(&cipher, &end, bytes + 1).is_err());
        }

        #[test]
        fn refuses_any_other_header_without_panic(
            mut plain in proptest::collection::vec(0..4_u8, 1..200)
        ) {
            let cipher = cipher();
            let mut sealed = vec![0; NONCE_BYTES];
            sealed.append(&mut plain);
            cipher.seal(&mut sealed).unwrap();
            let pack = PackId::from([7; 32]);
            prop_assert!(decode_header(&cipher, &pack, 100, &mut sealed).is_err());
        }
    }

    #[test]
    fn refuses_impossible_header_lengths() {
        let pack = PackId::from([7; 32]);
        for (pack_bytes, length) in [(100, 97), (100, 31), (3, 32), (u64::MAX, 16 << 20 | 1)] {
            let trailer = u32::to_le_bytes(length);
            assert!(header_length(&pack, pack_bytes, trailer).is_err(), "{pack_bytes} {length}");
        }
        assert_eq!(header_length(&pack, 100, 96_u32.to_le_bytes()).unwrap(), 96);
    }
}
