//! What is asked of a bucket or a container, before it is signed.

use std::ops::Range;

use super::ranged::range_header;
use super::{Body, Request};

/// A request to a bucket or a container, before it has an address and shows who it is from.
pub(crate) struct Call<'a> {
    pub(crate) method: &'static str,
    pub(crate) name: &'a str,
    pub(crate) query: Vec<(&'a str, &'a str)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body<'a>,
    /// Whether a checksum of the body goes with it, where the store keeps one.
    pub(crate) has_checksum: bool,
}

impl<'a> Call<'a> {
    /// Of an object, or of the bucket (`""`).
    pub(crate) fn new(method: &'static str, name: &'a str) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self { method, name, query, headers, body: Body::Nothing, has_checksum: false }
    }

    pub(crate) fn query(mut self, name: &'a str, value: &'a str) -> Self {
        self.query.push((name, value));
        self
    }

    /// A name in lower case.
    pub(crate) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Of an object's bytes within a range, as long as it is of this version.
    pub(crate) fn part(mut self, range: &Range<u64>, version: Option<&str>) -> Self {
        if let Some(range) = range_header(range) {
            self = self.header("range", range);
        }
        if let Some(version) = version {
            self = self.header("if-match", version);
        }
        self
    }

    pub(crate) fn headers(mut self, headers: &[(String, String)]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }

    pub(crate) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }

    pub(crate) fn checksum(mut self, wanted: bool) -> Self {
        self.has_checksum = wanted;
        self
    }

    /// The request at an address, without its headers. What is redirected was signed for another address.
    pub(crate) fn request(&self, url: String) -> Request<'a> {
        let request = Request::new(self.method, url).without_redirects();
        request.body(self.body.clone()).expect_if_large()
    }
}
