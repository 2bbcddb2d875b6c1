//! Documents as objects: plain JSON, and sealed JSON.

use std::io::Read;

use lifeboat_storage::{Key, Storage, seal_bytes, unseal_bytes, x25519};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, Secrets};

/// No document is larger than this: a manifest names each part of each file that a restore needs.
pub(crate) const DOCUMENT_BYTES: usize = 256 << 20;

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

/// Reads a plain JSON document.
pub(crate) fn read_plain_json<T: DeserializeOwned>(storage: &dyn Storage, key: &Key) -> Result<T> {
    let bytes = read_object(storage, key, DOCUMENT_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Json { key: key.clone(), source })
}

/// Writes a plain JSON document.
pub(crate) fn put_plain_json(storage: &dyn Storage, key: &Key, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|source| Error::Json { key: key.clone(), source })?;
    Ok(storage.put(key, &bytes)?)
}

/// Reads a sealed object as plain bytes.
pub(crate) fn read_sealed(storage: &dyn Storage, key: &Key, secrets: &Secrets) -> Result<Vec<u8>> {
    let sealed = read_object(storage, key, DOCUMENT_BYTES)?;
    unseal_bytes(&sealed, secrets.identities(), DOCUMENT_BYTES)
        .map_err(|source| Error::Sealed { key: key.clone(), source })
}

/// Reads a sealed JSON document.
pub(crate) fn read_sealed_json<T: DeserializeOwned>(
    storage: &dyn Storage,
    key: &Key,
    secrets: &Secrets,
) -> Result<T> {
    let bytes = read_sealed(storage, key, secrets)?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Json { key: key.clone(), source })
}

/// Writes sealed bytes.
pub(crate) fn put_sealed(
    storage: &dyn Storage,
    key: &Key,
    plain: &[u8],
    recipient: &x25519::Recipient,
) -> Result<()> {
    let sealed = seal_bytes(plain, std::slice::from_ref(recipient))?;
    Ok(storage.put(key, &sealed)?)
}
