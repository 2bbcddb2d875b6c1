//! `origin.json.zst.age`: where a lineage came from.

use lifeboat_ltx::Txid;
use serde::{Deserialize, Serialize};

use crate::{LineageId, Time, text};

/// The version of the document that this program writes.
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
