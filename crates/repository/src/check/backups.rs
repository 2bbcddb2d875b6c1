//! What the manifests say, without what is in them besides.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use lifeboat_ltx::{Checksum, Txid};

use super::CheckReport;
use crate::{
    BackupName, DatabaseAddress, DatabaseSource, Error, LineageAddress, Manifest, ObjectRef,
    Repository, Result, Secrets,
};

/// A backup whose manifest is sound.
pub(super) struct Backup {
    pub(super) name: BackupName,
    pub(super) points: Vec<BackedUp>,
}

/// A database of a backup.
pub(super) struct BackedUp {
    pub(super) lineage: LineageAddress,
    pub(super) txid: Txid,
    pub(super) page_size: u32,
    pub(super) page_count: u32,
    pub(super) checksum: Checksum,
}

/// All manifests: the sound ones, newest first, and what they say about sealed objects. The names
/// of the others are in the report.
#[derive(Default)]
pub(super) struct Backups {
    pub(super) sound: Vec<Backup>,
    pub(super) expected: HashMap<String, ObjectRef>,
}

impl Backups {
    pub(super) fn read(
        repository: &Repository,
        names: Vec<BackupName>,
        secrets: &Secrets,
        report: &mut CheckReport,
    ) -> Result<Self> {
        let mut backups = Self::default();
        for name in names {
            let read = repository.manifest(&name, secrets);
            match read.and_then(|signed| backups.add(&name, signed.manifest)) {
                Ok(points) => backups.sound.push(Backup { name, points }),
                Err(error) => {
                    report.found(&name.key()?, error);
                    report.lost.push(name);
                }
            }
        }
        Ok(backups)
    }

    fn add(&mut self, name: &BackupName, manifest: Manifest) -> Result<Vec<BackedUp>> {
        let mut points = Vec::new();
        for source in manifest.sources {
            let Some(source) = source.into_database() else { continue };
            points.push(backed_up(&manifest.host, &source)?);
            for object in source.objects {
                match self.expected.entry(object.key.clone()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(object);
                    }
                    Entry::Occupied(known) if *known.get() == object => {}
                    Entry::Occupied(_) => {
                        let detail = format!("another manifest says otherwise of {}", object.key);
                        return Err(Error::corrupt(&name.key()?, detail));
                    }
                }
            }
        }
        Ok(points)
    }
}

fn backed_up(host: &str, source: &DatabaseSource) -> Result<BackedUp> {
    Ok(BackedUp {
        lineage: DatabaseAddress::new(host, &source.name)?.lineage(source.lineage)?,
        txid: source.txid,
        page_size: source.page_size,
        page_count: source.page_count,
        checksum: source.checksum,
    })
}
