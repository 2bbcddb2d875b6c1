//! `leases/<host>/<name>/<epoch>.json`: who may write to a database's replica.
//!
//! This version takes no lease yet, but obeys the fences it finds: what a former holder uploaded
//! after another took over does not count.

use lifeboat_ltx::Txid;
use lifeboat_storage::Storage;
use serde::Deserialize;

use crate::sealed::{key, read_plain_json};
use crate::{DatabaseAddress, LineageId, Result, text};

/// A lineage that was closed, and the last of its transactions that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) lineage: LineageId,
    pub(crate) after: Option<Txid>,
}

#[derive(Deserialize)]
struct Lease {
    lineage: Option<LineageId>,
    #[serde(default, with = "text::optional")]
    after_txid: Option<Txid>,
}

/// The fences of a database, of all epochs.
pub(crate) fn fences(storage: &dyn Storage, database: &DatabaseAddress) -> Result<Vec<Fence>> {
    let directory = key(format!("leases/{}/{}", database.host(), database.name()))?;
    let mut fences = Vec::new();
    for entry in storage.list(Some(&directory))? {
        let stem = entry.key.file_name().strip_suffix(".json");
        if !stem.is_some_and(|stem| stem.len() == 8 && stem.bytes().all(|b| b.is_ascii_digit())) {
            continue;
        }
        let lease: Lease = read_plain_json(storage, &entry.key)?;
        if let Some(lineage) = lease.lineage {
            fences.push(Fence { lineage, after: lease.after_txid });
        }
    }
    Ok(fences)
}
