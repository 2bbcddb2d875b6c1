//! A database of a backup, and the files that lead to it.

use std::collections::HashMap;

use lifeboat_repository::{
    BackupName, DatabaseAddress, DatabaseSource, LineageAddress, LineageListing, LtxFile, Manifest,
    ObjectRef,
};
use lifeboat_storage::Key;

use crate::{Detour, OpenRepository, Progress, Result};

/// A database in a backup, and a way to it.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) name: BackupName,
    pub(crate) label: Option<String>,
    pub(crate) database: DatabaseSource,
    pub(crate) lineage: LineageAddress,
    /// The way: the files to apply, in order.
    pub(crate) files: Vec<LtxFile>,
    listing: LineageListing,
}

impl Selected {
    /// Plans the way to a database of a manifest, around what the detour has found and around
    /// objects of another size than the manifest says.
    pub(crate) fn plan(
        opened: &OpenRepository<'_>,
        manifest: &Manifest,
        database: &DatabaseSource,
        detour: &mut Detour,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let address = DatabaseAddress::new(&manifest.host, &database.name)?;
        let lineage = address.lineage(database.lineage)?;
        let mut selected = Self {
            name: manifest.name(opened.repository().form())?,
            label: manifest.label.clone(),
            database: database.clone(),
            listing: opened.repository().listing(&lineage)?,
            lineage,
            files: Vec::new(),
        };
        selected.plan_again(detour, progress)?;
        Ok(selected)
    }

    /// Plans again, since the detour has grown. The error names an object that is in the way.
    pub(crate) fn plan_again(
        &mut self,
        detour: &mut Detour,
        progress: &dyn Progress,
    ) -> Result<()> {
        let expected = self.expected();
        let mut in_the_way = None;
        loop {
            detour.apply(&mut self.listing);
            let way = match self.listing.plan(&self.lineage, self.database.txid) {
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

    /// What the manifest says of the objects it names, by key.
    pub(crate) fn expected(&self) -> HashMap<String, ObjectRef> {
        let objects = self.database.objects.iter();
        objects.map(|object| (object.key.clone(), object.clone())).collect()
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
        self.database.objects.iter().find_map(|object| {
            let detail = match sizes.get(object.key.as_str()) {
                Some(size) if *size == object.size => return None,
                Some(size) => format!("expected {} bytes, found {size}", object.size),
                None => "it is missing".to_owned(),
            };
            Some(corrupt(&object.key.parse().ok()?, detail))
        })
    }
}

/// The first object of a file that has another size than the manifest says.
fn resized(
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
