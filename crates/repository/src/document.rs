//! Documents as objects: plain JSON, and JSON that is compressed and, in form `sealed`, encrypted.

use std::io::Read;

use lifeboat_storage::{
    Key, Storage, compress_bytes, decompress_bytes, seal_bytes, unseal_bytes, x25519,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::create::create;
use crate::form::is_sealed;
use crate::{Error, Result, Secrets};

/// No sealed document is larger than this: a manifest names each part of each file that a restore
/// needs, some 200 bytes for 256 MiB.
pub(crate) const DOCUMENT_BYTES: usize = 64 << 20;
/// No plain document is, which anyone who can write to the storage may have made.
const PLAIN_DOCUMENT_BYTES: usize = 1 << 20;

/// A key from a text of ours.
pub(crate) fn key(text: impl AsRef<str>) -> Result<Key> {
    Ok(text.as_ref().parse::<Key>()?)
}

/// Reads a whole object.
pub(crate) fn read_object(storage: &dyn Storage, key: &Key, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    storage
        .read(key, None)?
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| lifeboat_storage::Error::from_stream("read", error))?;
    if bytes.len() > limit {
        return Err(Error::corrupt(key, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Parses a JSON document.
pub(crate) fn parse_json<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { key: key.clone(), source })
}

/// Parses a JSON document with a `version`, of which only `newest` and those before it are known.
/// The version is looked at first: a newer document may have another shape.
pub(crate) fn parse_versioned<T: DeserializeOwned>(
    storage: &dyn Storage,
    key: &Key,
    bytes: &[u8],
    newest: u32,
) -> Result<T> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let Versioned { version } = parse_json(key, bytes)?;
    if version > u64::from(newest) {
        let feature = format!("version {version} of {key}");
        return Err(Error::UnknownFeature { location: storage.location(), feature });
    }
    parse_json(key, bytes)
}

/// The JSON of a document.
pub(crate) fn to_json(key: &Key, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| Error::Json { key: key.clone(), source })
}

/// Reads a plain document.
pub(crate) fn read_plain(storage: &dyn Storage, key: &Key) -> Result<Vec<u8>> {
    read_object(storage, key, PLAIN_DOCUMENT_BYTES)
}

/// Writes a plain JSON document.
pub(crate) fn put_plain_json(
    storage: &dyn Storage,
    key: &Key,
    value: &impl Serialize,
) -> Result<()> {
    create(storage, key, &to_json(key, value)?)
}

/// Reads a document as plain bytes. Its name says whether secrets are needed.
pub(crate) fn read_document(
    storage: &dyn Storage,
    key: &Key,
    secrets: &Secrets,
) -> Result<Vec<u8>> {
    let stored = read_object(storage, key, DOCUMENT_BYTES)?;
    let plain = if is_sealed(key) {
        unseal_bytes(&stored, secrets.identities(), DOCUMENT_BYTES)
    } else {
        decompress_bytes(&stored, DOCUMENT_BYTES)
    };
    plain.map_err(|source| Error::Sealed { key: key.clone(), source })
}

/// Writes a document, sealed for the recipient, if there is one.
pub(crate) fn put_document(
    storage: &dyn Storage,
    key: &Key,
    plain: &[u8],
    recipient: Option<&x25519::Recipient>,
) -> Result<()> {
    let stored = match recipient {
        Some(recipient) => seal_bytes(plain, std::slice::from_ref(recipient))?,
        None => compress_bytes(plain)?,
    };
    create(storage, key, &stored)
}
