//! Part of an object.

use std::io::{self, Read};
use std::ops::Range;

use super::Response;
use crate::remote::{Attempt, Opened};
use crate::{Cause, Failure};

/// No object is larger, and no server takes a larger number: those written in C or Go have it signed.
const MAX_POSITION: u64 = i64::MAX.unsigned_abs();

/// Whether no object has a byte in a range, so that it is enough to ask whether the object is there.
pub(crate) fn is_nothing(range: &Range<u64>) -> bool {
    range.is_empty() || range.start >= MAX_POSITION
}

/// The header that asks for a range in which there may be something; `None` where it is everything.
pub(crate) fn range_header(range: &Range<u64>) -> Option<String> {
    match (range.start, range.end) {
        (0, u64::MAX) => None,
        (start, end) if end > MAX_POSITION => Some(format!("bytes={start}-")),
        (start, end) => Some(format!("bytes={start}-{}", end - 1)),
    }
}

/// An object of which there is nothing in a range.
pub(crate) fn nothing() -> Opened {
    Opened { reader: Box::new(io::empty()), version: None }
}

/// The bytes of a range out of a successful answer, which may be all of the object: not all servers heed a
/// range, least of all one with numbers this large. An answer of unknown length is refused, because nobody could
/// tell whether it is whole.
pub(crate) fn opened(response: Response, range: &Range<u64>) -> Attempt<Opened> {
    let odd = |what: &str| Failure::new(Cause::Protocol, format!("an answer {what}"));
    let version = response.header("etag").map(str::to_owned);
    let length = response.length().ok_or_else(|| odd("that does not say how long it is"))?;
    let answered = match response.status() {
        206 => first_byte(response.header("content-range").unwrap_or_default())
            .ok_or_else(|| odd("that does not say which part it is"))?,
        _ => 0,
    };
    let skipped = range.start.checked_sub(answered);
    let skipped = skipped.ok_or_else(|| odd("with another part than was asked for"))?;
    if skipped >= length {
        return Ok(Opened { version, ..nothing() });
    }
    let reader = skip(response, skipped)?.take(range.end - range.start);
    Ok(Opened { reader: Box::new(reader), version })
}

/// The start of `bytes 0-9/100`.
pub(crate) fn first_byte(content_range: &str) -> Option<u64> {
    content_range.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
}

/// The rest of a body after so many bytes.
pub(crate) fn skip(response: Response, bytes: u64) -> Attempt<Box<dyn Read + Send>> {
    let mut reader = response.into_reader();
    io::copy(&mut reader.by_ref().take(bytes), &mut io::sink()).map_err(|error| {
        match error.downcast() {
            Ok(failure) => failure,
            Err(error) => Failure::new(Cause::Interrupted, error.to_string()),
        }
    })?;
    Ok(reader)
}
