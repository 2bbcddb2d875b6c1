//! What went wrong with one path, while the rest goes on.

use std::io;
use std::path::PathBuf;

/// Something that could not be done to one path. The work goes on without it, so whoever gets one must
/// count it and tell it.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct Problem {
    /// What it concerns.
    pub path: PathBuf,
    /// What could not be done, as in "cannot _open_ /etc/shadow".
    pub operation: &'static str,
    /// Why.
    pub source: io::Error,
}

impl Problem {
    pub(crate) fn new(
        path: impl Into<PathBuf>,
        operation: &'static str,
        source: impl Into<io::Error>,
    ) -> Self {
        Self { path: path.into(), operation, source: source.into() }
    }
}
