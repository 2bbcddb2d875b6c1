//! What can go wrong in the application.

use std::io;
use std::path::{Path, PathBuf};

/// The result of an operation of the application.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A database could not be read or put back.
    #[error(transparent)]
    Database(#[from] lifeboat_sqlite::Error),
    /// A repository could not be used.
    #[error(transparent)]
    Repository(#[from] lifeboat_repository::Error),
    /// A file or directory of ours could not be used.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file of the state directory is damaged.
    #[error("state file {} is damaged: {detail}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The configuration is wrong.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where that is known.
        problem: String,
    },
    /// The request makes no sense.
    #[error("{problem}")]
    Usage {
        /// Why.
        problem: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// A password is needed and none was given.
    #[error("no password for repository {location}")]
    NoPassword {
        /// Which repository.
        location: String,
    },
    /// The program that should print the password failed.
    #[error("password command {command:?} failed: {problem}")]
    PasswordCommand {
        /// The command as configured.
        command: String,
        /// What happened.
        problem: String,
    },
    /// Another process of Lifeboat is at work on the same database.
    #[error("database {name} is being backed up by another process")]
    Busy {
        /// The database.
        name: String,
    },
    /// There is no backup that fits the request.
    #[error("no backup {wanted} in {location}")]
    NoBackup {
        /// What was asked for.
        wanted: String,
        /// Where.
        location: String,
    },
    /// The request fits several.
    #[error("{wanted:?} could be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it fits.
        candidates: Vec<String>,
    },
    /// There is not enough room.
    #[error("not enough room in {}: {needed} bytes needed, {free} free", path.display())]
    Space {
        /// The directory.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A backup holds something else than it says.
    #[error(
        "{name} of backup {backup} was restored with checksum {found}, its manifest says {expected}"
    )]
    WrongContent {
        /// The database.
        name: String,
        /// The backup.
        backup: String,
        /// The manifest's checksum.
        expected: String,
        /// The restored one.
        found: String,
    },
    /// Output could not be written.
    #[error("cannot write the output")]
    Output {
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { operation, path: path.to_owned(), source }
    }

    pub(crate) fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: Some(hint.into()) }
    }
}

impl From<lifeboat_storage::Error> for Error {
    fn from(error: lifeboat_storage::Error) -> Self {
        Self::Repository(error.into())
    }
}

/// An error and all that is behind it, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
