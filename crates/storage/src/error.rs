//! What can go wrong with objects and with sealing.

use std::io;

use crate::{Cause, Failure, Key};

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation of this crate.
///
/// Streams ([`std::io::Read`], [`std::io::Write`]) can only return an [`io::Error`]: theirs carry
/// an `Error` inside, which [`Error::inside`] finds and [`Error::from_stream`] takes out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is no object key.
    #[error("invalid object key {key:?}: {reason}")]
    InvalidKey {
        /// The text that was given.
        key: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// An object was to be created under a key that is taken. The object there is whole, and as
    /// durable as one that was just published.
    #[error("{key} already exists in {location}")]
    Exists {
        /// The key that is taken.
        key: Key,
        /// Where.
        location: String,
    },
    /// An object to be read is not there.
    #[error("{key} does not exist in {location}")]
    NotFound {
        /// The key that names nothing.
        key: Key,
        /// Where.
        location: String,
    },
    /// The storage failed: disk full, no permission, connection lost.
    #[error("cannot {operation} {object} in {location}")]
    Storage {
        /// What was being done: "read", "publish".
        operation: &'static str,
        /// The key, or a path below the location where there is no key yet.
        object: String,
        /// Where.
        location: String,
        /// What the storage answered.
        #[source]
        source: io::Error,
    },
    /// The stream below a sealing or unsealing one failed; not damage.
    #[error("cannot {operation} a sealed stream")]
    Stream {
        /// What was being done: "read", "write".
        operation: &'static str,
        /// What the stream below answered.
        #[source]
        source: io::Error,
    },
    /// There is nobody to seal for.
    #[error("no recipient to seal for")]
    NoRecipient,
    /// Sealed for others: none of the identities given opens it.
    #[error("sealed for other recipients, none of the identities given opens it")]
    NotForUs,
    /// Sealed bytes are damaged, cut short or followed by others.
    #[error("sealed data is corrupt: {problem}")]
    Corrupt {
        /// What was expected and not found.
        problem: &'static str,
        /// What the decoder answered.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A sealed document is larger than its reader accepts.
    #[error("unsealed data is larger than the {limit_bytes} bytes accepted")]
    TooLarge {
        /// The most that was accepted.
        limit_bytes: usize,
    },
    /// The passphrase opens nothing here.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// A file wrapped with a passphrase asks for more work, and memory, than is accepted.
    #[error("passphrase work factor 2^{required} exceeds the accepted 2^{accepted}")]
    ExcessiveWork {
        /// Binary logarithm of the N it asks for.
        required: u8,
        /// Binary logarithm of the largest N accepted.
        accepted: u8,
    },
}

impl Error {
    /// The error of this crate that an error of a stream carries, if it does.
    #[must_use]
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The error of this crate that an error of a stream carries; an error that carries none
    /// becomes [`Error::Stream`] of `operation`.
    #[must_use]
    pub fn from_stream(operation: &'static str, error: io::Error) -> Self {
        error.downcast().unwrap_or_else(|source| Self::Stream { operation, source })
    }

    /// Where what failed is, if it is a place that failed.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::Exists { location, .. }
            | Self::NotFound { location, .. }
            | Self::Storage { location, .. } => Some(location),
            _ => None,
        }
    }

    /// Whether the store, or the disk, takes nothing at all for now: it cannot be reached, or is full.
    #[must_use]
    pub fn takes_nothing(&self) -> bool {
        let Self::Storage { source, .. } = self else { return false };
        source.kind() == io::ErrorKind::StorageFull
            || Failure::of(self).is_some_and(|failure| failure.cause.may_pass())
    }

    /// Whether the store keeps an object from being removed for now ([`Cause::Protected`]).
    #[must_use]
    pub fn is_protected(&self) -> bool {
        Failure::of(self).is_some_and(|failure| failure.cause == Cause::Protected)
    }

    pub(crate) fn corrupt(
        problem: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt { problem, source: Some(source.into()) }
    }
}

/// For streams: the kind of the cause is kept, damage is [`io::ErrorKind::InvalidData`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::InvalidKey { .. } | Error::NoRecipient => io::ErrorKind::InvalidInput,
            Error::Exists { .. } => io::ErrorKind::AlreadyExists,
            Error::NotFound { .. } => io::ErrorKind::NotFound,
            Error::Storage { source, .. } | Error::Stream { source, .. } => source.kind(),
            Error::Corrupt { .. } | Error::TooLarge { .. } => io::ErrorKind::InvalidData,
            Error::NotForUs | Error::WrongPassphrase | Error::ExcessiveWork { .. } => {
                io::ErrorKind::PermissionDenied
            }
        };
        io::Error::new(kind, error)
    }
}
