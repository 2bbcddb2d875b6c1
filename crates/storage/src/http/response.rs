//! What is answered.

use std::io::{self, Read};

use ureq::http::{self, HeaderMap};

use super::{explain, of_status};
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// As much of an error's text is read.
const MAX_ERROR_BYTES: u64 = 64 * 1024;

/// An answer, of which the body has not been read yet.
pub(crate) struct Response {
    host: String,
    secrets: Vec<String>,
    status: u16,
    headers: HeaderMap,
    body: ureq::Body,
}

impl Response {
    pub(super) fn new(
        host: String,
        secrets: Vec<String>,
        response: http::Response<ureq::Body>,
    ) -> Self {
        let (head, body) = response.into_parts();
        Self { host, secrets, status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// From 200 to 299.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header; `None` if it is missing or no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the body should have: a reader that ends earlier fails. `None` where the connection's end is the
    /// body's, so that nobody can tell whether it is whole.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The body. Its errors are [`Failure`]s.
    pub(crate) fn into_reader(self) -> Box<dyn Read + Send> {
        Box::new(BodyReader { host: self.host, reader: self.body.into_reader() })
    }

    /// All of the body, which must not be larger than this.
    pub(crate) fn bytes(self, limit: u64) -> Attempt<Vec<u8>> {
        let host = self.host.clone();
        let mut bytes = Vec::new();
        let mut reader = self.into_reader().take(limit.saturating_add(1));
        reader.read_to_end(&mut bytes).map_err(into_failure)?;
        if bytes.len() as u64 > limit {
            let message = format!("{host}: an answer of more than {limit} bytes");
            return Err(Failure::new(Cause::Protocol, message));
        }
        Ok(bytes)
    }

    /// All of the body as text, which must not be larger than this.
    pub(crate) fn text(self, limit: u64) -> Attempt<String> {
        let host = self.host.clone();
        String::from_utf8(self.bytes(limit)?).map_err(|_| {
            Failure::new(Cause::Protocol, format!("{host}: an answer that is no text"))
        })
    }

    /// The failure that its status says, with its body as the message.
    pub(crate) fn into_failure(self) -> Failure {
        self.into_failure_saying(str::to_owned)
    }

    /// The failure that its status says; `message` finds in its body what is to be shown.
    pub(crate) fn into_failure_saying(self, message: impl FnOnce(&str) -> String) -> Failure {
        let (status, retry_after) = (self.status, self.header("retry-after").map(str::to_owned));
        let secrets = self.secrets.clone();
        let mut bytes = Vec::new();
        // What is broken off is still worth showing; the status stands in any case.
        let _cut = self.into_reader().take(MAX_ERROR_BYTES).read_to_end(&mut bytes);
        let message = message(&String::from_utf8_lossy(&bytes));
        let shown = secrets.iter().fold(message, |text, secret| text.replace(secret, "…"));
        of_status(status, retry_after.as_deref(), &shown)
    }
}

/// The failure inside an error of a [`Response`]'s reader.
fn into_failure(error: io::Error) -> Failure {
    match error.downcast() {
        Ok(failure) => failure,
        Err(error) => Failure::new(Cause::Interrupted, error.to_string()),
    }
}

struct BodyReader {
    host: String,
    reader: ureq::BodyReader<'static>,
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => explain::reading(&self.host, &error).into(),
        })
    }
}
