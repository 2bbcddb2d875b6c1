//! Removal of what killed processes left unfinished.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::attributes::Kind;
use super::connection::Connection;
use super::failure::Failure;
use super::reply::Name;
use super::request::Request;
use super::shared::Shared;
use super::{directory, upload};
use crate::Stale;
use crate::key::TEMPORARY;

/// Removes the stale files of `tmp/`; returns how many.
pub(super) fn sweep(
    shared: &Shared,
    connection: &Arc<Connection>,
    older_than: Duration,
) -> Result<u64, Failure> {
    let mut removed = 0;
    each_stale(shared, connection, older_than, |path, _| {
        match connection.send(Request::remove(path))?.done() {
            Ok(()) => removed += 1,
            // Another sweep was first.
            Err(failure) if failure.is_missing() => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    })?;
    Ok(removed)
}

/// Number and bytes of the stale files of `tmp/`.
pub(super) fn stale(
    shared: &Shared,
    connection: &Arc<Connection>,
    older_than: Duration,
) -> Result<Stale, Failure> {
    let mut found = Stale::default();
    each_stale(shared, connection, older_than, |_, size| {
        found.files += 1;
        found.bytes += size;
        Ok(())
    })?;
    Ok(found)
}

fn each_stale(
    shared: &Shared,
    connection: &Arc<Connection>,
    older_than: Duration,
    mut act: impl FnMut(&str, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let names = names(shared, connection)?;
    if names.is_empty() {
        return Ok(());
    }
    let now = now(shared, connection)?;
    for name in names {
        let Ok(name) = std::str::from_utf8(&name.name) else { continue };
        if name.contains('/') {
            continue;
        }
        let path = shared.path(&format!("{TEMPORARY}/{name}"));
        let found = connection.send(Request::lstat(&path))?.attributes_if_any()?;
        let Some(found) = found.filter(|found| found.kind() == Some(Kind::File)) else { continue };
        let Some(modified) = found.modified() else { continue };
        // A time in the future comes from another clock and says nothing.
        if now.duration_since(modified).is_ok_and(|age| age >= older_than) {
            act(&path, found.size.unwrap_or(0))?;
        }
    }
    Ok(())
}

/// What is in `tmp/`; nothing if that is missing, or a link.
fn names(shared: &Shared, connection: &Arc<Connection>) -> Result<Vec<Name>, Failure> {
    // The root has to be there.
    directory::look_up(shared, connection, None)?;
    let path = shared.path(TEMPORARY);
    match connection.send(Request::lstat(&path))?.attributes_if_any()? {
        Some(found) if directory::kind(&found, &path)? == Kind::Directory => {}
        _ => return Ok(Vec::new()),
    }
    let handle = connection.send(Request::open_directory(&path))?.handle(connection)?;
    let mut names = Vec::new();
    while let Some(more) = connection.send(Request::read_directory(handle.bytes()))?.names()? {
        names.extend(more.into_iter().filter(|name| !matches!(&*name.name, b"." | b"..")));
    }
    Ok(names)
}

/// The time by the clock that gave the files theirs: that of a file made now. A small computer
/// without a clock of its own may be years off.
fn now(shared: &Shared, connection: &Arc<Connection>) -> Result<SystemTime, Failure> {
    let (name, handle) = upload::create(shared, connection)?;
    let found = connection.send(Request::fstat(handle.bytes()))?.attributes();
    connection.send(Request::remove(&shared.path(&name)))?.done()?;
    Ok(found?.modified().unwrap_or_else(SystemTime::now))
}
