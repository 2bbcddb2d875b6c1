//! What every byte of a repository is sealed with: AES-256 in counter mode, authenticated by
//! Poly1305-AES.
//!
//! A sealed message is `nonce (16) ‖ ciphertext ‖ tag (16)`. The nonce is the first counter block. The
//! tag is Poly1305 of the ciphertext under the one-time key `r ‖ AES-128(k, nonce)`.

use aes::cipher::generic_array::GenericArray;
use aes::cipher::{BlockEncrypt, InnerIvInit, KeyInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::{Ctr128BE, CtrCore};
use poly1305::Poly1305;

use crate::{Error, MasterKey, Result};

pub(crate) const NONCE_BYTES: usize = 16;
pub(crate) const TAG_BYTES: usize = 16;
/// By how much sealing makes a message longer.
pub(crate) const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

/// A key made ready for use.
pub(crate) struct Cipher {
    encrypt: Aes256,
    mac_k: Aes128,
    mac_r: [u8; 16],
}

impl Cipher {
    pub(crate) fn new(key: &MasterKey) -> Self {
        Self {
            encrypt: Aes256::new(key.encrypt().into()),
            mac_k: Aes128::new(key.mac_k().into()),
            mac_r: *key.mac_r(),
        }
    }

    /// Seals the message that `buffer` holds from [`NONCE_BYTES`] on, in place: the bytes before it
    /// become the nonce, the tag is appended.
    pub(crate) fn seal(&self, buffer: &mut Vec<u8>) -> Result<()> {
        let Some((nonce, message)) = buffer.split_first_chunk_mut::<NONCE_BYTES>() else {
            return Err(Error::corrupt("a message to be sealed", "no room for a nonce"));
        };
        fill_random(nonce)?;
        self.apply_keystream(nonce, message);
        let tag = self.tag(nonce, message);
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens a sealed message in place; `None` if it was not sealed with this key or was changed.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_BYTES>()?;
        let (message, tag) = rest.split_last_chunk_mut::<TAG_BYTES>()?;
        if !equal(&self.tag(nonce, message), tag) {
            return None;
        }
        self.apply_keystream(nonce, message);
        Some(message)
    }

    fn apply_keystream(&self, nonce: &[u8; NONCE_BYTES], message: &mut [u8]) {
        let counter = CtrCore::inner_iv_init(&self.encrypt, nonce.into());
        Ctr128BE::from_core(counter).apply_keystream(message);
    }

    fn tag(&self, nonce: &[u8; NONCE_BYTES], ciphertext: &[u8]) -> [u8; TAG_BYTES] {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.mac_r);
        let mut pad = GenericArray::from(*nonce);
        self.mac_k.encrypt_block(&mut pad);
        key[16..].copy_from_slice(&pad);
        Poly1305::new(&key.into()).compute_unpadded(ciphertext).into()
    }
}

/// Without telling by its time where they differ.
fn equal(a: &[u8; TAG_BYTES], b: &[u8; TAG_BYTES]) -> bool {
    u128::from_le_bytes(*a) ^ u128::from_le_bytes(*b) == 0
}

/// Fills `bytes` from the system's source of random bytes.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::Machine {
        operation: "get random bytes",
        source: std::io::Error::other(error),
    })
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher").finish_non_exhaustive()
    }
}
