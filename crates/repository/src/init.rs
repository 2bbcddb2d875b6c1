//! Makes a repository: recipient, identity, marker. It exists once the marker does.

use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{Key, Storage};

use crate::marker::{MARKER_KEY, Marker};
use crate::sealed::{key, put_plain_json};
use crate::{Error, Recipient, Result, Secrets};

/// Makes a repository where none is.
pub(crate) fn init(storage: &dyn Storage, password: &SecretString, label: &str) -> Result<()> {
    let location = storage.location();
    if storage.stat(&key(MARKER_KEY)?)?.is_some() {
        return Err(Error::AlreadyInitialized { location });
    }
    refuse_used(storage)?;
    remove_unfinished(storage)?;
    let secrets = Secrets::generate();
    let recipient = Recipient::new(1, &secrets.recipients()[0]);
    let recipient_key = Recipient::key(1)?;
    put_plain_json(storage, &recipient_key, &recipient)?;
    require_create_only(storage, &recipient_key)?;
    secrets.wrap(storage, password, label)?;
    put_plain_json(storage, &key(MARKER_KEY)?, &Marker::new())?;
    // Another init at the same time may have taken our keys for an unfinished one's and put its own
    // there: the repository is theirs then, though our marker stands.
    if Recipient::current(storage)?.0 != recipient {
        return Err(Error::AlreadyInitialized { location });
    }
    Ok(())
}

/// Refuses a location that has no marker, but holds something else. A missing marker alone does
/// not show that the keys there are unused.
pub(crate) fn refuse_used(storage: &dyn Storage) -> Result<()> {
    if storage.stat(&key("config")?)?.is_some() {
        return Err(Error::PlainRestic { location: storage.location() });
    }
    for used in ["backups", "databases"] {
        if holds_objects(storage, &key(used)?)? {
            return Err(Error::corrupt(&key(MARKER_KEY)?, "it is missing, but data is there"));
        }
    }
    Ok(())
}

/// A directory in which nothing lies is none: whoever prepares a disk may have made it.
fn holds_objects(storage: &dyn Storage, directory: &Key) -> Result<bool> {
    if storage.list_names(Some(directory))?.is_empty() {
        return Ok(false);
    }
    Ok(!storage.list(Some(directory))?.is_empty())
}

/// Removes the keys of an init that did not come to its end.
fn remove_unfinished(storage: &dyn Storage) -> Result<()> {
    for unfinished in ["recipients", "identities"] {
        for entry in storage.list(Some(&key(unfinished)?))? {
            storage.remove(&entry.key)?;
        }
    }
    Ok(())
}

/// Writes an object once more, which must be refused.
fn require_create_only(storage: &dyn Storage, taken: &Key) -> Result<()> {
    match storage.put(taken, b"") {
        Err(lifeboat_storage::Error::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Error::Overwrites { location: storage.location() }),
    }
}
