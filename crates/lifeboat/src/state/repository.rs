//! What this host knows of a repository.

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat_storage::secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file::{load, save};
use crate::{Error, Result};

/// Remembered at first use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepositoryState {
    /// Where it was last seen.
    pub(crate) location: String,
    /// Whom backups are sealed for. Whoever can write to the repository could put their own key
    /// there; a change is refused until the password shows that it is the owner's.
    #[serde(default)]
    pub(crate) recipient: Option<String>,
    /// Shows that a password, or the file of a person's key, was verified before.
    #[serde(default)]
    pub(crate) password: Option<PasswordMark>,
    /// The public keys with which hosts, as they stand in keys, sign their manifests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) hosts: BTreeMap<String, Vec<String>>,
}

/// 16 bits of a salted hash: enough to notice a wrong password where none is needed, and of no use
/// for guessing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PasswordMark {
    salt: String,
    mark: u16,
}

impl RepositoryState {
    pub(super) fn load(path: &Path) -> Result<Self> {
        Ok(load(path)?.unwrap_or_default())
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        save(path, self)
    }

    /// Whether a host is known by some key already, or gets this one.
    pub(crate) fn pin_first(&mut self, host: &str, public: &str) {
        self.hosts.entry(host.to_owned()).or_insert_with(|| vec![public.to_owned()]);
    }

    /// Lets one more key sign for a host.
    pub(crate) fn pin(&mut self, host: &str, public: &str) {
        let keys = self.hosts.entry(host.to_owned()).or_default();
        if !keys.iter().any(|known| known == public) {
            keys.push(public.to_owned());
        }
    }

    /// Whether this password was verified before.
    pub(crate) fn knows(&self, password: &SecretString) -> bool {
        self.password.as_ref().is_some_and(|known| known.mark == mark(&known.salt, password))
    }

    /// Remembers a password that was verified.
    pub(crate) fn learn(&mut self, password: &SecretString) -> Result<()> {
        let salt = getrandom::u64()
            .map_err(|error| Error::file("generate", Path::new("a salt"))(error.into()))?;
        let salt = format!("{salt:016x}");
        self.password = Some(PasswordMark { mark: mark(&salt, password), salt });
        Ok(())
    }
}

fn mark(salt: &str, password: &SecretString) -> u16 {
    let hash = Sha256::new().chain_update(salt).chain_update(password.expose_secret()).finalize();
    u16::from_be_bytes([hash[0], hash[1]])
}
