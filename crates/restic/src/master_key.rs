//! The key that everything in a repository is sealed with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lifeboat_storage::secrecy::zeroize::{Zeroize, Zeroizing};
use serde::{Deserialize, Serialize};

use crate::cipher::fill_random;
use crate::{Error, Result};

const ENCRYPT_BYTES: usize = 32;
const MAC_BYTES: usize = 16;
/// Length of a key in bytes.
pub(crate) const KEY_BYTES: usize = ENCRYPT_BYTES + 2 * MAC_BYTES;
/// The bits of `r` that Poly1305 uses.
const R_MASK: u128 = 0x0ffffffc_0ffffffc_0ffffffc_0fffffff;

/// The master key of a repository: 32 bytes for AES-256 and twice 16 for Poly1305-AES. Whoever has it
/// reads all and writes what is taken for genuine. Wiped from memory when dropped; `Debug` shows
/// nothing of it.
#[derive(Clone)]
pub struct MasterKey {
    encrypt: [u8; ENCRYPT_BYTES],
    mac_k: [u8; MAC_BYTES],
    mac_r: [u8; MAC_BYTES],
}

/// As restic writes it, in base64.
#[derive(Serialize, Deserialize)]
struct KeyJson {
    mac: MacJson,
    encrypt: String,
}

#[derive(Serialize, Deserialize)]
struct MacJson {
    k: String,
    r: String,
}

impl MasterKey {
    /// A new one.
    pub fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill_random(&mut *bytes)?;
        Ok(Self::of_secret(&bytes))
    }

    /// Of 64 bytes that only the owner can know, and that nobody can tell from random ones.
    #[must_use]
    pub fn of_secret(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key = Self::from_bytes(bytes);
        key.mac_r = (u128::from_le_bytes(key.mac_r) & R_MASK).to_le_bytes();
        key
    }

    /// A key of what scrypt derived from a password, in restic's order: encrypt, k, r.
    pub(crate) fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let mut key =
            Self { encrypt: [0; ENCRYPT_BYTES], mac_k: [0; MAC_BYTES], mac_r: [0; MAC_BYTES] };
        let (encrypt, mac) = bytes.split_at(ENCRYPT_BYTES);
        let (mac_k, mac_r) = mac.split_at(MAC_BYTES);
        key.encrypt.copy_from_slice(encrypt);
        key.mac_k.copy_from_slice(mac_k);
        key.mac_r.copy_from_slice(mac_r);
        key
    }

    /// restic's JSON: `{"mac":{"k":…,"r":…},"encrypt":…}` in base64, as `restic cat masterkey` prints.
    pub fn to_json(&self) -> Result<Zeroizing<String>> {
        let json = KeyJson {
            mac: MacJson { k: STANDARD.encode(self.mac_k), r: STANDARD.encode(self.mac_r) },
            encrypt: STANDARD.encode(self.encrypt),
        };
        serde_json::to_string(&json)
            .map(Zeroizing::new)
            .map_err(|error| Error::corrupt("the master key", error.to_string()))
    }

    /// The key that [`MasterKey::to_json`], or restic, wrote. [`Error::Corrupt`] unless it has all
    /// parts in their lengths.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        // What serde says of a mistake would show the text where it is.
        let json: KeyJson =
            serde_json::from_slice(json).map_err(|_| corrupt("not the JSON of a restic key"))?;
        Ok(Self {
            encrypt: decode(&json.encrypt)?,
            mac_k: decode(&json.mac.k)?,
            mac_r: decode(&json.mac.r)?,
        })
    }

    pub(crate) fn encrypt(&self) -> &[u8; ENCRYPT_BYTES] {
        &self.encrypt
    }

    pub(crate) fn mac_k(&self) -> &[u8; MAC_BYTES] {
        &self.mac_k
    }

    pub(crate) fn mac_r(&self) -> &[u8; MAC_BYTES] {
        &self.mac_r
    }
}

fn corrupt(problem: &str) -> Error {
    Error::corrupt("the master key", problem)
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N]> {
    let bytes = STANDARD.decode(text).map_err(|_| corrupt("a part is not base64"))?;
    Zeroizing::new(bytes).as_slice().try_into().map_err(|_| corrupt("a part has another length"))
}

impl Drop for KeyJson {
    fn drop(&mut self) {
        self.mac.k.zeroize();
        self.mac.r.zeroize();
        self.encrypt.zeroize();
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.encrypt.zeroize();
        self.mac_k.zeroize();
        self.mac_r.zeroize();
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_after_json() {
        let key = MasterKey::random().unwrap();
        let again = MasterKey::from_json(key.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(
            (again.encrypt(), again.mac_k(), again.mac_r()),
            (key.encrypt(), key.mac_k(), key.mac_r())
        );
        let other = MasterKey::random().unwrap();
        assert_ne!(other.encrypt(), key.encrypt());
    }

    #[test]
    fn refuses_parts_of_other_lengths_and_shows_nothing() {
        let key = MasterKey::random().unwrap();
        let json = key.to_json().unwrap();
        let part = STANDARD.encode(key.mac_k());
        for other in [STANDARD.encode([1; 15]), STANDARD.encode([1; 17]), "!".to_owned()] {
            let error = MasterKey::from_json(json.replace(&part, &other).as_bytes()).unwrap_err();
            assert!(!error.to_string().contains(&other), "{error}");
        }
        assert!(MasterKey::from_json(b"{}").is_err());
        assert_eq!(format!("{key:?}"), "MasterKey { .. }");
    }
}
