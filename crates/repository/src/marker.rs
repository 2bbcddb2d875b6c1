//! `lifeboat.json`: what a repository is.

use lifeboat_storage::Storage;
use serde::{Deserialize, Serialize};

use crate::document::{key, parse_json, read_plain};
use crate::{Error, Form, RepositoryId, Result, Time};

/// The format version this program writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The key of the marker.
pub(crate) const MARKER_KEY: &str = "lifeboat.json";

/// The marker of a repository. Every member that the first version had must be there: nothing else guards them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The format version.
    pub lifeboat: u32,
    /// The repository's id.
    pub id: RepositoryId,
    /// How its objects are named and encoded.
    pub form: Form,
    /// Features that a reader must know.
    pub read: Vec<String>,
    /// Features that a writer must know.
    pub write: Vec<String>,
    /// When the repository was made.
    pub created: Time,
    /// Whether its storage was found to replace objects, so that every writer must look before it creates one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub look_before_create: bool,
}

impl Marker {
    pub(crate) fn new(form: Form) -> Self {
        Self {
            lifeboat: FORMAT_VERSION,
            id: RepositoryId::random(),
            form,
            read: Vec::new(),
            write: Vec::new(),
            created: Time::now(),
            look_before_create: false,
        }
    }

    /// Whether a storage holds a repository.
    pub fn is_there(storage: &dyn Storage) -> Result<bool> {
        Ok(storage.stat(&key(MARKER_KEY)?)?.is_some())
    }

    /// Reads the marker, and refuses what this version cannot read. Version and form are looked at
    /// first: another marker may have another shape.
    pub(crate) fn read(storage: &dyn Storage) -> Result<Self> {
        #[derive(Deserialize)]
        struct Shape {
            lifeboat: u64,
            form: Option<String>,
        }
        let key = key(MARKER_KEY)?;
        let bytes = read_plain(storage, &key)?;
        let unknown = |feature| Error::UnknownFeature { location: storage.location(), feature };
        let Shape { lifeboat, form } = parse_json(&key, &bytes)?;
        if lifeboat > u64::from(FORMAT_VERSION) {
            return Err(unknown(format!("format version {lifeboat}")));
        }
        if let Some(form) = form.filter(|form| Form::of_name(form).is_none()) {
            return Err(unknown(format!("form {form}")));
        }
        let marker: Self = parse_json(&key, &bytes)?;
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
