//! Objects are created, never overwritten.
//!
//! A storage that lost its answer to a first try refuses the second: then the name is taken by the
//! very bytes that were to be written, and the write has succeeded. Other bytes belong to someone
//! else, and [`lifeboat_storage::Error::Exists`] stands.

use std::time::SystemTime;

use lifeboat_storage::{Content, Error, HashingReader, Key, ObjectDigest, Storage, Upload};

use crate::Result;

/// Creates an object of `bytes`.
pub(crate) fn create(storage: &dyn Storage, key: &Key, bytes: &[u8]) -> Result<()> {
    let written = storage.put(key, bytes);
    unless_there(storage, key, written, || ObjectDigest::of(bytes))
}

/// Gives an upload, whose bytes have this digest, its name, and looks whether all of it is there: a
/// storage that takes an object for whole although it was cut short would be believed until somebody
/// reads that.
///
/// [`crate::Error::Corrupt`] if it is not.
pub(crate) fn publish(
    storage: &dyn Storage,
    key: &Key,
    upload: Box<dyn Upload>,
    digest: ObjectDigest,
) -> Result<()> {
    unless_there(storage, key, upload.publish(key), || digest)?;
    must_be_there(storage, key, digest)
}

/// The same, of what can be read again; `modified` as in [`Upload::set_modified`].
pub(crate) fn publish_content(
    storage: &dyn Storage,
    key: &Key,
    content: &dyn Content,
    digest: ObjectDigest,
    modified: Option<SystemTime>,
) -> Result<()> {
    unless_there(storage, key, storage.put_content(key, content, modified), || digest)?;
    must_be_there(storage, key, digest)
}

fn must_be_there(storage: &dyn Storage, key: &Key, digest: ObjectDigest) -> Result<()> {
    let detail = match storage.stat(key)? {
        Some(entry) if entry.size == digest.size => return Ok(()),
        Some(entry) => format!("expected {} bytes, found {}", digest.size, entry.size),
        None => "it is missing".to_owned(),
    };
    Err(crate::Error::corrupt(key, format!("just written, {detail}")))
}

fn unless_there(
    storage: &dyn Storage,
    key: &Key,
    written: lifeboat_storage::Result<()>,
    digest: impl FnOnce() -> ObjectDigest,
) -> Result<()> {
    match written {
        Err(Error::Exists { .. }) if digest_of(storage, key)? == digest() => Ok(()),
        other => Ok(other?),
    }
}

/// Size and SHA-256 of an object.
pub(crate) fn digest_of(
    storage: &dyn Storage,
    key: &Key,
) -> lifeboat_storage::Result<ObjectDigest> {
    let mut reader = HashingReader::new(storage.read(key, None)?);
    std::io::copy(&mut reader, &mut std::io::sink())
        .map_err(|error| Error::from_stream("read", error))?;
    Ok(reader.finish().1)
}
