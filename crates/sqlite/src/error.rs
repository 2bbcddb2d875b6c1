//! What can go wrong between a database and its pages.

use std::io;
use std::path::PathBuf;

/// The result of an operation on a database.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a database file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing at the path.
    #[error("database {} does not exist", path.display())]
    Missing {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file does not begin with SQLite's magic: something else, or an encrypted database.
    #[error("{} is not an SQLite database (or it is encrypted)", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// Another connection holds a lock that keeps readers out.
    #[error("database {} is locked by another connection", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// SQLite's own error.
        #[source]
        source: rusqlite::Error,
    },
    /// SQLite refused an operation.
    #[error("cannot {operation} database {}", path.display())]
    Sqlite {
        /// What was being done: `open`, `read`, …
        operation: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's own error.
        #[source]
        source: rusqlite::Error,
    },
    /// The file contradicts itself.
    #[error("database {} is corrupt: {detail}", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was expected and what was found.
        detail: String,
    },
    /// A page array or a file of changes is damaged, unfinished, or of another page size.
    #[error("page array {} cannot be used: {detail}", path.display())]
    PageArray {
        /// The page array.
        path: PathBuf,
        /// What was expected and what was found.
        detail: String,
    },
    /// An LTX file that was being applied or written is not what it should be.
    #[error("cannot {operation} an ltx file of {}", path.display())]
    Ltx {
        /// `write` or `apply`.
        operation: &'static str,
        /// The database.
        path: PathBuf,
        /// The codec's error.
        #[source]
        source: lifeboat_ltx::Error,
    },
    /// LTX files were applied that do not continue each other.
    #[error("ltx file does not continue what was restored so far: {detail}")]
    Discontinuous {
        /// What was expected and what was found.
        detail: String,
    },
    /// The restored image fails SQLite's own check.
    #[error("integrity check of {} failed: {}", path.display(), findings.join("; "))]
    Integrity {
        /// The checked file.
        path: PathBuf,
        /// The first findings of `PRAGMA integrity_check`.
        findings: Vec<String>,
    },
    /// The target of a restore is there already.
    #[error("{} exists already", path.display())]
    TargetExists {
        /// The target.
        path: PathBuf,
    },
    /// The target of a restore is open elsewhere.
    #[error("{} is in use{}", path.display(), users.as_ref().map(|u| format!(" by {u}")).unwrap_or_default())]
    TargetInUse {
        /// The target.
        path: PathBuf,
        /// Which processes have it open, where the system tells.
        users: Option<String>,
    },
    /// A file operation failed.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The SQLite library in this program cannot do what is needed.
    #[error("unusable sqlite library: {detail}")]
    Engine {
        /// What is missing and how to build with it.
        detail: String,
    },
}

impl Error {
    /// Sorts SQLite's errors into the ones that a user acts on differently.
    pub(crate) fn sqlite(
        operation: &'static str,
        path: &std::path::Path,
        source: rusqlite::Error,
    ) -> Self {
        use rusqlite::ErrorCode;
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Locked { path, source }
            }
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt { path, detail: source.to_string() },
            _ => Self::Sqlite { operation, path, source },
        }
    }

    /// Wraps the error of a file operation.
    pub(crate) fn file(
        operation: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { operation, path: path.to_owned(), source }
    }
}
