//! `leases/<host>/<name>/<epoch>.json`: who may write to a database's replica.
//!
//! This version takes no lease yet, but obeys the fences it finds: what a former holder uploaded
//! after another took over does not count.

use lifeboat_ltx::Txid;
use lifeboat_storage::{Key, Storage};
use serde::{Deserialize, Deserializer};

use crate::document::{key, parse_json, read_plain};
use crate::{DatabaseAddress, Error, LineageId, Result, Time, text};

/// A lineage that was closed, and the last of its transactions that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) lineage: LineageId,
    /// `None`: none of them counts.
    pub(crate) after: Option<Txid>,
}

impl Fence {
    /// Whether a file of that lineage which ends here counts.
    pub(crate) fn admits(&self, max: Txid) -> bool {
        self.after.is_some_and(|after| max <= after)
    }
}

/// All members are demanded: with one lost, a fence would be overlooked.
#[derive(Deserialize)]
struct Lease {
    epoch: u32,
    #[serde(rename = "holder")]
    _holder: String,
    #[serde(rename = "hostname")]
    _hostname: String,
    #[serde(rename = "taken")]
    _taken: Time,
    #[serde(rename = "ttl_s")]
    _ttl_s: u64,
    #[serde(deserialize_with = "nullable")]
    lineage: Option<LineageId>,
    #[serde(with = "text::optional")]
    after_txid: Option<Txid>,
}

/// Null, but not absent.
fn nullable<'de, D: Deserializer<'de>>(from: D) -> Result<Option<LineageId>, D::Error> {
    Option::deserialize(from)
}

/// The fences of a database, of all epochs.
pub(crate) fn fences(storage: &dyn Storage, database: &DatabaseAddress) -> Result<Vec<Fence>> {
    let directory = key(format!("leases/{}/{}", database.host(), database.name()))?;
    let mut fences = Vec::new();
    for entry in storage.list(Some(&directory))? {
        let Some(epoch) = epoch(&directory, &entry.key) else { continue };
        let lease: Lease = parse_json(&entry.key, &read_plain(storage, &entry.key)?)?;
        if lease.epoch != epoch {
            return Err(Error::corrupt(&entry.key, format!("it names epoch {}", lease.epoch)));
        }
        if let Some(lineage) = lease.lineage {
            fences.push(Fence { lineage, after: lease.after_txid });
        }
    }
    Ok(fences)
}

fn epoch(directory: &Key, key: &Key) -> Option<u32> {
    let name = key.as_str().strip_prefix(directory.as_str())?.strip_prefix('/')?;
    let digits = name.strip_suffix(".json")?;
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|epoch| *epoch > 0)
}
