//! What the manifests say, without what is in them besides.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_restic::Root;

use super::CheckReport;
use crate::create::digest_of;
use crate::document::key;
use crate::tree::split;
use crate::{
    BackupName, DatabaseAddress, DatabaseSource, Error, LineageAddress, Manifest, ObjectRef,
    Repository, Result, Secrets, Source, StoredTree,
};

/// A backup whose manifest is sound.
pub(super) struct Backup {
    pub(super) name: BackupName,
    pub(super) points: Vec<BackedUp>,
    pub(super) trees: Vec<Stored>,
}

/// Files of a backup, what a command printed, or a device.
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) root: Root,
}

/// A database of a backup.
pub(super) struct BackedUp {
    pub(super) name: String,
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
    /// Objects of which two manifests do not say the same.
    disputed: HashSet<String>,
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
                Ok((points, trees)) => backups.sound.push(Backup { name, points, trees }),
                Err(error) => {
                    report.found(&name.key()?, error);
                    report.lost.push(name);
                }
            }
        }
        if !backups.disputed.is_empty() {
            backups.settle(repository, secrets, report)?;
        }
        Ok(backups)
    }

    fn add(
        &mut self,
        name: &BackupName,
        manifest: Manifest,
    ) -> Result<(Vec<BackedUp>, Vec<Stored>)> {
        let mut points = Vec::new();
        let trees = manifest.sources.iter().filter_map(stored).collect();
        for source in manifest.sources {
            let Some(source) = source.into_database() else { continue };
            points.push(backed_up(&manifest.host, &source)?);
            for object in source.objects {
                if split(&key(&object.key)?).is_none() {
                    let detail = format!("it names {}, which is no database's", object.key);
                    return Err(Error::corrupt(&name.key()?, detail));
                }
                match self.expected.entry(object.key.clone()) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(object);
                    }
                    Entry::Occupied(known) if *known.get() == object => {}
                    Entry::Occupied(_) => {
                        self.disputed.insert(object.key);
                    }
                }
            }
        }
        Ok((points, trees))
    }

    /// Where manifests do not agree, the object itself tells which of them are wrong. Only a faulty
    /// or hostile writer comes this far, so all manifests are simply read again.
    fn settle(
        &mut self,
        repository: &Repository,
        secrets: &Secrets,
        report: &mut CheckReport,
    ) -> Result<()> {
        for text in &self.disputed {
            if let Ok(digest) = digest_of(repository.storage(), &key(text)?) {
                let (size, sha256) = (digest.size, digest.sha256_hex());
                self.expected.insert(text.clone(), ObjectRef { key: text.clone(), size, sha256 });
            }
        }
        for backup in std::mem::take(&mut self.sound) {
            let read = repository.manifest(&backup.name, secrets);
            match read.and_then(|signed| self.compare(&backup.name, &signed.manifest)) {
                Ok(()) => self.sound.push(backup),
                Err(error) => {
                    report.found(&backup.name.key()?, error);
                    report.lost.push(backup.name);
                }
            }
        }
        Ok(())
    }

    fn compare(&self, name: &BackupName, manifest: &Manifest) -> Result<()> {
        let sources = manifest.sources.iter().filter_map(Source::database);
        let mut objects = sources.flat_map(|source| &source.objects);
        match objects.find(|object| self.expected.get(&object.key) != Some(object)) {
            Some(object) => {
                let detail = format!("what it says of {} is wrong", object.key);
                Err(Error::corrupt(&name.key()?, detail))
            }
            None => Ok(()),
        }
    }
}

fn stored(source: &Source) -> Option<Stored> {
    let StoredTree { snapshot, tree, .. } = *source.stored()?;
    Some(Stored { name: source.name()?.clone(), root: Root { snapshot, tree } })
}

fn backed_up(host: &str, source: &DatabaseSource) -> Result<BackedUp> {
    Ok(BackedUp {
        name: source.name.clone(),
        lineage: DatabaseAddress::new(host, &source.name)?.lineage(source.lineage)?,
        txid: source.txid,
        page_size: source.page_size,
        page_count: source.page_count,
        checksum: source.checksum,
    })
}
