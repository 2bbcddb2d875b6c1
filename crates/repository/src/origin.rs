//! `origin.json.zst.age`: where a lineage came from.

use lifeboat_ltx::Txid;
use lifeboat_storage::Storage;
use serde::{Deserialize, Serialize};

use crate::document::{parse_versioned, read_document};
use crate::{DatabaseAddress, Error, Form, LineageAddress, LineageId, Result, Secrets, Time, text};

/// The version of the document that this program writes, and the newest it reads.
pub const ORIGIN_VERSION: u32 = 1;

/// Why a lineage began, and from what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// [`ORIGIN_VERSION`].
    pub version: u32,
    /// The host.
    pub host: String,
    /// The database's name.
    pub name: String,
    /// Its path on the host.
    pub path: String,
    /// Bytes in a page.
    pub page_size: u32,
    /// The lineage before it, where that is known.
    pub parent: Option<Parent>,
    /// Why it began; for people.
    pub reason: String,
    /// When.
    pub created: Time,
    /// The state directory that writes it.
    pub node: String,
}

/// A point in another lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The lineage.
    pub lineage: LineageId,
    /// The last transaction known of it.
    #[serde(with = "text")]
    pub txid: Txid,
}

impl Origin {
    /// Reads the origin of a lineage. It does not name its lineage, but must name the database.
    pub(crate) fn read(
        storage: &dyn Storage,
        form: Form,
        lineage: &LineageAddress,
        secrets: &Secrets,
    ) -> Result<Self> {
        let key = lineage.origin(form)?;
        let bytes = read_document(storage, &key, secrets)?;
        let origin: Self = parse_versioned(storage, &key, &bytes, ORIGIN_VERSION)?;
        if DatabaseAddress::new(&origin.host, &origin.name)? != *lineage.database() {
            let detail = format!("it names database {:?} of {:?}", origin.name, origin.host);
            return Err(Error::corrupt(&key, detail));
        }
        Ok(origin)
    }
}
