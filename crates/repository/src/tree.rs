//! Where databases and lineages lie below a repository's URL, and what one listing shows.

use lifeboat_ltx::Txid;
use lifeboat_storage::{Entry, Key};

use crate::document::key;
use crate::form::Layout;
use crate::lease::Fence;
use crate::ltx_file::{LtxName, assemble};
use crate::names::is_encoded_name;
use crate::plan::plan;
use crate::{BackupId, Error, Form, LineageId, LtxFile, Result, encode_name};

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

    fn is(&self, host: &str, name: &str, id: LineageId) -> bool {
        self.id == id && self.database.host == host && self.database.name == name
    }

    pub(crate) fn origin(&self, form: Form) -> Result<Key> {
        key(format!("{}/origin{}", self.key, form.document_suffix()))
    }

    /// Transaction and backup of a pin of this lineage.
    pub(crate) fn parse_pin(&self, key: &Key) -> Option<(Txid, BackupId)> {
        parse_pin(key.as_str().strip_prefix(self.key.as_str())?.strip_prefix("/pins/")?)
    }

    pub(crate) fn pin(&self, txid: Txid, backup: BackupId) -> Result<Key> {
        key(format!("{}/pins/{txid}-{backup}", self.key))
    }
}

/// Host, name, lineage and the rest of a key below `databases/`; `None` for keys that are not ours.
pub(crate) fn split(key: &Key) -> Option<(&str, &str, LineageId, &str)> {
    let mut parts = key.as_str().strip_prefix("databases/")?.splitn(4, '/');
    let (host, name) = (parts.next()?, parts.next()?);
    let (lineage, rest) = (parts.next()?.parse().ok()?, parts.next()?);
    (is_encoded_name(host) && is_encoded_name(name)).then_some((host, name, lineage, rest))
}

/// The objects of each lineage, from a listing of `databases/`, which is in the order of keys.
pub(crate) fn by_lineage(entries: Vec<Entry>) -> Result<Vec<(LineageAddress, Vec<Entry>)>> {
    let mut lineages: Vec<(LineageAddress, Vec<Entry>)> = Vec::new();
    for entry in entries {
        let Some((host, name, id, _)) = split(&entry.key) else { continue };
        match lineages.last_mut() {
            Some((last, entries)) if last.is(host, name, id) => entries.push(entry),
            _ => {
                let lineage = DatabaseAddress::encoded(host, name)?.lineage(id)?;
                lineages.push((lineage, vec![entry]));
            }
        }
    }
    Ok(lineages)
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
    /// The highest transaction that the name of any object ends with, whole file or not.
    pub highest: Option<Txid>,
    /// Whether a lease closed the lineage: what comes after does not count.
    pub fenced: bool,
    /// Objects that follow no pattern; not ours to touch.
    pub foreign: Vec<Entry>,
}

impl LineageListing {
    /// Reads the keys of a lineage.
    pub(crate) fn of(lineage: &LineageAddress, entries: Vec<Entry>, layout: Layout) -> Self {
        let Layout { form, part_bytes } = layout;
        let mut listing = Self::default();
        let mut objects = Vec::new();
        let prefix = format!("{}/", lineage.key());
        for entry in entries {
            let Some(path) = entry.key.as_str().strip_prefix(&prefix) else { continue };
            let ltx = path.strip_prefix("ltx/");
            if path.strip_prefix("origin") == Some(form.document_suffix()) {
                listing.has_origin = true;
            } else if let Some((name, part)) =
                ltx.and_then(|path| LtxName::parse(form, path, entry.modified))
            {
                listing.highest = listing.highest.max(Some(name.max));
                objects.push((name, part, entry));
            } else if let Some(pin) = path.strip_prefix("pins/").and_then(parse_pin) {
                listing.pins.push(pin);
            } else {
                listing.foreign.push(entry);
            }
        }
        (listing.files, listing.partial) = assemble(objects, part_bytes);
        listing
    }

    /// Takes out the files that do not count since a lease closed the lineage.
    pub(crate) fn obey(&mut self, lineage: LineageId, fences: &[Fence]) {
        for fence in fences.iter().filter(|fence| fence.lineage == lineage) {
            self.fenced = true;
            self.files.retain(|file| fence.admits(file.name.max));
        }
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

pub(crate) fn parse_pin(file: &str) -> Option<(Txid, BackupId)> {
    let (txid, backup) = file.split_once('-')?;
    Some((txid.parse().ok()?, backup.parse().ok()?))
}
