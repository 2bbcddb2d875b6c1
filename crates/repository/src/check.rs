//! Verifies a repository without changing it.
//!
//! From names, sizes and manifests it is known whether everything that a backup needs is there in
//! its full size. With `read_data` every object is read to its end too: SHA-256 against the
//! manifests, age's authentication, the LTX file's own checksum, header against name, and the
//! database checksums from file to file and up to the manifest.
//!
//! Some damage cannot be seen, because nothing in a repository vouches for these:
//!
//! - The times in the marker and the recipients, and the repository's id. Whoever remembers the id
//!   outside of it can tell.
//! - A wrapped identity, as long as one is there: whether it is whole shows when its password opens
//!   it, which [`Repository::unlock`] did for one of them.
//! - A manifest that is gone. Its pin remains and is told as unfinished; a former revision of it
//!   would count again.
//! - An origin that was replaced by that of another lineage of the same database. It is for people.
//! - A file that no manifest names, as long as the lineage's newest transaction can still be
//!   reached: it may have been removed after a merge.
//!
//! Backups are listed before databases, and data is written before its manifest: so a backup that
//! is written during a check is either not seen or seen whole.

mod backups;
mod content;
mod lineages;
mod names;
mod report;
mod sample;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use lifeboat_restic::{Root, Subset};

pub use self::names::check_names;
pub use self::report::{CheckReport, Finding, LostSource};

use self::backups::{BackedUp, Backup, Backups};
use self::content::{check_way, read_lineage};
use self::lineages::{Expected, Lineages};
use self::sample::Sample;
use crate::document::key;
use crate::files::check::{FilesChecked, check_files, describe};
use crate::wrapping::list;
use crate::{BackupId, Error, ObjectRef, Recipient, Repository, Result, Secrets, blame};

/// How thoroughly to check.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Which objects are read to their ends: LTX files of databases, packs of files. `None`: only documents and
    /// directories are.
    pub read_data: Option<Subset>,
}

impl CheckOptions {
    /// Every object is read to its end.
    pub fn all() -> Self {
        Self { read_data: Some(Subset::All) }
    }
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Sealed bytes that will be read.
    Total(u64),
    /// Sealed bytes that were read since.
    Read(u64),
}

/// Checks a repository. `progress` is told the sealed bytes of each file that was read, and of all
/// of them at first; then the same of packs.
///
/// Fails only where nothing can be listed; everything else is a [`Finding`]. Where there are files, the caller
/// holds a lock, at least a shared one: what a prune removes meanwhile would be taken for lost.
pub fn check(
    repository: &Repository,
    secrets: &Secrets,
    options: CheckOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    if repository.form().is_sealed() {
        check_keys(repository, secrets, &mut report)?;
    }
    let names = repository.backups()?;
    let ids: HashSet<BackupId> = names.iter().map(|name| name.id).collect();
    let backups = Backups::read(repository, names, secrets, &mut report)?;
    let expected = Expected { objects: &backups.expected, ids: &ids };
    let mut lineages = lineages::list(repository, secrets, &expected, &mut report)?;
    let sample = Sample::choose(repository, options, &lineages)?;
    if let Some(sample) = &sample {
        progress(Progress::Total(sample.bytes));
        for lineage in lineages.values_mut() {
            let expected = &backups.expected;
            read_lineage(repository, secrets, lineage, expected, sample, &mut report, progress)?;
        }
    }
    let trees = backups.sound.iter().flat_map(|backup| &backup.trees);
    let roots: Vec<Root> = trees.map(|stored| stored.root).collect();
    let of_packs = lifeboat_restic::CheckOptions {
        read_data: sample.map(|sample| sample.of_packs),
        ..lifeboat_restic::CheckOptions::default()
    };
    let files = check_files(repository, secrets, &roots, &of_packs, &mut report, progress)?;
    for backup in backups.sound {
        let mut lost = check_backup(&backup, &lineages, &backups.expected, options, &mut report)?;
        lost.extend(lost_files(&backup, &files, &mut report)?);
        if lost.is_empty() {
            report.restorable.push(backup.name);
            continue;
        }
        let is_something_left = lost.len() < backup.points.len() + backup.trees.len();
        lost.retain(|lost| is_something_left || lost.files.is_some());
        report.lost_sources.extend(lost);
        report.lost.push(backup.name);
    }
    report.lost.sort_by(|one, other| other.cmp(one));
    Ok(report)
}

/// Without its identities a repository is lost as soon as the secrets at hand are; with another
/// recipient, what is written from now on is.
fn check_keys(repository: &Repository, secrets: &Secrets, report: &mut CheckReport) -> Result<()> {
    if let Err(error) = repository.require_own_recipient(secrets) {
        let key = match repository.recipient() {
            Ok(recipient) => Recipient::key(recipient.generation)?,
            Err(_) => error.key().cloned().map_or_else(|| key("recipients"), Ok)?,
        };
        report.found(&key, error);
    }
    check_identities(repository, report)
}

fn check_identities(repository: &Repository, report: &mut CheckReport) -> Result<()> {
    if list(repository.storage())?.is_empty() {
        let location = repository.location();
        report.found(&key("identities")?, Error::NoIdentity { location });
    }
    Ok(())
}

/// The sources of a backup in the files part of which something cannot be restored.
fn lost_files(
    backup: &Backup,
    files: &FilesChecked,
    report: &mut CheckReport,
) -> Result<Vec<LostSource>> {
    let mut lost = Vec::new();
    for stored in &backup.trees {
        let Some(found) = files.lost(stored.root.snapshot) else { continue };
        let detail = format!("of {} cannot be restored: {}", stored.name, describe(&found));
        report.corrupt(&backup.name.key()?, detail);
        let (backup, name) = (backup.name.clone(), stored.name.clone());
        lost.push(LostSource { backup, name, files: Some(found) });
    }
    Ok(lost)
}

/// The databases of a backup that cannot be restored.
fn check_backup(
    backup: &Backup,
    lineages: &Lineages,
    expected: &HashMap<String, ObjectRef>,
    options: CheckOptions,
    report: &mut CheckReport,
) -> Result<Vec<LostSource>> {
    let mut lost = Vec::new();
    for point in &backup.points {
        if let Err(error) = check_point(point, lineages, expected, options) {
            let name = point.name.clone();
            lost.push(LostSource { backup: backup.name.clone(), name, files: None });
            report.found(&backup.name.key()?, error);
        }
        let pinned = (point.txid, backup.name.id);
        let lineage = lineages.get(point.lineage.key());
        if lineage.is_some_and(|lineage| !lineage.listing.pins.contains(&pinned)) {
            report.corrupt(&point.lineage.pin(pinned.0, pinned.1)?, "it is missing");
        }
    }
    Ok(lost)
}

/// Looks for a way to a point as a restore does: around what does not fit, as long as there is one.
fn check_point(
    point: &BackedUp,
    lineages: &Lineages,
    expected: &HashMap<String, ObjectRef>,
    options: CheckOptions,
) -> Result<()> {
    let Some(lineage) = lineages.get(point.lineage.key()) else {
        return Err(Error::corrupt(point.lineage.key(), "it is missing"));
    };
    let mut listing = Cow::Borrowed(&lineage.listing);
    let mut first = None;
    loop {
        let way = match listing.plan(&point.lineage, point.txid) {
            Ok(way) => way,
            Err(error) => return Err(first.unwrap_or(error)),
        };
        if options.read_data.is_none() {
            return Ok(());
        }
        let Err(misfit) = check_way(&way, &lineage.contents, point) else { return Ok(()) };
        let file = blame(&way, misfit.at, expected);
        let (name, key) = (file.name, file.first_key().clone());
        first.get_or_insert(misfit.into_error(&key));
        listing.to_mut().files.retain(|file| file.name != name);
    }
}
