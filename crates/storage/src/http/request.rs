//! What is asked for.

use std::ops::Range;

use ureq::http::header::{CONTENT_LENGTH, EXPECT};
use ureq::http::{self, HeaderName, HeaderValue, Method, Uri};

use crate::remote::Attempt;
use crate::{Cause, Content, Failure};

/// A body of so many bytes is large.
const LARGE: u64 = 1 << 20;

/// What is sent.
#[derive(Clone)]
pub(crate) enum Body<'a> {
    /// Nothing.
    Nothing,
    /// A document.
    Bytes(Vec<u8>),
    /// A range of a content.
    Content(&'a dyn Content, Range<u64>),
}

impl Body<'_> {
    /// Its bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Content(_, range) => range.end.saturating_sub(range.start),
        }
    }
}

/// A request; it can be sent again and again.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<Header>,
    pub(super) body: Body<'a>,
    pub(super) follows: bool,
}

#[derive(Clone)]
pub(super) struct Header {
    pub(super) name: String,
    value: String,
    secret: bool,
}

impl<'a> Request<'a> {
    /// `GET`, `PROPFIND`: a method, and an address, which stands in no error with its query.
    ///
    /// Where neither a method nor a body may be repeated elsewhere, redirects are answers like others;
    /// `GET` and `HEAD` follow them, without their headers where they lead to another host.
    pub(crate) fn new(method: &'static str, url: impl Into<String>) -> Self {
        let follows = matches!(method, "GET" | "HEAD");
        Self { method, url: url.into(), headers: Vec::new(), body: Body::Nothing, follows }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into(), secret: false });
        self
    }

    /// With a header that holds a secret: it, and its last word, are in no message of an answer either.
    pub(crate) fn secret_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.to_owned(), value: value.into(), secret: true });
        self
    }

    /// With a body.
    pub(crate) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }

    /// Gives the server a second to refuse the body before it is sent, if that is large.
    pub(crate) fn expect_if_large(self) -> Self {
        if self.body.length() < LARGE { self } else { self.header(EXPECT.as_str(), "100-continue") }
    }

    /// Takes a redirect as an answer like others.
    pub(crate) fn without_redirects(self) -> Self {
        Self { follows: false, ..self }
    }

    /// The host it goes to, with its port, for messages.
    pub(super) fn host(&self) -> String {
        let uri = self.url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or("the server");
        match uri.as_ref().and_then(Uri::port_u16) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What must not be repeated in a message.
    pub(super) fn secrets(&self) -> Vec<String> {
        let secret = self.headers.iter().filter(|header| header.secret);
        let words = secret.filter_map(|header| {
            header.value.rsplit([' ', '=', ',']).find(|word| !word.is_empty())
        });
        // What is shorter would cut common words out of messages.
        words.filter(|word| word.len() >= 8).map(str::to_owned).collect()
    }

    /// The request without its body, of which `length` bytes will follow.
    pub(super) fn head(&self, length: Option<u64>) -> Attempt<http::Request<()>> {
        let invalid = |what: &str| Failure::new(Cause::Invalid, format!("{what} cannot be sent"));
        let uri: Uri = self.url.parse().map_err(|_| invalid("this address"))?;
        let mut request = http::Request::new(());
        *request.method_mut() =
            Method::from_bytes(self.method.as_bytes()).map_err(|_| invalid(self.method))?;
        *request.uri_mut() = uri;
        for Header { name, value, secret } in &self.headers {
            let refused = || invalid(&format!("the header {name}"));
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
            value.set_sensitive(*secret);
            request.headers_mut().append(parsed, value);
        }
        if let Some(length) = length {
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        Ok(request)
    }
}
