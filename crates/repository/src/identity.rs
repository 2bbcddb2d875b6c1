//! `identities/<gen>-<id>.age`: the secrets, wrapped for a password or a person.

use lifeboat_storage::secrecy::{ExposeSecret, SecretString};
use lifeboat_storage::{Key, Storage, unwrap_with_passphrase, wrap_with_passphrase, x25519};

use crate::create::create;
use crate::ids::random_u64;
use crate::sealed::{key, read_object};
use crate::{Error, Result};

/// A wrapped identity holds one short line for each generation.
const IDENTITY_BYTES: usize = 1 << 20;

/// The secrets that open the objects of a repository: one for each generation, oldest first.
pub struct Secrets {
    identities: Vec<x25519::Identity>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Secrets({})", self.identities.len())
    }
}

impl Secrets {
    /// The secret of a first generation.
    pub(crate) fn generate() -> Self {
        Self { identities: vec![x25519::Identity::generate()] }
    }

    /// The public keys of all generations.
    pub(crate) fn recipients(&self) -> Vec<x25519::Recipient> {
        self.identities.iter().map(x25519::Identity::to_public).collect()
    }

    pub(crate) fn identities(&self) -> &[x25519::Identity] {
        &self.identities
    }

    /// Writes the secrets wrapped for a password; `label` names it in listings.
    pub(crate) fn wrap(
        &self,
        storage: &dyn Storage,
        password: &SecretString,
        label: &str,
    ) -> Result<()> {
        let mut text = format!("# label: {}\n", label.replace(['\n', '\r'], " "));
        for identity in &self.identities {
            text.push_str(identity.to_string().expose_secret());
            text.push('\n');
        }
        let wrapped = wrap_with_passphrase(text.as_bytes(), password)?;
        let generation = self.identities.len();
        let key = key(format!("identities/{generation:04}-{:016x}.age", random_u64()))?;
        create(storage, &key, &wrapped)
    }

    /// Unwraps the newest identity that the password opens.
    ///
    /// [`Error::WrongPassword`] if it opens none.
    pub(crate) fn unlock(storage: &dyn Storage, password: &SecretString) -> Result<Self> {
        let mut refused = None;
        // The newest generation first: it holds the secrets of all before it.
        for key in Self::keys(storage)?.iter().rev() {
            let bytes = read_object(storage, key, IDENTITY_BYTES)?;
            match unwrap_with_passphrase(&bytes, password) {
                Ok(text) => return Self::parse(key, &text),
                Err(lifeboat_storage::Error::WrongPassphrase) => {
                    let location = storage.location();
                    refused.get_or_insert(Error::WrongPassword { location });
                }
                // Wrapped for a person's key: not for a password to open.
                Err(lifeboat_storage::Error::NotForUs) => {}
                // Perhaps the very one that the password would have opened.
                Err(source) => refused = Some(Error::Sealed { key: key.clone(), source }),
            }
        }
        Err(refused.unwrap_or_else(|| Error::NoIdentity { location: storage.location() }))
    }

    /// The keys of all wrapped identities, by generation.
    pub(crate) fn keys(storage: &dyn Storage) -> Result<Vec<Key>> {
        let entries = storage.list(Some(&key("identities")?))?;
        Ok(entries.into_iter().map(|entry| entry.key).filter(is_identity).collect())
    }

    fn parse(key: &Key, text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|_| Error::corrupt(key, "it is not text"))?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Vec<x25519::Identity> = lines
            .map(|line| line.parse().map_err(|reason: &str| Error::corrupt(key, reason)))
            .collect::<Result<_>>()?;
        if identities.is_empty() {
            return Err(Error::corrupt(key, "it holds no identity"));
        }
        Ok(Self { identities })
    }
}

/// Whether a key is `identities/<gen>-<id>.age`.
fn is_identity(key: &Key) -> bool {
    let name = key.as_str().strip_prefix("identities/").and_then(|name| name.strip_suffix(".age"));
    name.and_then(|name| name.split_once('-')).is_some_and(|(generation, id)| {
        generation.len() == 4
            && generation.bytes().all(|byte| byte.is_ascii_digit())
            && id.len() == 16
            && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}
