//! In what the stores differ that speak S3.

use super::signature::{AWS4, GOOG4, Scheme};

/// In what a store differs from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The scheme of its URLs.
    pub(crate) name: &'static str,
    /// What its own headers begin with.
    headers: &'static str,
    pub(super) scheme: Scheme,
    /// The header of an upload that must not replace an object, and its value.
    pub(super) create_new: (&'static str, &'static str),
    /// Whether what is sent in parts may ask for that too; where not, a large object is sent in a session.
    pub(super) creates_new_in_parts: bool,
    /// Whether it wants a checksum of what is locked.
    pub(super) wants_checksums: bool,
}

impl Dialect {
    /// Amazon's, and what others understand by it.
    pub(crate) const S3: Self = Self {
        name: "s3",
        headers: "x-amz-",
        scheme: AWS4,
        create_new: ("if-none-match", "*"),
        creates_new_in_parts: true,
        wants_checksums: true,
    };

    /// Google's XML API.
    pub(crate) const GCS: Self = Self {
        name: "gcs",
        headers: "x-goog-",
        scheme: GOOG4,
        create_new: ("x-goog-if-generation-match", "0"),
        creates_new_in_parts: false,
        wants_checksums: false,
    };

    /// Backblaze's, which has no conditions on uploads.
    pub(crate) const B2: Self = Self { name: "b2", ..Self::S3 };

    /// The name of one of its own headers.
    pub(super) fn header(&self, name: &str) -> String {
        format!("{}{name}", self.headers)
    }
}
