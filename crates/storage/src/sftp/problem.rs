//! Why there is no connection.

use std::fmt;
use std::io;

use crate::Error;

/// Why a server cannot be reached, or was lost: what decides the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SftpProblem {
    /// The program that connects is not there: OpenSSH's client is not installed.
    ProgramMissing,
    /// The options do not fit: a path that cannot be given to ssh, a configuration it refuses.
    Configuration,
    /// The host's key is in no file of known hosts.
    HostKeyUnknown,
    /// The host has another key than the known one.
    HostKeyChanged,
    /// The server did not let the user in.
    Denied,
    /// The host's name leads to no address.
    NameUnresolved,
    /// Nothing listens at the host's port.
    Refused,
    /// No way leads to the host.
    Unreachable,
    /// No answer in time, at the beginning or later.
    TimedOut,
    /// The server has no SFTP subsystem, or it does not start.
    NoSubsystem,
    /// What answers does not speak SFTP version 3 as it should.
    Protocol,
    /// The connection ended without one of the reasons above.
    Lost,
}

impl SftpProblem {
    /// The kind of the [`io::Error`] that carries it.
    #[must_use]
    pub fn kind(self) -> io::ErrorKind {
        match self {
            Self::ProgramMissing | Self::NoSubsystem => io::ErrorKind::Unsupported,
            Self::Configuration => io::ErrorKind::InvalidInput,
            Self::HostKeyUnknown | Self::HostKeyChanged | Self::Denied => {
                io::ErrorKind::PermissionDenied
            }
            Self::NameUnresolved | Self::Unreachable => io::ErrorKind::HostUnreachable,
            Self::Refused => io::ErrorKind::ConnectionRefused,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::Protocol => io::ErrorKind::InvalidData,
            Self::Lost => io::ErrorKind::ConnectionReset,
        }
    }

    /// The problem behind an error of an SFTP storage; `None` if a server that was reached said no.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let Error::Storage { source, .. } = error else { return None };
        source.get_ref()?.downcast_ref::<NoConnection>().map(|found| found.problem)
    }
}

/// Why there is no connection (any more), for whoever waits for an answer.
#[derive(Clone, Debug)]
pub(super) struct NoConnection {
    pub(super) problem: SftpProblem,
    pub(super) message: String,
}

impl NoConnection {
    pub(super) fn new(problem: SftpProblem, message: impl Into<String>) -> Self {
        Self { problem, message: message.into() }
    }
}

impl fmt::Display for NoConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for NoConnection {}

impl From<NoConnection> for io::Error {
    fn from(error: NoConnection) -> Self {
        Self::new(error.problem.kind(), error)
    }
}
