//! Opens objects for reading.

use std::io::{self, Read};
use std::ops::Range;

use super::S3;
use super::client::Call;
use crate::http::Response;
use crate::remote::{Attempt, Opened};
use crate::{Cause, Failure, Key};

impl S3 {
    pub(super) fn open_object(
        &self,
        key: &Key,
        range: &Range<u64>,
        version: Option<&str>,
    ) -> Attempt<Option<Opened>> {
        if range.is_empty() {
            return Ok(self.head(key)?.map(|_| nothing()));
        }
        let name = self.name(key);
        let mut call = Call::new("GET", &name);
        if *range != (0..u64::MAX) {
            call = call.header("range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        if let Some(version) = version {
            call = call.header("if-match", version);
        }
        match self.client.send(&call)? {
            Ok(response) => opened(response, range).map(Some),
            // What begins beyond the end.
            Err(refusal) if refusal.status == 416 => Ok(Some(nothing())),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) if refusal.status == 412 && version.is_some() => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

fn nothing() -> Opened {
    Opened { reader: Box::new(io::empty()), version: None }
}

/// The bytes of a range, which may have been answered with all of the object.
fn opened(response: Response, range: &Range<u64>) -> Attempt<Opened> {
    let odd = |what: &str| Failure::new(Cause::Protocol, format!("an answer {what}"));
    let version = response.header("etag").map(str::to_owned);
    let Some(length) = response.length() else {
        return Err(odd("that does not say how long it is"));
    };
    let answered = match response.status() {
        206 => first_byte(response.header("content-range").unwrap_or_default())
            .ok_or_else(|| odd("that does not say which part it is"))?,
        _ => 0,
    };
    let Some(skipped) = range.start.checked_sub(answered) else {
        return Err(odd("with another part than was asked for"));
    };
    if skipped >= length {
        return Ok(Opened { version, ..nothing() });
    }
    let mut reader = response.into_reader();
    let failed = |error: io::Error| Failure::new(Cause::Interrupted, error.to_string());
    io::copy(&mut reader.by_ref().take(skipped), &mut io::sink()).map_err(failed)?;
    Ok(Opened { reader: Box::new(reader.take(range.end - range.start)), version })
}

/// The start of `bytes 0-9/100`.
fn first_byte(content_range: &str) -> Option<u64> {
    content_range.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
}
