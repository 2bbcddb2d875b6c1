//! Makes a repository: recipient, identities, marker. It exists once the marker does. One that is not
//! sealed has only the marker.

use lifeboat_storage::{Key, Storage};

use crate::document::{key, put_plain_json};
use crate::ids::random_u64;
use crate::marker::{MARKER_KEY, Marker};
use crate::replica::refuse_replica;
use crate::{Error, Form, Holder, Recipient, Result, Secrets};

/// Makes a repository where none is, whose secrets these holders, each with a label, can have.
pub(crate) fn init(storage: &dyn Storage, holders: &[(Holder<'_>, &str)]) -> Result<()> {
    let location = storage.location();
    if storage.stat(&key(MARKER_KEY)?)?.is_some() {
        return Err(Error::AlreadyInitialized { location });
    }
    refuse_used(storage)?;
    refuse_replica(storage)?;
    remove_unfinished(storage)?;
    let secrets = Secrets::generate();
    let recipient = Recipient::new(1, &secrets.newest().to_public());
    let recipient_key = Recipient::key(1)?;
    put_plain_json(storage, &recipient_key, &recipient)?;
    require_create_only(storage, &recipient_key)?;
    for (holder, label) in holders {
        secrets.wrap(storage, *holder, label)?;
    }
    put_plain_json(storage, &key(MARKER_KEY)?, &Marker::new(Form::Sealed))?;
    // Another init at the same time may have taken our keys for an unfinished one's and put its own
    // there: the repository is theirs then, though our marker stands.
    if Recipient::current(storage)?.0 != recipient {
        return Err(Error::AlreadyInitialized { location });
    }
    Ok(())
}

/// Makes a repository of form `litestream` where none is: its marker is all it has.
pub(crate) fn init_litestream(storage: &dyn Storage) -> Result<()> {
    let location = storage.location();
    if storage.stat(&key(MARKER_KEY)?)?.is_some() {
        return Err(Error::AlreadyInitialized { location });
    }
    refuse_used(storage)?;
    refuse_replica(storage)?;
    let probe = key(format!("probe-{:016x}", random_u64()))?;
    storage.put(&probe, b"written once")?;
    let refused = require_create_only(storage, &probe);
    storage.remove(&probe)?;
    refused?;
    match put_plain_json(storage, &key(MARKER_KEY)?, &Marker::new(Form::Litestream)) {
        Err(Error::Storage(lifeboat_storage::Error::Exists { .. })) => {
            Err(Error::AlreadyInitialized { location })
        }
        written => written,
    }
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
