//! Who this host is.

use std::path::Path;

use lifeboat_repository::HostKey;
use serde::{Deserialize, Serialize};

use super::file::{load, save};
use crate::{Error, Result};

/// The identity of a state directory.
#[derive(Debug)]
pub(crate) struct Host {
    /// 16 hex digits: the node that writes lineages.
    pub(crate) node: String,
    /// Signs manifests.
    pub(crate) key: HostKey,
}

#[derive(Serialize, Deserialize)]
struct HostFile {
    node: String,
    signing_key: String,
}

impl Host {
    /// Reads the identity, or draws one.
    pub(super) fn load(path: &Path) -> Result<Self> {
        if let Some(host) = Self::find(path)? {
            return Ok(host);
        }
        let file = HostFile::draw(path)?;
        save(path, &file)?;
        Self::of(&file, path)
    }

    /// Reads the identity, if there is one.
    pub(super) fn find(path: &Path) -> Result<Option<Self>> {
        load(path)?.map(|file| Self::of(&file, path)).transpose()
    }

    /// An identity that is not kept: of a host that only looks.
    pub(crate) fn passing() -> Result<Self> {
        let path = Path::new("an identity");
        Self::of(&HostFile::draw(path)?, path)
    }

    fn of(file: &HostFile, path: &Path) -> Result<Self> {
        let damaged =
            || Error::State { path: path.to_owned(), detail: "its signing key is no key".into() };
        let mut secret = [0; 32];
        if file.signing_key.len() != 64 || !file.signing_key.is_ascii() || file.node.len() != 16 {
            return Err(damaged());
        }
        for (at, byte) in secret.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&file.signing_key[2 * at..2 * at + 2], 16)
                .map_err(|_| damaged())?;
        }
        Ok(Self { node: file.node.clone(), key: HostKey::from_bytes(&secret) })
    }

    /// The name of a host that was given none: every Raspberry Pi calls itself `raspberrypi`.
    pub(crate) fn default_name(&self) -> String {
        format!("{}-{}", hostname(), &self.node[..4])
    }
}

impl HostFile {
    fn draw(path: &Path) -> Result<Self> {
        Ok(Self { node: random_hex(8, path)?, signing_key: random_hex(32, path)? })
    }
}

/// What the machine calls itself.
pub(crate) fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    if name.is_empty() { "host".to_owned() } else { name }
}

fn random_hex(bytes: usize, path: &Path) -> Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).map_err(|error| Error::file("generate", path)(error.into()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
