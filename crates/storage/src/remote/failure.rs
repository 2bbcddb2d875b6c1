//! Why an attempt failed.

use std::fmt;
use std::io;
use std::time::Duration;

/// What stands behind a failure: what is done about it depends on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Its host cannot be resolved or connected to.
    Unreachable,
    /// There is no secure connection: an unknown or wrong certificate or host key.
    Untrusted,
    /// It was silent for too long.
    TimedOut,
    /// The connection broke.
    Interrupted,
    /// The credentials are missing, wrong, or expired.
    Unauthenticated,
    /// The credentials are known, and not allowed to do this.
    Denied,
    /// The bucket, folder or share is not there.
    NoContainer,
    /// Too many requests.
    Throttled,
    /// It failed on its side.
    Unavailable,
    /// It has no more room, or the quota is used up.
    Full,
    /// The clocks of here and there differ by too much.
    ClockSkew,
    /// An object is protected from removal for now.
    Protected,
    /// The address, or an option, makes no sense to it.
    Invalid,
    /// It answered something else than its protocol says.
    Protocol,
    /// A file on this side: what was to be sent could not be read.
    Local,
}

impl Cause {
    /// Whether it may pass by itself, so that trying again helps.
    #[must_use]
    pub fn may_pass(self) -> bool {
        use Cause::{Interrupted, Throttled, TimedOut, Unavailable, Unreachable};
        matches!(self, Unreachable | TimedOut | Interrupted | Throttled | Unavailable)
    }

    fn kind(self) -> io::ErrorKind {
        match self {
            Self::Unreachable => io::ErrorKind::HostUnreachable,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Interrupted => io::ErrorKind::ConnectionReset,
            Self::Untrusted | Self::Unauthenticated | Self::Denied | Self::Protected => {
                io::ErrorKind::PermissionDenied
            }
            Self::NoContainer => io::ErrorKind::NotFound,
            Self::Full => io::ErrorKind::StorageFull,
            Self::Invalid => io::ErrorKind::InvalidInput,
            Self::Protocol => io::ErrorKind::InvalidData,
            Self::Throttled | Self::Unavailable | Self::ClockSkew | Self::Local => {
                io::ErrorKind::Other
            }
        }
    }
}

/// Why an attempt failed. Inside the [`io::Error`] of an [`Error::Storage`](crate::Error::Storage);
/// [`Failure::of`] finds it there.
#[derive(Debug)]
pub struct Failure {
    /// What stands behind it.
    pub cause: Cause,
    /// What was answered, in words that can be shown: without secrets, one line.
    pub message: String,
    /// When the store wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), retry_after: None }
    }

    /// The failure behind an error.
    #[must_use]
    pub fn of(error: &crate::Error) -> Option<&Self> {
        match error {
            crate::Error::Storage { source, .. } => Self::inside(source),
            _ => None,
        }
    }

    /// The failure that an error of a stream carries, by itself or within one of this crate.
    #[must_use]
    pub fn inside(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        let within = || Self::of(inner.downcast_ref()?);
        inner.downcast_ref().or_else(within)
    }

    /// Whether the request may have had its effect although no answer came.
    #[must_use]
    pub fn may_have_come_through(&self) -> bool {
        use Cause::{Interrupted, TimedOut, Unavailable};
        matches!(self.cause, TimedOut | Interrupted | Unavailable)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::new(failure.cause.kind(), failure)
    }
}
