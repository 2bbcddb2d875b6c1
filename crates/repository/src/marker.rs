//! `lifeboat.json`: what a repository is.

use lifeboat_storage::Storage;
use serde::{Deserialize, Serialize};

use crate::sealed::{key, parse_json, read_plain};
use crate::{Error, RepositoryId, Result, Time};

/// The format version this program writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The key of the marker.
pub(crate) const MARKER_KEY: &str = "lifeboat.json";

/// The marker of a repository. Every member must be there: nothing else guards them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The format version.
    pub lifeboat: u32,
    /// The repository's id.
    pub id: RepositoryId,
    /// `sealed`; `litestream` is known and not supported yet.
    pub form: String,
    /// Features that a reader must know.
    pub read: Vec<String>,
    /// Features that a writer must know.
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

    /// Reads the marker, and refuses what this version cannot read. The version is looked at
    /// first: a newer marker may have another shape.
    pub(crate) fn read(storage: &dyn Storage) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            lifeboat: u64,
        }
        let key = key(MARKER_KEY)?;
        let bytes = read_plain(storage, &key)?;
        let unknown = |feature| Error::UnknownFeature { location: storage.location(), feature };
        let Version { lifeboat } = parse_json(&key, &bytes)?;
        if lifeboat > u64::from(FORMAT_VERSION) {
            return Err(unknown(format!("format version {lifeboat}")));
        }
        let marker: Self = parse_json(&key, &bytes)?;
        if marker.form != "sealed" {
            return Err(unknown(format!("form {}", marker.form)));
        }
        marker.read.first().map_or(Ok(()), |feature| Err(unknown(feature.clone())))?;
        Ok(marker)
    }

    /// Refuses to write where this version does not know everything a writer must.
    pub(crate) fn require_writable(&self, location: &str) -> Result<()> {
        self.write.first().map_or(Ok(()), |feature| {
            Err(Error::UnknownFeature { location: location.to_owned(), feature: feature.clone() })
        })
    }
}
