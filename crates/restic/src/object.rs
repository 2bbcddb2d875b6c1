//! Objects are created, never overwritten, and named by what is in them.

use std::io::Read;

use lifeboat_storage::{Error as StorageError, HashingReader, Key, ObjectDigest, Storage, Upload};

use crate::layout::ObjectId;
use crate::{Error, Result};

/// Gives an upload, whose bytes have this digest, the name that follows from it.
///
/// A storage that lost its answer to a first try refuses the second: then the very bytes that were to
/// be written are there, and the write has succeeded. A storage that takes an object for whole although
/// it was cut short would be believed until somebody reads that, so its length is asked for.
pub(crate) fn publish<I: ObjectId>(
    storage: &dyn Storage,
    upload: Box<dyn Upload>,
    digest: ObjectDigest,
) -> Result<I> {
    let id = I::from(digest.sha256);
    let key = id.key()?;
    match upload.publish(&key) {
        Err(StorageError::Exists { .. }) if digest_of(storage, &key)? == digest => Ok(id),
        Err(StorageError::Exists { .. }) => {
            Err(Error::corrupt(&key, "other bytes than its name says"))
        }
        Err(error) => Err(error.into()),
        Ok(()) => match storage.stat(&key)? {
            Some(entry) if entry.size == digest.size => Ok(id),
            Some(entry) => {
                let problem = format!("{} bytes just written, {} found", digest.size, entry.size);
                Err(Error::corrupt(&key, problem))
            }
            None => Err(Error::corrupt(&key, "just written, and not there")),
        },
    }
}

/// Creates an object of `bytes` under the name that follows from them.
pub(crate) fn create<I: ObjectId>(storage: &dyn Storage, bytes: &[u8]) -> Result<I> {
    let mut upload = storage.begin()?;
    upload.write_all(bytes).map_err(|error| Error::from_stream("write", error))?;
    publish(storage, upload, ObjectDigest::of(bytes))
}

/// All of an object whose name is the hash of its bytes, which is verified. [`Error::Corrupt`] if it
/// is longer than `limit_bytes`.
pub(crate) fn read<I: ObjectId>(
    storage: &dyn Storage,
    id: &I,
    limit_bytes: usize,
) -> Result<Vec<u8>> {
    let key = id.key()?;
    let bytes = read_limited(storage, &key, limit_bytes)?;
    if ObjectDigest::of(&bytes).sha256 != *id.sha256() {
        return Err(Error::corrupt(&key, "its SHA-256 is not its name"));
    }
    Ok(bytes)
}

/// All of an object; [`Error::Corrupt`] if it is longer than `limit_bytes`.
pub(crate) fn read_limited(
    storage: &dyn Storage,
    key: &Key,
    limit_bytes: usize,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let range = 0..(limit_bytes as u64).saturating_add(1);
    storage
        .read(key, Some(range))?
        .read_to_end(&mut bytes)
        .map_err(|error| Error::from_stream("read", error))?;
    if bytes.len() > limit_bytes {
        return Err(Error::corrupt(key, format!("longer than {limit_bytes} bytes")));
    }
    Ok(bytes)
}

fn digest_of(storage: &dyn Storage, key: &Key) -> Result<ObjectDigest> {
    let mut reader = HashingReader::new(storage.read(key, None)?);
    std::io::copy(&mut reader, &mut std::io::sink())
        .map_err(|error| Error::from_stream("read", error))?;
    Ok(reader.finish().1)
}
