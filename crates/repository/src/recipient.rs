//! `recipients/<gen>.json`: whom objects are sealed for.

use lifeboat_storage::{Key, Storage, x25519};
use serde::{Deserialize, Serialize};

use crate::document::{key, parse_json, put_plain_json, read_plain};
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

    /// Begins a generation, the current one from now on.
    ///
    /// [`Error::GenerationTaken`] if another has begun it.
    pub(crate) fn begin(&self, storage: &dyn Storage) -> Result<()> {
        match put_plain_json(storage, &Self::key(self.generation)?, self) {
            Err(Error::Storage(lifeboat_storage::Error::Exists { .. })) => {
                let (location, generation) = (storage.location(), self.generation);
                Err(Error::GenerationTaken { location, generation })
            }
            written => written,
        }
    }

    /// The recipient of the highest generation, and the key to seal with.
    pub(crate) fn current(storage: &dyn Storage) -> Result<(Self, x25519::Recipient)> {
        let directory = key("recipients")?;
        let entries = storage.list(Some(&directory))?;
        let keys = entries.into_iter().map(|entry| entry.key);
        let newest = keys.filter_map(|key| Some((generation(&key)?, key))).max();
        let Some((generation, key)) = newest else {
            return Err(Error::corrupt(&directory, "there is no recipient"));
        };
        let recipient: Self = parse_json(&key, &read_plain(storage, &key)?)?;
        if recipient.generation != generation {
            let detail = format!("it names generation {}", recipient.generation);
            return Err(Error::corrupt(&key, detail));
        }
        let public_key = recipient.recipient.parse().map_err(|reason: &str| {
            Error::corrupt(&key, format!("its recipient is unusable: {reason}"))
        })?;
        Ok((recipient, public_key))
    }
}

/// The generation in a recipient's name.
fn generation(key: &Key) -> Option<u32> {
    let digits = key.as_str().strip_prefix("recipients/")?.strip_suffix(".json")?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|generation| *generation > 0)
}
