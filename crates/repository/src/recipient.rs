//! `recipients/<gen>.json`: whom objects are sealed for.

use lifeboat_storage::{Key, Storage, x25519};
use serde::{Deserialize, Serialize};

use crate::sealed::{key, read_plain_json};
use crate::{Error, Result, Time};

/// The public key of one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The generation, from 1.
    pub generation: u32,
    /// The age recipient, `age1…`.
    pub recipient: String,
    /// When it was made.
    pub created: Time,
}

impl Recipient {
    pub(crate) fn new(generation: u32, recipient: &x25519::Recipient) -> Self {
        Self { generation, recipient: recipient.to_string(), created: Time::now() }
    }

    pub(crate) fn key(generation: u32) -> Result<Key> {
        key(format!("recipients/{generation:04}.json"))
    }

    /// The key to seal with.
    pub(crate) fn public_key(&self) -> Result<x25519::Recipient> {
        self.recipient.parse().map_err(|reason: &str| Error::Corrupt {
            key: Self::key(self.generation).unwrap_or_else(|error| panic!("{error}")),
            detail: format!("its recipient is unusable: {reason}"),
        })
    }

    /// The recipient of the highest generation.
    pub(crate) fn current(storage: &dyn Storage) -> Result<Self> {
        let directory = key("recipients")?;
        let newest = storage
            .list_names(Some(&directory))?
            .into_iter()
            .map(|child| child.key().clone())
            .filter(|key| generation(key).is_some())
            .max();
        let Some(key) = newest else {
            return Err(Error::corrupt(&directory, "there is no recipient"));
        };
        let recipient: Self = read_plain_json(storage, &key)?;
        if Some(recipient.generation) != generation(&key) {
            return Err(Error::corrupt(&key, format!("it names generation {}", recipient.generation)));
        }
        Ok(recipient)
    }
}

fn generation(key: &Key) -> Option<u32> {
    let digits = key.file_name().strip_suffix(".json")?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
