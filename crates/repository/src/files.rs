//! The files part: a restic repository beside the databases (`config`, `keys/`, `data/`, `index/`,
//! `snapshots/`, `locks/`), whose master key follows from the secret of the first generation.
//!
//! Whoever opens the one opens the other, so there is no second secret to keep, and nobody who can only write to
//! the storage can put a key of their own there. restic itself asks for a password: for each password that opens
//! the repository there is a file in `keys/`, named by its `hostname` after the wrapping of that password.

pub(crate) mod check;
mod keys;
mod promised;
mod prune;

use lifeboat_restic::{Config, MasterKey, ResticRepository, exists};
use lifeboat_storage::secrecy::ExposeSecret;
use sha2::{Digest, Sha512};

pub use self::promised::{PromisedSnapshots, SNAPSHOT_TAG, snapshot_tags};
pub use self::prune::{FilesPrunePlan, FilesPruned};

use crate::{Error, Repository, Result, Secrets};

/// Keeps the derivation apart from any other use of the secret.
const DOMAIN: &str = "lifeboat restic master key\n";

impl Secrets {
    /// The master key of the files part: SHA-512 over a line that names the purpose, and the secret of the first
    /// generation as age writes it, with a newline. A rotation leaves it, as restic has none.
    fn master_key(&self) -> Option<MasterKey> {
        let first = self.identities().first()?.to_string();
        let hash = Sha512::new()
            .chain_update(DOMAIN)
            .chain_update(first.expose_secret())
            .chain_update("\n")
            .finalize();
        Some(MasterKey::of_secret(&hash.into()))
    }
}

impl Repository {
    /// Opens the files part; `None` if nothing was ever stored there, as where nothing is sealed.
    pub fn files(&self, secrets: &Secrets) -> Result<Option<ResticRepository>> {
        if !self.form().is_sealed() || !exists(self.storage())? {
            return Ok(None);
        }
        let key = self.master_key(secrets)?;
        Ok(Some(ResticRepository::open(self.storage().clone(), key)?))
    }

    /// Opens the files part, or makes it.
    ///
    /// [`Error::NoFiles`] where nothing is sealed: such a repository has none.
    pub fn files_or_new(&self, secrets: &Secrets) -> Result<ResticRepository> {
        self.files_or_made(secrets, Config::random)
    }

    /// The same; a new one cuts files where `other` does, so that what both have is the same pieces.
    pub fn files_or_like(
        &self,
        secrets: &Secrets,
        other: &ResticRepository,
    ) -> Result<ResticRepository> {
        let polynomial = other.config().chunker_polynomial;
        self.files_or_made(secrets, || Config::with_polynomial(polynomial))
    }

    fn files_or_made(
        &self,
        secrets: &Secrets,
        config: impl FnOnce() -> lifeboat_restic::Result<Config>,
    ) -> Result<ResticRepository> {
        self.require_writable()?;
        let key = self.master_key(secrets)?;
        if !exists(self.storage())? {
            let config = config()?;
            match ResticRepository::init(self.storage().clone(), key.clone(), &config) {
                // Another host was faster.
                Err(lifeboat_restic::Error::AlreadyInitialized { .. }) => {}
                made => return Ok(made?),
            }
        }
        Ok(ResticRepository::open(self.storage().clone(), key)?)
    }

    fn master_key(&self, secrets: &Secrets) -> Result<MasterKey> {
        let none = || Error::NoFiles { location: self.location() };
        secrets.master_key().filter(|_| self.form().is_sealed()).ok_or_else(none)
    }
}
