//! Secrets wrapped for a passphrase: age files with an scrypt recipient, not armored.

use std::io::{Read, Write};
use std::iter;

use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt};

use crate::age_reader::{AgeReader, refused};
use crate::{Error, Result};

/// Binary logarithm of scrypt's N when wrapping: with r = 8 this takes 36 MiB and about 0.1 s,
/// which the smallest machines can pay at every start.
const WORK_FACTOR: u8 = 15;
/// The largest accepted when unwrapping: 1 GiB of memory. `age -p` writes 18.
const MAX_WORK_FACTOR: u8 = 20;

/// Encrypts `plain` for whoever knows `passphrase`: an age file.
pub fn wrap_with_passphrase(plain: &[u8], passphrase: &SecretString) -> Result<Vec<u8>> {
    let failed = |source| Error::Stream { operation: "write", source };
    let mut recipient = scrypt::Recipient::new(passphrase.clone());
    recipient.set_work_factor(WORK_FACTOR);
    let encryptor = Encryptor::with_recipients(iter::once(&recipient as _))
        .map_err(|error| failed(std::io::Error::other(error)))?;
    let mut writer = encryptor.wrap_output(Vec::new()).map_err(failed)?;
    writer.write_all(plain).map_err(failed)?;
    writer.finish().map_err(failed)
}

/// What [`wrap_with_passphrase`], or `age -p`, encrypted.
///
/// [`Error::WrongPassphrase`]; [`Error::NotForUs`] for an age file without passphrase;
/// [`Error::ExcessiveWork`] beyond a work factor of 20; [`Error::Corrupt`] for anything else.
pub fn unwrap_with_passphrase(wrapped: &[u8], passphrase: &SecretString) -> Result<Vec<u8>> {
    let mut identity = scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let refused = |error| match error {
        DecryptError::DecryptionFailed => Error::WrongPassphrase,
        DecryptError::ExcessiveWork { required, .. } => {
            Error::ExcessiveWork { required, accepted: MAX_WORK_FACTOR }
        }
        error => refused(error),
    };
    let mut reader = AgeReader::open(wrapped, iter::once(&identity as _), refused)?;
    let mut plain = Vec::with_capacity(wrapped.len());
    reader.read_to_end(&mut plain).map_err(|error| Error::from_stream("read", error))?;
    Ok(plain)
}

/// Whether an age file is encrypted for a passphrase, as opposed to recipients. Its header says so,
/// which nobody vouches for until it is opened.
///
/// [`Error::Corrupt`] if it is no age file.
pub fn is_wrapped_with_passphrase(wrapped: &[u8]) -> Result<bool> {
    Decryptor::new_buffered(wrapped).map(|file| file.is_scrypt()).map_err(refused)
}
