//! Makes a repository: recipient, identities, marker. It exists once the marker does. One that is not
//! sealed has only the marker.

use lifeboat_storage::{Child, Entry, Key, Storage};

use crate::document::{key, put_plain_json};
use crate::ids::random_u64;
use crate::marker::{MARKER_KEY, Marker};
use crate::replica::refuse_replica;
use crate::{Error, Form, Holder, Recipient, Result, Secrets, Time};

/// Makes a repository where none is, whose secrets these holders, each with a label, can have.
pub(crate) fn init(storage: &dyn Storage, holders: &[(Holder<'_>, &str)]) -> Result<()> {
    let location = storage.location();
    if storage.stat(&key(MARKER_KEY)?)?.is_some() {
        return Err(Error::AlreadyInitialized { location });
    }
    let top = refuse_used(storage)?;
    refuse_replica(storage)?;
    remove_unfinished(storage, &top)?;
    let secrets = Secrets::generate();
    let recipient = Recipient::new(1, &secrets.newest().to_public());
    let recipient_key = Recipient::key(1)?;
    let looks =
        probe(storage, &recipient_key, &|| put_plain_json(storage, &recipient_key, &recipient))?;
    for (holder, label) in holders {
        secrets.wrap(storage, *holder, label)?;
    }
    let marker = Marker { look_before_create: looks, ..Marker::new(Form::Sealed) };
    put_plain_json(storage, &key(MARKER_KEY)?, &marker)?;
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
    let taken = key(format!("probe-{:016x}", random_u64()))?;
    // Litestream's readers know the time of a file from the store alone.
    let time = Time::now();
    let content: &[u8] = b"written once";
    let put = || Ok(storage.put_content(&taken, &content, Some(time.system()))?);
    let looks = probe(storage, &taken, &put);
    let kept = storage.stat(&taken)?.map(|entry| Time::from_system(entry.modified));
    storage.remove(&taken)?;
    if looks.is_ok() && kept != Some(time) {
        return Err(Error::TimesNotKept { location });
    }
    let marker = Marker { look_before_create: looks?, ..Marker::new(Form::Litestream) };
    match put_plain_json(storage, &key(MARKER_KEY)?, &marker) {
        Err(Error::Storage(lifeboat_storage::Error::Exists { .. })) => {
            Err(Error::AlreadyInitialized { location })
        }
        written => written,
    }
}

/// Refuses a location that has no marker, but holds something else. A missing marker alone does
/// not show that the keys there are unused. Returns what lies directly there.
pub(crate) fn refuse_used(storage: &dyn Storage) -> Result<Vec<Child>> {
    if storage.stat(&key("config")?)?.is_some() {
        return Err(Error::PlainRestic { location: storage.location() });
    }
    let top = storage.list_names(None)?;
    for used in ["backups", "databases"] {
        // A directory in which nothing lies is none: whoever prepares a disk may have made it.
        if !objects_in(storage, &top, used)?.is_empty() {
            return Err(Error::corrupt(&key(MARKER_KEY)?, "it is missing, but data is there"));
        }
    }
    Ok(top)
}

/// The objects of a directory, if it is one of those at the top.
fn objects_in(storage: &dyn Storage, top: &[Child], directory: &str) -> Result<Vec<Entry>> {
    let directory = Child::Directory(key(directory)?);
    if !top.contains(&directory) {
        return Ok(Vec::new());
    }
    Ok(storage.list(Some(directory.key()))?)
}

/// Removes the keys of an init that did not come to its end.
fn remove_unfinished(storage: &dyn Storage, top: &[Child]) -> Result<()> {
    for unfinished in ["recipients", "identities"] {
        for entry in objects_in(storage, top, unfinished)? {
            storage.remove(&entry.key)?;
        }
    }
    Ok(())
}

/// Creates an object, and finds out whether it is refused a second time; `true` if that is so only because it is
/// looked for first.
///
/// [`Error::Overwrites`] where it cannot be had.
fn probe(storage: &dyn Storage, taken: &Key, create: &dyn Fn() -> Result<()>) -> Result<bool> {
    create()?;
    if is_refused(storage, taken)? {
        return Ok(false);
    }
    let overwrites = || Error::Overwrites { location: storage.location() };
    if !storage.check_before_creating() {
        return Err(overwrites());
    }
    // The probe has taken its place.
    storage.remove(taken)?;
    create()?;
    if is_refused(storage, taken)? { Ok(true) } else { Err(overwrites()) }
}

/// Whether an object that is there is not written once more.
fn is_refused(storage: &dyn Storage, taken: &Key) -> Result<bool> {
    match storage.put(taken, b"") {
        Err(lifeboat_storage::Error::Exists { .. }) => Ok(true),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(false),
    }
}
