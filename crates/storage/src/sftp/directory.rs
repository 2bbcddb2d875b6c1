//! What lies under a key, and the directories that lead to it.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, PoisonError};

use super::attributes::{Attributes, Kind};
use super::connection::Connection;
use super::failure::Failure;
use super::request::Request;
use super::shared::Shared;
use crate::key::TEMPORARY;
use crate::{Entry, Key};

/// What lies under `key`, looked up without following links; `None` if nothing does, or something
/// above it is no directory. Only the root itself may be a link; it has to be there.
///
/// All names on the way are asked for at once, which takes one round trip.
pub(super) fn look_up(
    shared: &Shared,
    connection: &Connection,
    key: Option<&Key>,
) -> Result<Option<Attributes>, Failure> {
    let root = connection.send(Request::stat(shared.root()))?;
    let mut below = Vec::new();
    for path in key.into_iter().flat_map(prefixes) {
        below.push((path, connection.send(Request::lstat(&shared.path(path)))?));
    }
    let mut found = root.attributes()?;
    require_directory(&found, shared.root())?;
    let mut above = shared.root();
    for (path, ticket) in below {
        if kind(&found, above)? != Kind::Directory {
            return Ok(None);
        }
        let Some(attributes) = ticket.attributes_if_any()? else { return Ok(None) };
        (above, found) = (path, attributes);
    }
    Ok(Some(found))
}

/// `a`, `a/b`, `a/b/c`.
fn prefixes(key: &Key) -> impl Iterator<Item = &str> {
    let key = key.as_str();
    let ends = key.match_indices('/').map(|(at, _)| at).chain([key.len()]);
    ends.map(|end| &key[..end])
}

/// What kind of thing `path` is. A server that does not tell is of no use: what it has could
/// neither be listed nor left out.
pub(super) fn kind(attributes: &Attributes, path: &str) -> Result<Kind, Failure> {
    attributes.kind().ok_or_else(|| untold(path))
}

fn untold(path: &str) -> Failure {
    let message = format!("the server does not tell type, size and time of {path}");
    Failure::unfit(io::ErrorKind::Unsupported, message)
}

/// The object that has these attributes; `None` if it is no file.
pub(super) fn entry(key: &Key, attributes: &Attributes) -> Result<Option<Entry>, Failure> {
    if kind(attributes, key.as_str())? != Kind::File {
        return Ok(None);
    }
    match (attributes.size, attributes.modified()) {
        (Some(size), Some(modified)) => Ok(Some(Entry { key: key.clone(), size, modified })),
        _ => Err(untold(key.as_str())),
    }
}

/// Makes a directory and those above it, where they are missing. What this connection found before
/// is taken to be there still.
pub(super) fn make(
    shared: &Shared,
    connection: &Connection,
    directory: Option<&Key>,
) -> Result<(), Failure> {
    let Some(directory) = directory else { return Ok(()) };
    if known(connection, |known| known.contains(directory)) {
        return Ok(());
    }
    let mut tickets = Vec::new();
    for path in prefixes(directory) {
        let path = shared.path(path);
        tickets.push((connection.send(Request::lstat(&path))?, path));
    }
    for (ticket, path) in tickets {
        match ticket.attributes_if_any()? {
            None => make_one(connection, &path)?,
            Some(attributes) => require_directory(&attributes, &path)?,
        }
    }
    known(connection, |known| known.insert(directory.clone()));
    Ok(())
}

/// Forgets that a directory is there.
pub(super) fn forget(connection: &Connection, directory: Option<&Key>) {
    if let Some(directory) = directory {
        known(connection, |known| known.remove(directory));
    }
}

fn known<T>(connection: &Connection, act: impl FnOnce(&mut HashSet<Key>) -> T) -> T {
    act(&mut connection.directories.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes a directory whose parent is there. Somebody else may do the same.
pub(super) fn make_one(connection: &Connection, path: &str) -> Result<(), Failure> {
    let Err(refused) = connection.send(Request::make_directory(path))?.done() else {
        return Ok(());
    };
    if matches!(refused, Failure::Connection(_)) {
        return Err(refused);
    }
    match connection.send(Request::lstat(path))?.attributes_if_any()? {
        None => Err(refused),
        Some(attributes) => require_directory(&attributes, path),
    }
}

fn require_directory(attributes: &Attributes, path: &str) -> Result<(), Failure> {
    if kind(attributes, path)? == Kind::Directory {
        return Ok(());
    }
    Err(Failure::unfit(io::ErrorKind::NotADirectory, format!("{path} is no directory")))
}

/// Makes the root with its missing parents, and the directory of unfinished files in it. The root
/// and what is above it may be links.
pub(super) fn make_root(shared: &Shared, connection: &Connection) -> Result<(), Failure> {
    let root = shared.root();
    let mut missing = Vec::new();
    for path in ancestors(root) {
        if connection.send(Request::stat(path))?.attributes_if_any()?.is_some() {
            break;
        }
        missing.push(path);
    }
    for path in missing.into_iter().rev() {
        make_one(connection, path)?;
    }
    look_up(shared, connection, None)?;
    make_one(connection, &shared.path(TEMPORARY))
}

/// `/a/b/c`, `/a/b`, `/a`; `a/b`, `a`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(parent, _)| parent))
        .filter(|path| !path.is_empty())
}

/// Makes the directory of unfinished files in a root that lacks it, but not in an empty one: that
/// is the mount point of a disk that is not there.
pub(super) fn make_temporary(shared: &Shared, connection: &Arc<Connection>) -> Result<(), Failure> {
    let handle = connection.send(Request::open_directory(shared.root()))?.handle(connection)?;
    let mut is_empty = true;
    while is_empty {
        let request = Request::read_directory(handle.bytes());
        let Some(names) = connection.send(request)?.names()? else { break };
        is_empty = names.iter().all(|name| matches!(&*name.name, b"." | b".."));
    }
    if is_empty {
        let message = "the directory is empty: not created as a storage, or its disk not mounted";
        return Err(Failure::unfit(io::ErrorKind::NotFound, message));
    }
    make_one(connection, &shared.path(TEMPORARY))
}
