//! `lifeboat.json`: what a repository is.

use serde::{Deserialize, Serialize};

use crate::{Error, RepositoryId, Result, Time};

/// The format version this program writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The key of the marker.
pub(crate) const MARKER_KEY: &str = "lifeboat.json";

/// The marker of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The format version.
    pub lifeboat: u32,
    /// The repository's id.
    pub id: RepositoryId,
    /// `sealed`; `litestream` is known and not supported yet.
    pub form: String,
    /// Features that a reader must know.
    #[serde(default)]
    pub read: Vec<String>,
    /// Features that a writer must know.
    #[serde(default)]
    pub write: Vec<String>,
    /// When the repository was made.
    pub created: Time,
}

impl Marker {
    pub(crate) fn new() -> Self {
        Self {
            lifeboat: FORMAT_VERSION,
            id: RepositoryId::random(),
            form: "sealed".to_owned(),
            read: Vec::new(),
            write: Vec::new(),
            created: Time::now(),
        }
    }

    /// Refuses what this version cannot read.
    pub(crate) fn require_readable(&self, location: &str) -> Result<()> {
        let unknown = if self.lifeboat > FORMAT_VERSION {
            Some(format!("format version {}", self.lifeboat))
        } else if self.form != "sealed" {
            Some(format!("form {}", self.form))
        } else {
            self.read.first().cloned()
        };
        unknown.map_or(Ok(()), |feature| {
            Err(Error::UnknownFeature { location: location.to_owned(), feature })
        })
    }

    /// Refuses to write where this version does not know everything a writer must.
    pub(crate) fn require_writable(&self, location: &str) -> Result<()> {
        self.write.first().map_or(Ok(()), |feature| {
            Err(Error::UnknownFeature { location: location.to_owned(), feature: feature.clone() })
        })
    }
}
