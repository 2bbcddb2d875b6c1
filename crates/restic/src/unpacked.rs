//! Objects that are one sealed document: index, snapshot, lock.
//!
//! Plain they are JSON, or a byte 2 and JSON compressed with zstd. restic reads and writes both.

use lifeboat_storage::{Storage, decompress_bytes};

use crate::cipher::{Cipher, NONCE_BYTES};
use crate::layout::ObjectId;
use crate::{Error, Result, object};

/// First byte of a compressed document.
const COMPRESSED: u8 = 2;
/// As restic's default: the documents are short.
const LEVEL: i32 = 3;
/// By how much a document may be longer before it is sealed than what it is made of.
const SLACK_BYTES: usize = 64 * 1024;

/// Seals a document of JSON and creates its object.
pub(crate) fn write<I: ObjectId>(storage: &dyn Storage, cipher: &Cipher, json: &[u8]) -> Result<I> {
    let mut sealed = vec![0; NONCE_BYTES];
    sealed.push(COMPRESSED);
    zstd::stream::copy_encode(json, &mut sealed, LEVEL)
        .map_err(|source| Error::Machine { operation: "compress", source })?;
    cipher.seal(&mut sealed)?;
    object::create(storage, &sealed)
}

/// The JSON of a document of at most `limit_bytes`. [`Error::Corrupt`] if it is longer, its name is not
/// its hash, or it was not sealed with this key.
pub(crate) fn read<I: ObjectId>(
    storage: &dyn Storage,
    cipher: &Cipher,
    id: &I,
    limit_bytes: usize,
) -> Result<Vec<u8>> {
    let mut sealed = object::read(storage, id, limit_bytes.saturating_add(SLACK_BYTES))?;
    let corrupt = |problem: &str| match id.key() {
        Ok(key) => Error::corrupt(key, problem),
        Err(error) => error,
    };
    let plain = cipher.open(&mut sealed).ok_or_else(|| corrupt("not sealed with the key given"))?;
    match plain {
        [COMPRESSED, compressed @ ..] => decompress_bytes(compressed, limit_bytes)
            .map_err(|error| corrupt(&format!("cannot be decompressed: {error}"))),
        [b'{' | b'[', ..] => Ok(plain.to_vec()),
        _ => Err(corrupt("neither JSON nor compressed")),
    }
}
