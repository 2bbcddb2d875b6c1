//! Reads an object, also from servers that do not know ranges.

use std::io::{self, Read};
use std::ops::Range;

use super::{WebDav, refused};
use crate::http::Response;
use crate::remote::{Attempt, Opened};
use crate::{Cause, Failure, Key};

/// What servers take as a position: those that are written in C or Go have it signed.
const MAX_POSITION: u64 = i64::MAX as u64;

pub(super) fn open(
    dav: &WebDav,
    key: &Key,
    range: Range<u64>,
    version: Option<&str>,
) -> Attempt<Option<Opened>> {
    if range.is_empty() || range.start >= MAX_POSITION {
        return Ok(dav.file(key)?.map(|_| Opened { reader: Box::new(io::empty()), version: None }));
    }
    let mut request = dav.request("GET", dav.address.file(key.as_str()));
    if range.start > 0 || range.end < MAX_POSITION {
        request = request.header("range", header(&range));
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
        416 => {
            return Ok(dav
                .file(key)?
                .map(|_| Opened { reader: Box::new(io::empty()), version: None }));
        }
        // Collections: some list them as a page, some refuse.
        301 | 302 | 307 | 308 | 404 | 405 | 410 => return Ok(None),
        _ => {
            let failure = refused(response);
            return if dav.is_below_a_file(key, &failure)? { Ok(None) } else { Err(failure) };
        }
    };
    Ok(Some(Opened { reader, version: version_now }))
}

fn header(range: &Range<u64>) -> String {
    if range.end > MAX_POSITION {
        format!("bytes={}-", range.start)
    } else {
        format!("bytes={}-{}", range.start, range.end - 1)
    }
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
    let told = response.header("content-range").and_then(|range| {
        let (first, _) = range.strip_prefix("bytes ")?.split_once('-')?;
        first.parse::<u64>().ok()
    });
    if told == Some(start) {
        return Ok(());
    }
    Err(Failure::new(Cause::Protocol, "another range than was asked for"))
}

/// The body from a position on, of a server that sends all.
fn skip(response: Response, start: u64) -> Attempt<Box<dyn Read + Send>> {
    let mut reader = response.into_reader();
    io::copy(&mut reader.by_ref().take(start), &mut io::sink()).map_err(|error| {
        match error.downcast() {
            Ok(failure) => failure,
            Err(error) => Failure::new(Cause::Interrupted, error.to_string()),
        }
    })?;
    Ok(reader)
}
