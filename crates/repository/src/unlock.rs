//! From a password, or a person's secret key, to the secrets.

use lifeboat_storage::Storage;

use crate::identity::Unwrapped;
use crate::wrapping::{Credential, list, read, unwrap};
use crate::{Error, Result, Secrets};

/// The secrets that a credential opens. `current` is the recipient in use, where it can be read.
///
/// [`Error::WrongPassword`], [`Error::WrongIdentity`], [`Error::NoIdentity`].
pub(crate) fn unlock(
    storage: &dyn Storage,
    credential: Credential<'_>,
    current: Option<&str>,
) -> Result<Secrets> {
    let holds_current = |unwrapped: &Unwrapped| {
        let mut own = unwrapped.identities.iter().map(|identity| identity.to_public().to_string());
        current.is_some_and(|current| own.any(|own| own == current))
    };
    let unwrapped = match credential {
        // Each try takes its time, and what it opens is the owner's.
        Credential::Password(_) => unwrap_until(storage, credential, holds_current)?,
        // Anyone can have made the first one, which may not hide the others.
        Credential::Identities(_) => unlock_all(storage, credential)?,
    };
    Secrets::of(unwrapped, current).ok_or_else(|| nothing(storage, credential))
}

/// Everything that a credential opens.
pub(crate) fn unlock_all(
    storage: &dyn Storage,
    credential: Credential<'_>,
) -> Result<Vec<Unwrapped>> {
    unwrap_until(storage, credential, |_| false)
}

/// Unwraps what a credential opens, the newest generation first, until `enough`. Not empty.
///
/// One that cannot be opened is an error only if none can.
fn unwrap_until(
    storage: &dyn Storage,
    credential: Credential<'_>,
    enough: impl Fn(&Unwrapped) -> bool,
) -> Result<Vec<Unwrapped>> {
    let mut opened = Vec::new();
    let mut refused = None;
    for (name, _) in list(storage)?.into_iter().rev() {
        let key = name.key()?;
        let bytes = match read(storage, name) {
            // Removed since it was listed.
            Err(Error::Storage(lifeboat_storage::Error::NotFound { .. })) => continue,
            bytes => bytes?,
        };
        let text = match unwrap(&bytes, credential) {
            Ok(text) => text,
            Err(lifeboat_storage::Error::WrongPassphrase) => {
                let location = storage.location();
                refused.get_or_insert(Error::WrongPassword { location });
                continue;
            }
            // Wrapped for a person's key, or for another's: not for this credential to open.
            Err(lifeboat_storage::Error::NotForUs) => continue,
            // Perhaps the very one that the credential would have opened.
            Err(source) => {
                refused = Some(Error::Sealed { key, source });
                continue;
            }
        };
        match Unwrapped::parse(&key, name, &text) {
            Ok(unwrapped) => opened.push(unwrapped),
            Err(error) => refused = Some(error),
        }
        if opened.last().is_some_and(&enough) {
            break;
        }
    }
    if opened.is_empty() {
        return Err(refused.unwrap_or_else(|| nothing(storage, credential)));
    }
    Ok(opened)
}

fn nothing(storage: &dyn Storage, credential: Credential<'_>) -> Error {
    let location = storage.location();
    match credential {
        Credential::Password(_) => Error::NoIdentity { location },
        Credential::Identities(_) => Error::WrongIdentity { location },
    }
}
