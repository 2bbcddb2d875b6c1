//! Where databases and lineages lie below a repository's URL, and what one listing shows.

use lifeboat_ltx::Txid;
use lifeboat_storage::{Entry, Key};

use crate::ltx_file::{LtxName, assemble};
use crate::plan::plan;
use crate::sealed::key;
use crate::{BackupId, Error, LineageId, LtxFile, Result, encode_name};

/// A database of a host: `databases/<host>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseAddress {
    key: Key,
    host: String,
    name: String,
}

impl DatabaseAddress {
    /// Of names as the user knows them.
    pub fn new(host: &str, name: &str) -> Result<Self> {
        Self::encoded(&encode_name(host)?, &encode_name(name)?)
    }

    /// Of names as they stand in keys.
    pub(crate) fn encoded(host: &str, name: &str) -> Result<Self> {
        let key = key(format!("databases/{host}/{name}"))?;
        Ok(Self { key, host: host.to_owned(), name: name.to_owned() })
    }

    /// The host as it stands in keys.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name as it stands in keys.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of all that belongs to the database.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// One of its lineages.
    pub fn lineage(&self, id: LineageId) -> Result<LineageAddress> {
        Ok(LineageAddress { key: key(format!("{}/{id}", self.key))?, database: self.clone(), id })
    }
}

/// A lineage of a database: `databases/<host>/<name>/<lineage>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageAddress {
    key: Key,
    database: DatabaseAddress,
    id: LineageId,
}

impl LineageAddress {
    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its database.
    pub fn database(&self) -> &DatabaseAddress {
        &self.database
    }

    /// Its id.
    pub fn id(&self) -> LineageId {
        self.id
    }

    pub(crate) fn origin(&self) -> Result<Key> {
        key(format!("{}/origin.json.zst.age", self.key))
    }

    pub(crate) fn pin(&self, txid: Txid, backup: BackupId) -> Result<Key> {
        key(format!("{}/pins/{txid}-{backup}", self.key))
    }
}

/// What one listing shows of a lineage.
#[derive(Clone, Debug, Default)]
pub struct LineageListing {
    /// Whole LTX files.
    pub files: Vec<LtxFile>,
    /// Objects of LTX files that are not whole.
    pub partial: Vec<Entry>,
    /// Pinned transactions, and for which backup.
    pub pins: Vec<(Txid, BackupId)>,
    /// Whether the origin is there.
    pub has_origin: bool,
    /// Objects that follow no pattern; not ours to touch.
    pub foreign: Vec<Entry>,
}

impl LineageListing {
    /// Reads the keys of a lineage.
    pub(crate) fn of(lineage: &LineageAddress, entries: Vec<Entry>) -> Self {
        let mut listing = Self::default();
        let mut objects = Vec::new();
        let prefix = format!("{}/", lineage.key());
        for entry in entries {
            let Some(path) = entry.key.as_str().strip_prefix(&prefix) else { continue };
            if path == "origin.json.zst.age" {
                listing.has_origin = true;
            } else if let Some((name, part)) = path.strip_prefix("ltx/").and_then(LtxName::parse) {
                objects.push((name, part, entry));
            } else if let Some(pin) = path.strip_prefix("pins/").and_then(parse_pin) {
                listing.pins.push(pin);
            } else {
                listing.foreign.push(entry);
            }
        }
        (listing.files, listing.partial) = assemble(objects);
        listing
    }

    /// The files that lead to a transaction.
    pub fn plan(&self, lineage: &LineageAddress, txid: Txid) -> Result<Vec<&LtxFile>> {
        plan(&self.files, txid).map_err(|reached| Error::NotRestorable {
            lineage: lineage.key().to_string(),
            txid,
            detail: match reached {
                Some(reached) => format!("its files lead to {reached} only"),
                None => "there is no whole base before it".to_owned(),
            },
        })
    }

    /// The highest transaction of any file.
    pub fn last(&self) -> Option<Txid> {
        self.files.iter().map(|file| file.name.max).max()
    }
}

fn parse_pin(file: &str) -> Option<(Txid, BackupId)> {
    let (txid, backup) = file.split_once('-')?;
    Some((txid.parse().ok()?, backup.parse().ok()?))
}
