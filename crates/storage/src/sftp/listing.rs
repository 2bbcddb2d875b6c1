//! What directories hold.

use std::collections::VecDeque;
use std::sync::Arc;

use super::attributes::{Attributes, Kind};
use super::connection::Connection;
use super::directory;
use super::failure::Failure;
use super::reply::Name;
use super::request::Request;
use super::shared::Shared;
use super::ticket::{Handle, Ticket};
use crate::{Child, Entry, Key};

/// Directories that are read at once.
const DIRECTORIES: usize = 16;
/// Requests for names that each of them has under way; OpenSSH answers with at most 100 names.
const AHEAD: usize = 4;

/// All objects below `path`, in the order of their keys. What others remove meanwhile may be left
/// out. It takes as much memory as the server has names.
pub(super) fn list(
    shared: &Shared,
    connection: &Arc<Connection>,
    path: Option<&Key>,
) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    walk(shared, connection, path, |key, attributes| {
        match directory::kind(attributes, key.as_str())? {
            Kind::Directory => return Ok(Descend::Yes),
            _ => entries.extend(directory::entry(key, attributes)?),
        }
        Ok(Descend::No)
    })?;
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    // A directory that changes while it is read may show a name twice.
    entries.dedup_by(|a, b| a.key == b.key);
    Ok(entries)
}

/// What lies directly below `path`, in the order of the keys.
pub(super) fn list_names(
    shared: &Shared,
    connection: &Arc<Connection>,
    path: Option<&Key>,
) -> Result<Vec<Child>, Failure> {
    let mut children = Vec::new();
    walk(shared, connection, path, |key, attributes| {
        match directory::kind(attributes, key.as_str())? {
            Kind::Directory => children.push(Child::Directory(key.clone())),
            Kind::File => children.push(Child::Object(key.clone())),
            Kind::Other => {}
        }
        Ok(Descend::No)
    })?;
    children.sort_by(|a, b| a.key().cmp(b.key()));
    children.dedup();
    Ok(children)
}

enum Descend {
    Yes,
    No,
}

/// Shows each name that is a key, unordered, and goes into directories as `visit` says.
fn walk(
    shared: &Shared,
    connection: &Arc<Connection>,
    path: Option<&Key>,
    mut visit: impl FnMut(&Key, &Attributes) -> Result<Descend, Failure>,
) -> Result<(), Failure> {
    match directory::look_up(shared, connection, path)? {
        Some(found) if directory::kind(&found, "the directory")? == Kind::Directory => {}
        _ => return Ok(()),
    }
    let mut walk = Walk { connection, active: VecDeque::new() };
    let mut waiting = vec![path.cloned()];
    loop {
        while walk.active.len() < DIRECTORIES
            && let Some(path) = waiting.pop()
        {
            let request = Request::open_directory(&shared.path_of(path.as_ref()));
            let stage = Stage::Opening(connection.send(request)?);
            walk.active.push_back(Open { path, stage });
        }
        let Some((path, names)) = walk.next()? else { return Ok(()) };
        for name in names {
            let Some((key, attributes)) = known_kind(shared, connection, path.as_ref(), &name)?
            else {
                continue;
            };
            if matches!(visit(&key, &attributes)?, Descend::Yes) {
                waiting.push(Some(key));
            }
        }
    }
}

/// The key and attributes of a name; `None` if it is no key, or gone. `tmp` at the top is no key.
fn known_kind(
    shared: &Shared,
    connection: &Arc<Connection>,
    path: Option<&Key>,
    name: &Name,
) -> Result<Option<(Key, Attributes)>, Failure> {
    // A slash would make two segments of it.
    let key = std::str::from_utf8(&name.name)
        .ok()
        .filter(|name| !name.contains('/'))
        .and_then(|name| Key::below(path, name).ok());
    let Some(key) = key else { return Ok(None) };
    if name.attributes.kind().is_some() {
        return Ok(Some((key, name.attributes)));
    }
    let ticket = connection.send(Request::lstat(&shared.path(key.as_str())))?;
    Ok(ticket.attributes_if_any()?.map(|attributes| (key, attributes)))
}

/// A directory, and some of its names.
type Found = (Option<Key>, Vec<Name>);

/// Directories that are being read, in turn.
struct Walk<'a> {
    connection: &'a Arc<Connection>,
    active: VecDeque<Open>,
}

/// A directory that is being read.
struct Open {
    path: Option<Key>,
    stage: Stage,
}

enum Stage {
    Opening(Ticket),
    Reading { handle: Handle, tickets: VecDeque<Ticket>, at_end: bool },
}

impl Walk<'_> {
    /// Some names of some directory, none of one that is done or gone; `None` if all are done.
    fn next(&mut self) -> Result<Option<Found>, Failure> {
        let Some(Open { path, stage }) = self.active.pop_front() else { return Ok(None) };
        let (stage, names) = match stage {
            Stage::Opening(ticket) => match ticket.handle(self.connection) {
                Ok(handle) => (Some(self.begin(handle)?), Vec::new()),
                // Removed since it was seen, or another thing in its place.
                Err(failure) if failure.is_missing() => (None, Vec::new()),
                Err(failure) => return Err(failure),
            },
            Stage::Reading { handle, mut tickets, mut at_end } => {
                let Some(ticket) = tickets.pop_front() else {
                    return Ok(Some((path, Vec::new())));
                };
                let names = ticket.names()?;
                // Answers may come in another order than the names; so those under way count, too.
                at_end |= names.is_none();
                if !at_end {
                    tickets
                        .push_back(self.connection.send(Request::read_directory(handle.bytes()))?);
                }
                let stage = Stage::Reading { handle, tickets, at_end };
                (Some(stage), names.unwrap_or_default())
            }
        };
        if let Some(stage) = stage {
            self.active.push_back(Open { path: path.clone(), stage });
        }
        Ok(Some((path, names)))
    }

    fn begin(&self, handle: Handle) -> Result<Stage, Failure> {
        let mut tickets = VecDeque::new();
        for _ in 0..AHEAD {
            tickets.push_back(self.connection.send(Request::read_directory(handle.bytes()))?);
        }
        Ok(Stage::Reading { handle, tickets, at_end: false })
    }
}

impl Drop for Walk<'_> {
    /// After an error: directories that the server opens meanwhile are closed, of which it has a
    /// limited number.
    fn drop(&mut self) {
        for open in self.active.drain(..) {
            if let Stage::Opening(ticket) = open.stage {
                drop(ticket.handle(self.connection));
            }
        }
    }
}
