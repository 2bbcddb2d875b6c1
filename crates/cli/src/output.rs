//! Text and JSON on standard output, errors on standard error.

pub(crate) mod entry;
pub(crate) mod table;
pub(crate) mod terminal;
pub(crate) mod timeline;

pub(crate) use lifeboat::size;

use std::error::Error as _;
use std::io::{self, Write};

use lifeboat::Error;
use serde_json::Value;

use crate::exit::Exit;
use crate::hint;

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").map_err(|source| Error::Output { source })
}

/// Writes a JSON value as one line.
pub(crate) fn json(value: &Value) -> Result<(), Error> {
    line(&value.to_string())
}

/// Writes a note to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes an error, what is behind it, and what to do.
pub(crate) fn error(error: &Error, exit: Exit, json: bool) {
    let (text, hint) = (chain(error), hint::of_error(error));
    let mut err = io::stderr().lock();
    let _ = if json {
        let value = serde_json::json!({
            "message_type": "error", "code": exit as u8, "message": text, "hint": hint,
        });
        writeln!(err, "{value}")
    } else {
        writeln!(err, "error: {text}").and_then(|()| match hint {
            Some(hint) => writeln!(err, "hint: {hint}"),
            None => Ok(()),
        })
    };
}

/// An error and its causes as one line; a cause that the line before it says already is left out.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Whether an error is that the reader of standard output went away.
pub(crate) fn is_closed_pipe(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::BrokenPipe;
        }
        cause = error.source();
    }
    false
}
