//! Walks through collections, and through what was left in `tmp/`.

use std::thread;
use std::time::{Duration, SystemTime};

use super::create::is_temporary;
use super::multistatus::Resource;
use super::{Levels, WebDav};
use crate::key::TEMPORARY;
use crate::remote::{Attempt, Depth, Page};
use crate::{Cause, Failure, Key};

/// As many collections are asked for at once.
const AT_ONCE: usize = 4;

/// What lies in one collection.
#[derive(Default)]
struct Listed {
    page: Page,
    collections: Vec<Key>,
}

/// The next collections of a listing: `from` names those that are still to be asked for, one a line.
pub(super) fn page(
    dav: &WebDav,
    directory: Option<&Key>,
    depth: Depth,
    from: Option<&str>,
) -> Attempt<Page> {
    let mut waiting: Vec<Option<Key>> = match from {
        None => vec![directory.cloned()],
        Some(from) => from.lines().map(|line| line.parse().ok()).collect(),
    };
    let now = waiting.split_off(waiting.len().saturating_sub(AT_ONCE));
    let listed: Vec<Attempt<Listed>> = thread::scope(|scope| {
        let ask = |directory: &Option<Key>| list(dav, directory.as_ref());
        let others: Vec<_> = now.iter().skip(1).map(|key| scope.spawn(move || ask(key))).collect();
        let first = now.iter().take(1).map(ask).collect::<Vec<_>>();
        let join = |other: thread::ScopedJoinHandle<'_, Attempt<Listed>>| match other.join() {
            Ok(listed) => listed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        first.into_iter().chain(others.into_iter().map(join)).collect()
    });
    let mut page = Page::default();
    for listed in listed {
        let listed = listed?;
        page.entries.extend(listed.page.entries);
        match depth {
            Depth::Children => page.directories.extend(listed.collections),
            Depth::All => waiting.extend(listed.collections.into_iter().map(Some)),
        }
    }
    let lines: Vec<&str> = waiting.iter().flatten().map(Key::as_str).collect();
    page.next = Some(lines.join("\n")).filter(|lines| !lines.is_empty());
    Ok(page)
}

/// What lies in a collection. One that is missing has nothing in it.
fn list(dav: &WebDav, directory: Option<&Key>) -> Attempt<Listed> {
    let mut listed = Listed::default();
    let found = match (children(dav, directory.map_or("", Key::as_str)), directory) {
        // A file in its place, or above it.
        (Err(failure), Some(key))
            if failure.cause == Cause::Invalid
                && (dav.file(key)?.is_some() || dav.is_below_a_file(key, &failure)?) =>
        {
            Vec::new()
        }
        (found, _) => found?,
    };
    for (name, resource) in found {
        // A name that is no key belongs to somebody else, as `tmp` belongs to uploads.
        let Ok(key) = Key::below(directory, &name) else { continue };
        if resource.is_collection {
            listed.collections.push(key);
        } else {
            listed.page.entries.push(resource.entry(key)?);
        }
    }
    Ok(listed)
}

fn children(dav: &WebDav, below: &str) -> Attempt<Vec<(String, Resource)>> {
    let address = dav.address.collection(below);
    let resources = dav.properties(address.clone(), Levels::Children)?.unwrap_or_default();
    let parent: Vec<&str> = dav.address.segments(below).collect();
    let mut children = Vec::new();
    for resource in resources {
        let segments = super::address::segments_of(&resource.href);
        match segments.as_deref() {
            Some(segments) if segments == parent => {}
            Some([above @ .., name]) if above == parent => children.push((name.clone(), resource)),
            // Left out, it would be an object that nobody sees.
            _ => {
                let message = format!("it lists {} below {address}", resource.href);
                return Err(Failure::new(Cause::Protocol, crate::http::one_line(&message)));
            }
        }
    }
    Ok(children)
}

/// Removes the files of uploads that were cut off.
pub(super) fn sweep(dav: &WebDav, older_than: Duration) -> Attempt<u64> {
    let mut removed = 0;
    let now = SystemTime::now();
    for (name, resource) in children(dav, TEMPORARY)? {
        // A time in the future comes from another clock and says nothing.
        let age = resource.modified.and_then(|modified| now.duration_since(modified).ok());
        let stale = age.is_some_and(|age| age >= older_than);
        if stale && !resource.is_collection && is_temporary(&name) {
            let url = dav.address.file(&format!("{TEMPORARY}/{name}"));
            removed += u64::from(dav.delete(url)?);
        }
    }
    Ok(removed)
}
