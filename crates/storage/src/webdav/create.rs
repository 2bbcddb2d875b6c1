//! Publishes an object. The order of the steps is argued for in the module above.

use std::time::UNIX_EPOCH;

use super::{WebDav, refused};
use crate::http::Body;
use crate::key::TEMPORARY;
use crate::random::random_hex_for;
use crate::remote::{Attempt, NewObject};
use crate::{Cause, Failure, Key};

pub(super) fn create(dav: &WebDav, object: &NewObject<'_>) -> Attempt<bool> {
    let key = object.key;
    if dav.file(key)?.is_some() {
        return Ok(false);
    }
    dav.make_collection(TEMPORARY)?;
    dav.make_collection(key.parent().as_ref().map_or("", Key::as_str))?;
    let temporary = dav.address.file(&format!("{TEMPORARY}/{}", random_name()?));
    let moved = put(dav, &temporary, object).and_then(|()| place(dav, &temporary, key));
    if !matches!(moved, Ok(true)) {
        discard(dav, &temporary, &moved);
    }
    moved
}

/// A name that nobody else gives; [`is_temporary`] knows it again.
fn random_name() -> Attempt<String> {
    random_hex_for::<16>("name for an upload")
}

/// Whether a file in `tmp/` is one of ours.
pub(super) fn is_temporary(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn put(dav: &WebDav, url: &str, object: &NewObject<'_>) -> Attempt<()> {
    let NewObject { content, modified, .. } = *object;
    let mut request = dav
        .request("PUT", url.to_owned())
        .header("content-type", "application/octet-stream")
        .body(Body::Content(content, 0..content.size()))
        .expect_if_large();
    let since = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    if let Some(since) = since {
        request = request.header("x-oc-mtime", since.as_secs().to_string());
    }
    let response = dav.http.send(request)?;
    match response.status() {
        200 | 201 | 204 => Ok(()),
        404 | 409 => Err(removed_meanwhile(dav, refused(response))),
        _ => Err(refused(response)),
    }
}

/// Gives the file its name; `false` if that is taken.
fn place(dav: &WebDav, temporary: &str, key: &Key) -> Attempt<bool> {
    let request = dav
        .request("MOVE", temporary.to_owned())
        .header("destination", dav.address.file(key.as_str()))
        .header("overwrite", "F");
    let response = dav.http.send(request)?;
    match response.status() {
        200 | 201 | 204 => Ok(true),
        412 => Ok(false),
        404 | 409 => Err(removed_meanwhile(dav, refused(response))),
        _ => Err(refused(response)),
    }
}

/// A collection that was there before is missing: the next attempt makes it again.
fn removed_meanwhile(dav: &WebDav, failure: Failure) -> Failure {
    dav.collections.forget();
    Failure { cause: Cause::Unavailable, ..failure }
}

/// Removes what did not become an object, where the server can be expected to answer. What stays is for a
/// sweep, so that it is no failure of its own.
fn discard(dav: &WebDav, temporary: &str, moved: &Attempt<bool>) {
    use Cause::{TimedOut, Unreachable};
    let silent = |failure: &Failure| matches!(failure.cause, TimedOut | Unreachable);
    if !moved.as_ref().is_err_and(silent) {
        let _ = dav.delete(temporary.to_owned());
    }
}
