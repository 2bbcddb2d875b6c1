//! A database of a backup, and the way to it.

use lifeboat_repository::{BackupName, DatabaseAddress, DatabaseSource, Manifest};

use crate::way::Way;
use crate::{Detour, OpenRepository, Progress, Result};

/// A database in a backup, and a way to it.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) name: BackupName,
    pub(crate) label: Option<String>,
    pub(crate) database: DatabaseSource,
    pub(crate) way: Way,
}

impl Selected {
    /// Plans the way to a database of a manifest, around what the detour has found.
    pub(crate) fn plan(
        opened: &OpenRepository<'_>,
        manifest: &Manifest,
        database: &DatabaseSource,
        detour: &mut Detour,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let address = DatabaseAddress::new(&manifest.host, &database.name)?;
        let lineage = address.lineage(database.lineage)?;
        let mut way = Way::to_backup(opened, lineage, database)?;
        way.plan(detour, progress)?;
        Ok(Self {
            name: manifest.name(opened.repository().form())?,
            label: manifest.label.clone(),
            database: database.clone(),
            way,
        })
    }
}
