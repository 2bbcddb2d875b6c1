//! Sends a body of known length.

use std::io::{self, Read};

use super::{Body, Request};
use crate::remote::Attempt;
use crate::{Cause, Error, Failure};

/// Reads exactly as many bytes as were announced. What goes wrong here is no fault of the connection.
pub(super) struct ContentBody<'a> {
    reader: Box<dyn Read + 'a>,
    length: u64,
    left: u64,
    failure: Option<Failure>,
}

impl<'a> ContentBody<'a> {
    /// `None` if the request has no body, not even an empty one.
    pub(super) fn new(request: &'a Request<'_>) -> Attempt<Option<Self>> {
        let length = request.body.length();
        let reader: Box<dyn Read + 'a> = match &request.body {
            // With these methods its absence is told by a length of 0.
            Body::Nothing if matches!(request.method, "POST" | "PUT" | "PATCH") => {
                Box::new(io::empty())
            }
            Body::Nothing => return Ok(None),
            Body::Bytes(bytes) => Box::new(&bytes[..]),
            Body::Content(content, range) => {
                content.read(range.clone()).map_err(|error| local(&error))?
            }
        };
        Ok(Some(Self { reader, length, left: length, failure: None }))
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Why it could not be read, if that is why nothing was answered.
    pub(super) fn into_failure(self) -> Option<Failure> {
        self.failure
    }

    fn fail(&mut self, error: &io::Error) -> io::Error {
        self.failure = Some(local(error));
        io::ErrorKind::Other.into()
    }
}

impl Read for ContentBody<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wanted = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        loop {
            match self.reader.read(&mut buf[..wanted]) {
                Ok(0) => return Err(self.fail(&io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    self.left -= read as u64;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }
}

/// An error of what is sent, with its sources.
fn local(error: &io::Error) -> Failure {
    let mut message = format!("what is to be sent cannot be read: {error}");
    let inner = Error::inside(error).map(|inner| inner as &dyn std::error::Error);
    let mut source = inner.and_then(std::error::Error::source);
    while let Some(error) = source {
        message.push_str(&format!(": {error}"));
        source = error.source();
    }
    Failure::new(Cause::Local, message)
}
