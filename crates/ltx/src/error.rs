//! What can go wrong, in the words of the format.

use std::io;

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an LTX file could not be read, written or merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes read are not a well-formed LTX file, or not the one that its checksums describe.
    #[error("corrupt LTX file: expected {expected} at byte {offset}, found {found}")]
    Corrupt {
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// What a sound file has there.
        expected: String,
        /// What this one has.
        found: String,
    },
    /// The reader failed.
    #[error("reading an LTX file at byte {offset}")]
    Read {
        /// Bytes received before the failure.
        offset: u64,
        /// The reader's error.
        #[source]
        source: io::Error,
    },
    /// The writer failed.
    #[error("writing an LTX file before byte {offset}")]
    Write {
        /// The end of the bytes that were being handed over.
        offset: u64,
        /// The writer's error.
        #[source]
        source: io::Error,
    },
    /// The caller asked for a file that the format forbids. Nothing of it was written.
    #[error("refused to write a malformed LTX file: expected {expected}, found {found}")]
    Refused {
        /// What the format demands.
        expected: String,
        /// What was asked for.
        found: String,
    },
    /// The files given to a merge do not follow each other.
    #[error("LTX files do not follow each other: expected {expected}, found {found}")]
    NotContiguous {
        /// What the next file should have said.
        expected: String,
        /// What it says.
        found: String,
    },
    /// One of the files given to a merge could not be read.
    #[error("LTX file {number} of a merge (counted from 1)")]
    Input {
        /// Its place in the list, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: Box<Error>,
    },
    /// A text is not what it should stand for.
    #[error("expected {expected}, found {found:?}")]
    Parse {
        /// The form that was expected.
        expected: &'static str,
        /// The text.
        found: String,
    },
    /// An earlier call on the same encoder, decoder or merge failed: what follows would be garbage.
    #[error("an earlier error ended this LTX file")]
    Ended,
}

impl Error {
    pub(crate) fn corrupt(
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Corrupt { offset, expected: expected.into(), found: found.into() }
    }

    pub(crate) fn refused(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Refused { expected: expected.into(), found: found.into() }
    }

    pub(crate) fn not_contiguous(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::NotContiguous { expected: expected.into(), found: found.into() }
    }
}
