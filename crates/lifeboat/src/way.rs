//! A way to a point: the files to apply, decided from names and sizes.

use std::collections::HashMap;

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{DatabaseSource, LineageAddress, LineageListing, LtxFile, ObjectRef};
use lifeboat_storage::Key;

use crate::{Detour, OpenRepository, Progress, Result};

/// A point of a lineage, and a way to it.
#[derive(Debug)]
pub(crate) struct Way {
    /// The database's name, for messages.
    pub(crate) name: String,
    pub(crate) lineage: LineageAddress,
    pub(crate) txid: Txid,
    /// The bytes of the database there; 0 where they are not known yet.
    pub(crate) size_bytes: u64,
    /// What a manifest says that the way leads to.
    pub(crate) outcome: Option<Outcome>,
    /// What a manifest says of objects.
    pub(crate) objects: Vec<ObjectRef>,
    /// The files to apply, in order.
    pub(crate) files: Vec<LtxFile>,
    listing: LineageListing,
}

/// A database as a manifest describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) page_size: u32,
    pub(crate) page_count: u32,
    pub(crate) checksum: Checksum,
}

impl From<&DatabaseSource> for Outcome {
    fn from(database: &DatabaseSource) -> Self {
        let DatabaseSource { page_size, page_count, checksum, .. } = *database;
        Self { page_size, page_count, checksum }
    }
}

impl Way {
    /// To the point at which a backup holds a database; not planned yet.
    pub(crate) fn to_backup(
        opened: &OpenRepository<'_>,
        lineage: LineageAddress,
        database: &DatabaseSource,
    ) -> Result<Self> {
        let listing = opened.repository().listing(&lineage)?;
        Ok(Self {
            size_bytes: database.size_bytes,
            outcome: Some(database.into()),
            objects: database.objects.clone(),
            ..Self::to_point(database.name.clone(), lineage, listing, database.txid)
        })
    }

    /// To a point of which names alone are known; not planned yet.
    pub(crate) fn to_point(
        name: String,
        lineage: LineageAddress,
        listing: LineageListing,
        txid: Txid,
    ) -> Self {
        let (objects, files) = (Vec::new(), Vec::new());
        Self { name, lineage, txid, size_bytes: 0, outcome: None, objects, files, listing }
    }

    /// Plans, or plans again since the detour has grown: around what the detour has found and around
    /// objects of another size than a manifest says. The error names an object that is in the way.
    pub(crate) fn plan(&mut self, detour: &mut Detour, progress: &dyn Progress) -> Result<()> {
        let expected = self.expected();
        let mut in_the_way = None;
        loop {
            detour.apply(&mut self.listing);
            let way = match self.listing.plan(&self.lineage, self.txid) {
                Ok(way) => way,
                Err(error) => {
                    let missing = if detour.damaged.is_empty() { self.missing() } else { None };
                    return Err(in_the_way.unwrap_or_else(|| missing.unwrap_or(error).into()));
                }
            };
            let resized = way.iter().find_map(|file| Some((*file, resized(file, &expected)?)));
            let Some((file, error)) = resized else {
                self.files = way.into_iter().cloned().collect();
                return Ok(());
            };
            let error = error.into();
            detour.exclude(file, &error, progress);
            in_the_way.get_or_insert(error);
        }
    }

    /// Lists again: an object that is gone may have been replaced by others.
    pub(crate) fn list_again(&mut self, opened: &OpenRepository<'_>) -> Result<()> {
        self.listing = opened.repository().listing(&self.lineage)?;
        Ok(())
    }

    /// What a manifest says of objects, by key.
    pub(crate) fn expected(&self) -> HashMap<String, ObjectRef> {
        self.objects.iter().map(|object| (object.key.clone(), object.clone())).collect()
    }

    /// Sealed bytes of the way.
    pub(crate) fn sealed_bytes(&self) -> u64 {
        self.files.iter().map(LtxFile::size).sum()
    }

    /// An object that the manifest names and that is not there as it says: the likeliest reason why
    /// no files lead to the point.
    fn missing(&self) -> Option<lifeboat_repository::Error> {
        let listed = self.listing.files.iter().flat_map(|file| &file.objects);
        let sizes: HashMap<&str, u64> = listed
            .chain(&self.listing.partial)
            .map(|entry| (entry.key.as_str(), entry.size))
            .collect();
        self.objects.iter().find_map(|object| {
            let detail = match sizes.get(object.key.as_str()) {
                Some(size) if *size == object.size => return None,
                Some(size) => format!("expected {} bytes, found {size}", object.size),
                None => "it is missing".to_owned(),
            };
            Some(corrupt(&object.key.parse().ok()?, detail))
        })
    }
}

/// What is wrong with the first object of a file that has another size than it should have.
pub(crate) fn resized(
    file: &LtxFile,
    expected: &HashMap<String, ObjectRef>,
) -> Option<lifeboat_repository::Error> {
    file.objects.iter().find_map(|entry| {
        let object = expected.get(entry.key.as_str()).filter(|one| one.size != entry.size)?;
        let detail = format!("expected {} bytes, found {}", object.size, entry.size);
        Some(corrupt(&entry.key, detail))
    })
}

/// An object is not what it should be.
pub(crate) fn corrupt(key: &Key, detail: impl Into<String>) -> lifeboat_repository::Error {
    lifeboat_repository::Error::Corrupt { key: key.clone(), detail: detail.into() }
}
