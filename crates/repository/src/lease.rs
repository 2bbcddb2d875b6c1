//! `leases/<host>/<name>/<epoch>.json`: who may write to a database's replica.
//!
//! An epoch is created, never changed, and does not lapse by itself: the holder shows by its uploads
//! that it is there. No storage looks at epochs when it takes an object. So the fence is the lineage:
//! who takes over closes those it finds, and begins another. What a former holder uploads to a closed
//! lineage does not count; readers see to that, whether or not it has noticed.

mod claim;
mod take;

use std::time::Duration;

use lifeboat_ltx::Txid;
use lifeboat_storage::{Key, Storage};
use serde::{Deserialize, Deserializer, Serialize};

pub use self::claim::{Claim, LeaseOutcome};
use crate::document::{key, parse_json, read_plain};
use crate::{DatabaseAddress, Error, LineageId, Result, Time, text};

/// The highest epoch that names can number.
const MAX_EPOCH: u32 = 99_999_999;

/// Who may write to a database's replica, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its number, from 1.
    pub epoch: u32,
    /// The state directory that may write.
    pub holder: String,
    /// What the holder's computer calls itself; for people.
    pub hostname: String,
    /// When it was taken: by the holder's clock or the storage's, whichever says later.
    pub taken: Time,
    /// The silence after which another may take the next epoch.
    pub ttl: Duration,
}

impl Lease {
    /// How old the holder's last look at the epochs may be when it uploads. One that looks this
    /// often ([`crate::Repository::confirm_lease`]) learns in time that it has lost the lease, also
    /// when it was asleep, or taken for dead while it uploaded.
    pub fn confirm_within(&self) -> Duration {
        self.ttl / 2
    }
}

/// A lineage that was closed, and the last of its transactions that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The lineage.
    pub lineage: LineageId,
    /// `None`: none of them counts.
    #[serde(rename = "after_txid", with = "text::optional")]
    pub after: Option<Txid>,
}

impl Fence {
    /// Whether a file of that lineage which ends here counts.
    pub(crate) fn admits(&self, max: Txid) -> bool {
        self.after.is_some_and(|after| max <= after)
    }
}

/// The members that the first version of the document had are demanded: with one lost, a fence would
/// be overlooked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    epoch: u32,
    holder: String,
    hostname: String,
    taken: Time,
    ttl_s: u64,
    #[serde(deserialize_with = "nullable")]
    lineage: Option<LineageId>,
    #[serde(with = "text::optional")]
    after_txid: Option<Txid>,
    #[serde(default)]
    others: Vec<Fence>,
}

/// Null, but not absent.
fn nullable<'de, D: Deserializer<'de>>(from: D) -> Result<Option<LineageId>, D::Error> {
    Option::deserialize(from)
}

impl Document {
    fn fences(&self) -> impl Iterator<Item = Fence> + '_ {
        let first = self.lineage.map(|lineage| Fence { lineage, after: self.after_txid });
        first.into_iter().chain(self.others.iter().copied())
    }

    /// What it says; `stored` is when the storage got it.
    fn lease(&self, stored: Time) -> Lease {
        Lease {
            epoch: self.epoch,
            holder: self.holder.clone(),
            hostname: self.hostname.clone(),
            taken: self.taken.max(stored),
            ttl: Duration::from_secs(self.ttl_s),
        }
    }
}

/// The fences of a database, of all epochs.
pub(crate) fn fences(storage: &dyn Storage, database: &DatabaseAddress) -> Result<Vec<Fence>> {
    let mut fences = Vec::new();
    for (epoch, _) in epochs(storage, database)? {
        fences.extend(read(storage, database, epoch)?.fences());
    }
    Ok(fences)
}

/// The newest epoch of a database.
fn newest(storage: &dyn Storage, database: &DatabaseAddress) -> Result<Option<Lease>> {
    let newest = epochs(storage, database)?.into_iter().max();
    newest.map(|(epoch, stored)| Ok(read(storage, database, epoch)?.lease(stored))).transpose()
}

/// The numbers of a database's epochs, and when the storage got each.
fn epochs(storage: &dyn Storage, database: &DatabaseAddress) -> Result<Vec<(u32, Time)>> {
    let directory = directory(database)?;
    let entries = storage.list(Some(&directory))?.into_iter();
    Ok(entries
        .filter_map(|entry| {
            Some((epoch(&directory, &entry.key)?, Time::from_system(entry.modified)))
        })
        .collect())
}

fn read(storage: &dyn Storage, database: &DatabaseAddress, epoch: u32) -> Result<Document> {
    let key = key_of(database, epoch)?;
    let document: Document = parse_json(&key, &read_plain(storage, &key)?)?;
    if document.epoch != epoch {
        return Err(Error::corrupt(&key, format!("it names epoch {}", document.epoch)));
    }
    Ok(document)
}

fn directory(database: &DatabaseAddress) -> Result<Key> {
    key(format!("leases/{}/{}", database.host(), database.name()))
}

fn key_of(database: &DatabaseAddress, epoch: u32) -> Result<Key> {
    key(format!("{}/{epoch:08}.json", directory(database)?))
}

fn epoch(directory: &Key, key: &Key) -> Option<u32> {
    let name = key.as_str().strip_prefix(directory.as_str())?.strip_prefix('/')?;
    let digits = name.strip_suffix(".json")?;
    if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|epoch| *epoch > 0)
}
