//! What can go wrong before a tree is walked. What goes wrong with one path of it is a
//! [`Problem`](crate::Problem).

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// Why a tree cannot be walked as it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was named.
    #[error("no path was named")]
    NoPaths,
    /// A path that cannot be named.
    #[error("cannot resolve the path {}", path.display())]
    Path {
        /// As it was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pattern that is malformed.
    #[error("the pattern {} is malformed", pattern.display())]
    Pattern {
        /// As it was given.
        pattern: OsString,
    },
    /// Something that marks directories without being the name of a file.
    #[error("{marker:?} is not the name of a file that marks a directory")]
    Marker {
        /// As it was given.
        marker: String,
    },
    /// A file with patterns that cannot be read.
    #[error("cannot read the patterns in {}", path.display())]
    PatternFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A variable in a file with patterns that is not in the environment. A pattern without it could fit
    /// anything.
    #[error("{}, line {line}: the variable {} is not set", path.display(), name.display())]
    Variable {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The variable.
        name: OsString,
    },
}

/// What fallible functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
