//! How to walk.

use std::fmt;
use std::sync::Arc;

use crate::{Entry, Excludes};

/// Whether an entry is to be left out. Asked before its extended attributes are read and, of a directory,
/// before anything in it is looked at.
pub type Skip = Arc<dyn Fn(&Entry) -> bool + Send + Sync>;

/// How to walk.
#[derive(Clone)]
pub struct WalkOptions {
    /// Stay on the file systems that the named paths are on: directories on which others are mounted are
    /// empty.
    pub one_file_system: bool,
    /// What is left out below the named paths.
    pub excludes: Excludes,
    /// Read extended attributes. A walk that only counts can do without.
    pub attributes: bool,
    /// What the caller leaves out, named paths included.
    pub skip: Option<Skip>,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { one_file_system: false, excludes: Excludes::default(), attributes: true, skip: None }
    }
}

impl fmt::Debug for WalkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalkOptions")
            .field("one_file_system", &self.one_file_system)
            .field("excludes", &self.excludes)
            .field("attributes", &self.attributes)
            .field("skip", &self.skip.is_some())
            .finish()
    }
}
