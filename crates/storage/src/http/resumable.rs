//! Uploads in pieces as Google has them, in Cloud Storage and in Drive: a session, which is an address, takes pieces
//! in their order, and tells what it has.

use std::ops::Range;

use super::{Body, Request, Response};
use crate::remote::Attempt;
use crate::{Cause, Content, Failure};

/// All pieces but the last are multiples of this.
pub(crate) const UNIT: u64 = 256 * 1024;
/// The status that says that a session waits for more.
pub(crate) const INCOMPLETE: u16 = 308;

/// Adds a piece, which is not empty, to a session.
pub(crate) fn piece<'a>(url: &str, content: &'a dyn Content, range: Range<u64>) -> Request<'a> {
    let Range { start, end } = range;
    let place = format!("bytes {start}-{}/{}", end.saturating_sub(1), content.size());
    Request::new("PUT", url).header("content-range", place).body(Body::Content(content, start..end))
}

/// Asks how far a session for so many bytes is.
pub(crate) fn question(url: &str, size: u64) -> Request<'static> {
    Request::new("PUT", url).header("content-range", format!("bytes */{size}"))
}

/// How many of so many bytes a session has that waits for more: `bytes=0-99`, or no header if it has none.
pub(crate) fn received(response: &Response, size: u64) -> Attempt<u64> {
    match response.header("range") {
        None => Ok(0),
        Some(range) => end(range, size).ok_or_else(|| {
            Failure::new(Cause::Protocol, "an upload has a range that was not sent")
        }),
    }
}

/// The number of bytes in `bytes=0-1023`.
fn end(range: &str, size: u64) -> Option<u64> {
    let last: u64 = range.strip_prefix("bytes=0-")?.parse().ok()?;
    (last < size).then(|| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        for (range, expected) in [
            ("bytes=0-9", Some(10)),
            ("bytes=0-99", Some(100)),
            ("bytes=0-100", None),
            ("bytes=1-9", None),
            ("0-9", None),
            ("bytes=0-18446744073709551615", None),
        ] {
            assert_eq!(end(range, 100), expected, "{range}");
        }
    }
}
