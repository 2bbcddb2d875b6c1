//! A repository that was opened.

use std::sync::Arc;

use lifeboat_storage::{Error as StorageError, Storage};

use crate::cipher::{Cipher, NONCE_BYTES};
use crate::config::VERSION;
use crate::layout::config_key;
use crate::{Config, Error, MasterKey, Result, object};

/// `config` is some 150 bytes, with what other programs add some hundreds.
const CONFIG_LIMIT_BYTES: usize = 1024 * 1024;

/// A restic repository with the key that opens it.
#[derive(Clone, Debug)]
pub struct ResticRepository {
    storage: Arc<dyn Storage>,
    key: MasterKey,
    cipher: Arc<Cipher>,
    config: Config,
}

/// Whether there is a repository.
pub fn exists(storage: &dyn Storage) -> Result<bool> {
    Ok(storage.stat(&config_key()?)?.is_some())
}

impl ResticRepository {
    /// Makes a repository: its `config`. Where it is to be opened with a password, write a key file
    /// first, as restic does: then `config`, which makes it a repository, comes last.
    ///
    /// [`Error::AlreadyInitialized`] if there is one, also if another process makes it at this moment.
    pub fn init(storage: Arc<dyn Storage>, key: MasterKey, config: &Config) -> Result<Self> {
        check_version(&*storage, config)?;
        let mut sealed = vec![0; NONCE_BYTES];
        serde_json::to_writer(&mut sealed, config)
            .map_err(|error| Error::corrupt("config", error.to_string()))?;
        let cipher = Cipher::new(&key);
        cipher.seal(&mut sealed)?;
        match storage.put(&config_key()?, &sealed) {
            Ok(()) => {}
            // A storage that lost its answer to a first try refuses the second. The nonce is random:
            // the same bytes are ours.
            Err(StorageError::Exists { .. })
                if object::read_limited(&*storage, &config_key()?, CONFIG_LIMIT_BYTES)?
                    == sealed => {}
            Err(StorageError::Exists { .. }) => {
                return Err(Error::AlreadyInitialized { location: storage.location() });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Self { storage, key, cipher: Arc::new(cipher), config: config.clone() })
    }

    /// Opens a repository. [`Error::NoRepository`]; [`Error::WrongKey`], also if its `config` is
    /// damaged, which cannot be told apart; [`Error::UnknownVersion`].
    pub fn open(storage: Arc<dyn Storage>, key: MasterKey) -> Result<Self> {
        let location = || storage.location();
        let mut sealed = match object::read_limited(&*storage, &config_key()?, CONFIG_LIMIT_BYTES) {
            Err(Error::Storage(StorageError::NotFound { .. })) => {
                return Err(Error::NoRepository { location: location() });
            }
            other => other?,
        };
        let cipher = Cipher::new(&key);
        let plain =
            cipher.open(&mut sealed).ok_or_else(|| Error::WrongKey { location: location() })?;
        let config: Config = serde_json::from_slice(plain)
            .map_err(|error| Error::corrupt("config", error.to_string()))?;
        check_version(&*storage, &config)?;
        Ok(Self { storage, key, cipher: Arc::new(cipher), config })
    }

    /// Where its objects are.
    #[must_use]
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// The key that opens it.
    #[must_use]
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// What it says of itself.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn cipher(&self) -> &Arc<Cipher> {
        &self.cipher
    }
}

fn check_version(storage: &dyn Storage, config: &Config) -> Result<()> {
    if config.version == VERSION {
        return Ok(());
    }
    Err(Error::UnknownVersion { location: storage.location(), version: config.version })
}
