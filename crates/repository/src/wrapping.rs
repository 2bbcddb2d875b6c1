//! `identities/<gen>-<id>.age`: the secrets, wrapped for a password or a person.

use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{
    Key, Storage, decrypt_bytes, encrypt_bytes, unwrap_with_passphrase, wrap_with_passphrase,
    x25519,
};

use crate::create::create;
use crate::document::{key, read_object};
use crate::identity::Unwrapped;
use crate::{Error, KeyId, Result, Secrets, Time};

/// A wrapped identity holds one short line for each generation.
const IDENTITY_BYTES: usize = 1 << 20;

/// What unwraps the secrets.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A password.
    Password(&'a SecretString),
    /// The age secret keys of a person.
    Identities(&'a [x25519::Identity]),
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Password(_) => "Password",
            Self::Identities(_) => "Identities",
        })
    }
}

impl<'a> From<&'a SecretString> for Credential<'a> {
    fn from(password: &'a SecretString) -> Self {
        Self::Password(password)
    }
}

/// For whom secrets are wrapped.
#[derive(Clone, Copy)]
pub enum Holder<'a> {
    /// Whoever knows this password.
    Password(&'a SecretString),
    /// Whoever has the secret of this age recipient.
    Person(&'a x25519::Recipient),
}

impl std::fmt::Debug for Holder<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password(_) => formatter.write_str("Password"),
            Self::Person(recipient) => write!(formatter, "Person({recipient})"),
        }
    }
}

/// The name of a wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WrappingName {
    /// The newest generation that it opens.
    pub generation: u32,
    /// Its id.
    pub id: KeyId,
}

/// One wrapping of the secrets, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapping {
    /// Its name.
    pub name: WrappingName,
    /// What it is called in listings.
    pub label: Option<String>,
    /// The person's age recipient; `None` for a password.
    pub recipient: Option<String>,
    /// When it was made.
    pub created: Option<Time>,
}

impl WrappingName {
    /// Reads `identities/<gen>-<id>.age`; `None` for any other key.
    pub fn parse(key: &Key) -> Option<Self> {
        let name = key.as_str().strip_prefix("identities/")?.strip_suffix(".age")?;
        let (generation, id) = name.split_once('-')?;
        if generation.len() != 4 || !generation.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let generation = generation.parse().ok().filter(|generation| *generation > 0)?;
        Some(Self { generation, id: id.parse().ok()? })
    }

    /// The key of the object.
    pub fn key(&self) -> Result<Key> {
        key(format!("identities/{:04}-{}.age", self.generation, self.id))
    }
}

/// The names of all wrappings, oldest generation first, and when the storage got them.
pub(crate) fn list(storage: &dyn Storage) -> Result<Vec<(WrappingName, Time)>> {
    let entries = storage.list(Some(&key("identities")?))?;
    let named = entries.into_iter().filter_map(|entry| {
        Some((WrappingName::parse(&entry.key)?, Time::from_system(entry.modified)))
    });
    Ok(named.collect())
}

/// Reads a wrapping as it is stored.
pub(crate) fn read(storage: &dyn Storage, name: WrappingName) -> Result<Vec<u8>> {
    read_object(storage, &name.key()?, IDENTITY_BYTES)
}

/// Unwraps one. The error is the storage's: it says whether it is the credential or the object.
pub(crate) fn unwrap(
    bytes: &[u8],
    credential: Credential<'_>,
) -> lifeboat_storage::Result<Vec<u8>> {
    match credential {
        Credential::Password(password) => unwrap_with_passphrase(bytes, password),
        Credential::Identities(identities) => decrypt_bytes(bytes, identities, IDENTITY_BYTES),
    }
}

impl Secrets {
    /// Writes the secrets wrapped for a holder, and makes sure that they can be had from it.
    ///
    /// A person's wrapping is encrypted for the newest generation too: so whoever has the secrets
    /// can read for whom it is, and a rotation can wrap for that person again.
    pub(crate) fn wrap(
        &self,
        storage: &dyn Storage,
        holder: Holder<'_>,
        label: &str,
    ) -> Result<Wrapping> {
        let generation = u32::try_from(self.generations()).unwrap_or(u32::MAX);
        let name = WrappingName { generation, id: KeyId::random() };
        let recipient = match holder {
            Holder::Password(_) => None,
            Holder::Person(recipient) => Some(recipient.to_string()),
        };
        let label = Some(label.to_owned());
        let wrapping = Wrapping { name, label, recipient, created: Some(Time::now()) };
        let text = self.to_text(&wrapping);
        let wrapped = match holder {
            Holder::Password(password) => wrap_with_passphrase(text.as_bytes(), password)?,
            Holder::Person(person) => {
                encrypt_bytes(text.as_bytes(), &[person.clone(), self.newest().to_public()])?
            }
        };
        let key = name.key()?;
        create(storage, &key, &wrapped)?;
        let own = std::slice::from_ref(self.newest());
        let credential = match holder {
            Holder::Password(password) => Credential::Password(password),
            Holder::Person(_) => Credential::Identities(own),
        };
        let read = unwrap(&read(storage, name)?, credential)
            .map_err(|source| Error::Sealed { key: key.clone(), source })?;
        if self.hold_all(&Unwrapped::parse(&key, name, &read)?.identities) {
            Ok(wrapping)
        } else {
            Err(Error::corrupt(&key, "it holds other secrets than were written"))
        }
    }
}
