//! Key files: the master key, sealed with what scrypt makes of a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lifeboat_storage::Storage;
use lifeboat_storage::secrecy::zeroize::Zeroizing;
use lifeboat_storage::secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::cipher::{Cipher, NONCE_BYTES, fill_random};
use crate::layout::{ObjectId, list};
use crate::master_key::KEY_BYTES;
use crate::{Error, KeyId, MasterKey, Result, object};

/// When writing: N = 2^15, r = 8 take 32 MiB and about 0.1 s, which the smallest machines can pay.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 1;
const SALT_BYTES: usize = 64;
/// What a key file may ask for when it is opened: 1 GiB for each of the two memories of scrypt (128 * N * r and
/// 128 * p * r), and in all 256 times the work of one written here.
const MAX_MEMORY_BYTES: u64 = 1 << 30;
const MAX_WORK: u64 = 1 << 26;
/// A key file is about 500 bytes.
const LIMIT_BYTES: usize = 64 * 1024;
/// Who made the keys that [`write_key_file`] writes, as they say themselves and `restic key list` shows.
pub const KEY_FILE_USERNAME: &str = "lifeboat";

/// A key file as restic writes it. Not authenticated before the password was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeyFile {
    created: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    hostname: String,
    kdf: String,
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
    salt: String,
    data: String,
}

/// What a key file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFileInfo {
    /// Its name.
    pub id: KeyId,
    /// When it was made, as it stands there.
    pub created: String,
    /// Who made it.
    pub username: String,
    /// On which host.
    pub hostname: String,
}

/// Writes a key file with which `password` opens the repository of `key`.
pub fn write_key_file(
    storage: &dyn Storage,
    key: &MasterKey,
    password: &SecretString,
    hostname: &str,
) -> Result<KeyId> {
    let mut salt = [0; SALT_BYTES];
    fill_random(&mut salt)?;
    let params = scrypt_params(1 << LOG_N, R, P)
        .ok_or_else(|| Error::corrupt("a new key file", "wrong scrypt parameters"))?;
    let cipher = Cipher::new(&derive(password, &salt, &params)?);
    let json = key.to_json()?;
    // Sealing appends the tag and must not move the bytes to where they are not wiped.
    let mut data = Vec::with_capacity(json.len() + crate::cipher::OVERHEAD_BYTES);
    data.resize(NONCE_BYTES, 0);
    data.extend_from_slice(json.as_bytes());
    cipher.seal(&mut data)?;
    let file = KeyFile {
        created: Timestamp::now().to_string(),
        username: KEY_FILE_USERNAME.to_owned(),
        hostname: hostname.to_owned(),
        kdf: "scrypt".to_owned(),
        n: 1 << LOG_N,
        r: R,
        p: P,
        salt: STANDARD.encode(salt),
        data: STANDARD.encode(data),
    };
    let json = serde_json::to_vec(&file)
        .map_err(|error| Error::corrupt("a new key file", error.to_string()))?;
    object::create(storage, &json)
}

/// The master key that `password` unlocks, and the key file that it opened.
///
/// [`Error::NoRepository`] if there is no key file; [`Error::WrongPassword`] if it opens none. A damaged
/// key file is an error only if no other one is opened.
pub fn unlock(storage: &dyn Storage, password: &SecretString) -> Result<(KeyId, MasterKey)> {
    let listed = list::<KeyId>(storage)?;
    if listed.is_empty() {
        return Err(Error::NoRepository { location: storage.location() });
    }
    let mut damage = None;
    for key_file in listed {
        match read(storage, &key_file.id).and_then(|file| open(&key_file.id, &file, password)) {
            Ok(Some(key)) => return Ok((key_file.id, key)),
            Ok(None) => {}
            Err(error @ Error::Corrupt { .. }) => damage = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(damage.unwrap_or_else(|| Error::WrongPassword { location: storage.location() }))
}

/// What the key files say of themselves, in the order of their ids.
pub fn list_key_files(storage: &dyn Storage) -> Result<Vec<KeyFileInfo>> {
    let info = |id: KeyId| {
        let KeyFile { created, username, hostname, .. } = read(storage, &id)?;
        Ok(KeyFileInfo { id, created, username, hostname })
    };
    list(storage)?.into_iter().map(|listed| info(listed.id)).collect()
}

/// Removes a key file: its password opens nothing any more. `false` if there was none.
pub fn remove_key_file(storage: &dyn Storage, id: &KeyId) -> Result<bool> {
    Ok(storage.remove(&id.key()?)?)
}

fn read(storage: &dyn Storage, id: &KeyId) -> Result<KeyFile> {
    let json = object::read(storage, id, LIMIT_BYTES)?;
    serde_json::from_slice(&json).map_err(|error| corrupt(id, error.to_string()))
}

/// `None` if it is sealed with another password.
fn open(id: &KeyId, file: &KeyFile, password: &SecretString) -> Result<Option<MasterKey>> {
    if file.kdf != "scrypt" {
        return Err(corrupt(id, format!("unknown key derivation {:?}", file.kdf)));
    }
    let KeyFile { n, r, p, .. } = *file;
    let params = scrypt_params(n, r, p).ok_or_else(|| {
        corrupt(id, format!("asks for scrypt with N = {n}, r = {r}, p = {p}, which is refused"))
    })?;
    let decode = |text| STANDARD.decode(text).map_err(|_| corrupt(id, "not base64"));
    let (salt, mut data) = (decode(&file.salt)?, Zeroizing::new(decode(&file.data)?));
    let cipher = Cipher::new(&derive(password, &salt, &params)?);
    cipher.open(&mut data).map(|json| MasterKey::from_json(json)).transpose()
}

/// `None` if they are no parameters of scrypt or ask for more than is given.
fn scrypt_params(n: u64, r: u32, p: u32) -> Option<scrypt::Params> {
    let memory = n.max(p.into()).checked_mul(u64::from(r))?.checked_mul(128)?;
    let work = n.checked_mul(u64::from(r))?.checked_mul(u64::from(p))?;
    if n < 2 || !n.is_power_of_two() || memory > MAX_MEMORY_BYTES || work > MAX_WORK {
        return None;
    }
    scrypt::Params::new(u8::try_from(n.ilog2()).ok()?, r, p, KEY_BYTES).ok()
}

fn derive(password: &SecretString, salt: &[u8], params: &scrypt::Params) -> Result<MasterKey> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    scrypt::scrypt(password.expose_secret().as_bytes(), salt, params, &mut *bytes)
        .map_err(|error| Error::corrupt("a key file", error.to_string()))?;
    Ok(MasterKey::from_bytes(&bytes))
}

fn corrupt(id: &KeyId, problem: impl Into<String>) -> Error {
    Error::corrupt(format_args!("{}/{id}", KeyId::DIRECTORY), problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_parameters_that_take_the_machine() {
        assert!(scrypt_params(1 << 15, 8, 1).is_some());
        assert!(scrypt_params(1 << 20, 8, 1).is_some());
        assert!(scrypt_params(1 << 15, 8, 20).is_some());
        for (n, r, p) in [
            (1 << 21, 8, 1),
            (1 << 15, 8, 1 << 20),
            (2, 1, 1 << 24),
            (1 << 15, u32::MAX, 1),
            (u64::MAX, u32::MAX, u32::MAX),
            (1 << 63, 8, 1),
            ((1 << 15) + 1, 8, 1),
            (0, 8, 1),
            (1, 8, 1),
            (1 << 15, 0, 1),
            (1 << 15, 8, 0),
        ] {
            assert!(scrypt_params(n, r, p).is_none(), "{n} {r} {p}");
        }
    }
}
