//! The key with which a host signs its manifests.

use std::fmt::{self, Write as _};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::{BackupName, Error, Result};

/// An Ed25519 key that stays in the state directory of one host.
pub struct HostKey(SigningKey);

impl fmt::Debug for HostKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HostKey({})", self.public())
    }
}

impl HostKey {
    /// The key of these 32 secret bytes.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The public key as 64 hex digits.
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    /// The signature of `bytes` as 128 hex digits.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        hex(&self.0.sign(bytes).to_bytes())
    }
}

/// Knows which keys may sign for a host: that is remembered outside the repository.
pub trait HostTrust: fmt::Debug + Send + Sync {
    /// Judges a public key that signed a manifest. Later revisions are written by whoever takes a
    /// source out of a backup, which need not be its host.
    fn judge(&self, name: &BackupName, public: &str) -> Judgement;
}

/// What is to be thought of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It may sign for the host.
    Trusted,
    /// Only these may.
    Refused(Vec<String>),
}

/// The beginning of a public key, 128 bits of it, by which people compare keys.
pub fn fingerprint(public: &str) -> &str {
    public.get(..32).unwrap_or(public)
}

/// Whether `signature` is the one of `public` over `bytes`; both as hex digits.
pub(crate) fn verify(public: &str, signature: &str, bytes: &[u8]) -> Result<bool> {
    let public = VerifyingKey::from_bytes(&from_hex(public)?).map_err(|_| Error::Parse {
        expected: "an Ed25519 public key",
        found: public.to_owned(),
    })?;
    let signature = Signature::from_bytes(&from_hex(signature)?);
    Ok(public.verify_strict(bytes, &signature).is_ok())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N]> {
    let refused = || Error::Parse { expected: "hex digits", found: text.to_owned() };
    if text.len() != 2 * N || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(refused());
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| refused())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{HostKey, from_hex, verify};

    /// The test value of `docs/format.md`, with the key of RFC 8032, test 1.
    #[test]
    fn signs_as_documented() {
        let secret = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key = HostKey::from_bytes(&from_hex(secret).unwrap());
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let signature = "a4d04bd88fd6151776b5022d1e4bf716c88244f3ff302710b77d31b23c564a50\
                         0720747058d8819ad996dda02fdf98abe1cfe99460e61268f5d67e0a3b05da0d";
        assert_eq!(key.public(), public);
        assert_eq!(key.sign(b"{\"version\":1}"), signature);
        assert!(verify(public, signature, b"{\"version\":1}").unwrap());
        assert!(!verify(public, signature, b"{\"version\":2}").unwrap());
        assert!(verify(public, "00", b"").is_err());
    }
}
