//! Why a request did not do what it should.

use std::io;

use super::problem::NoConnection;
use super::reply::Status;

/// Why a request did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no.
    Refused(Status),
    /// There is no connection, or it ended before the answer came.
    Connection(NoConnection),
    /// What was found does not fit.
    Unfit(io::Error),
}

pub(super) const END_OF_FILE: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;
const BAD_MESSAGE: u32 = 5;
const UNSUPPORTED: u32 = 8;
/// The server's words are cut to this many characters.
const MAX_WORDS: usize = 200;

impl Failure {
    pub(super) fn unfit(kind: io::ErrorKind, message: impl Into<String>) -> Self {
        Self::Unfit(io::Error::new(kind, message.into()))
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused(Status { code: NO_SUCH_FILE, .. }))
    }

    /// The server gave no reason: the name is taken, the disk full, or something else.
    pub(super) fn has_no_reason(&self) -> bool {
        matches!(self, Self::Refused(Status { code: FAILURE, .. }))
    }
}

impl From<NoConnection> for Failure {
    fn from(error: NoConnection) -> Self {
        Self::Connection(error)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(status) => refused(&status),
            Failure::Connection(error) => error.into(),
            Failure::Unfit(error) => error,
        }
    }
}

fn refused(status: &Status) -> io::Error {
    let (kind, meaning) = match status.code {
        NO_SUCH_FILE => (io::ErrorKind::NotFound, "no such file or directory"),
        PERMISSION_DENIED => (io::ErrorKind::PermissionDenied, "permission denied"),
        FAILURE => (io::ErrorKind::Other, "the server refused without a reason"),
        BAD_MESSAGE => (io::ErrorKind::InvalidInput, "the server takes the request for a bad one"),
        UNSUPPORTED => (io::ErrorKind::Unsupported, "the server does not know this operation"),
        END_OF_FILE => (io::ErrorKind::UnexpectedEof, "the file ends early"),
        _ => (io::ErrorKind::Other, "the server refused"),
    };
    let words = printable(&status.message, MAX_WORDS);
    let repeats = words.is_empty() || words.to_ascii_lowercase() == meaning || words == "Failure";
    let text = if repeats { meaning.to_owned() } else { format!("{meaning} ({words})") };
    io::Error::new(kind, text)
}

/// A foreign text on one line, without what would move a terminal's cursor, cut to `limit`
/// characters.
pub(super) fn printable(text: &str, limit: usize) -> String {
    let line = text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    line.take(limit).collect()
}
