//! Reads an object, also from servers that do not know ranges.

use std::io::Read;
use std::ops::Range;

use super::{WebDav, refused};
use crate::http::{Response, first_byte, is_nothing, nothing, range_header, skip};
use crate::remote::{Attempt, Opened};
use crate::{Cause, Failure, Key};

pub(super) fn open(
    dav: &WebDav,
    key: &Key,
    range: Range<u64>,
    version: Option<&str>,
) -> Attempt<Option<Opened>> {
    if is_nothing(&range) {
        return Ok(dav.file(key)?.map(|_| nothing()));
    }
    let mut request = dav.request("GET", dav.address.file(key.as_str()));
    if let Some(range) = range_header(&range) {
        request = request.header("range", range);
    }
    let response = dav.http.send(request)?;
    let version_now = version_of(&response);
    if version.is_some() && version != version_now.as_deref() && response.is_success() {
        return Ok(None);
    }
    let length = range.end - range.start;
    let reader: Box<dyn Read + Send> = match response.status() {
        206 => {
            check_start(&response, range.start)?;
            Box::new(response.into_reader().take(length))
        }
        200 => Box::new(skip(response, range.start)?.take(length)),
        // Beyond its end, if it is there at all, and a file.
        416 => return Ok(dav.file(key)?.map(|_| nothing())),
        // Collections: some list them as a page, some refuse.
        301 | 302 | 307 | 308 | 404 | 405 | 410 => return Ok(None),
        _ => {
            let failure = refused(response);
            return if dav.is_below_a_file(key, &failure)? { Ok(None) } else { Err(failure) };
        }
    };
    Ok(Some(Opened { reader, version: version_now }))
}

/// The entity tag, which may have been weak in the second in which the file was written; or time and size.
fn version_of(response: &Response) -> Option<String> {
    if let Some(tag) = response.header("etag") {
        return Some(tag.strip_prefix("W/").unwrap_or(tag).to_owned());
    }
    let size = match response.header("content-range") {
        Some(range) => range.rsplit_once('/')?.1.to_owned(),
        None => response.length()?.to_string(),
    };
    Some(format!("{} {size}", response.header("last-modified")?))
}

fn check_start(response: &Response, start: u64) -> Attempt<()> {
    if response.header("content-range").and_then(first_byte) == Some(start) {
        return Ok(());
    }
    Err(Failure::new(Cause::Protocol, "another range than was asked for"))
}
