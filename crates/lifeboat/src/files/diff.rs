//! What differs between two backups.

mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lifeboat_files::clean;
use lifeboat_ltx::Txid;
use lifeboat_repository::{BackupName, DatabaseSource, Manifest, Source};

pub use self::trees::{Change, Difference};

use self::trees::TreeDiff;
use super::StoredFiles;
use super::filter::Filter;
use super::restore::RestoreProblem;
use crate::select::select;
use crate::{OpenRepository, Progress, Result, Selection};

/// What to compare.
#[derive(Debug, Clone, Default)]
pub struct DiffRequest {
    /// The older backup.
    pub from: Selection,
    /// The newer backup.
    pub to: Selection,
    /// Only this source.
    pub source: Option<String>,
    /// Only what lies at or below this path.
    pub path: Option<PathBuf>,
    /// Take no lock of the repository.
    pub no_lock: bool,
}

/// One thing that differs.
#[derive(Debug)]
pub enum DiffItem<'a> {
    /// A source that only the newer backup has.
    SourceAdded(&'a Source),
    /// A source that only the older backup has.
    SourceRemoved(&'a Source),
    /// A source whose content is another: what a command printed, a device, or one that became another kind.
    SourceModified(&'a Source),
    /// Something among files.
    Entry {
        /// The name of the source.
        source: &'a str,
        /// What of it.
        difference: &'a Difference,
    },
    /// A database at another point.
    Database(&'a DatabaseDifference),
}

/// How the points of two backups of a database differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseDifference {
    /// Its name.
    pub name: String,
    /// The older transaction.
    pub from: Txid,
    /// The newer one.
    pub to: Txid,
    /// Whether they are of one lineage; if not, their numbers have nothing to do with each other.
    pub same_lineage: bool,
    /// Bytes, before and after.
    pub size_bytes: (u64, u64),
    /// Tables with another number of rows, before and after; `None`: no such table, or its rows are not counted.
    pub tables: BTreeMap<String, (Option<u64>, Option<u64>)>,
}

/// Sums of what differs.
#[derive(Debug, Default)]
pub struct DiffReport {
    /// Entries that were added.
    pub added: u64,
    /// Entries that were removed.
    pub removed: u64,
    /// Entries with other content.
    pub modified: u64,
    /// Entries with other metadata only.
    pub metadata: u64,
    /// Entries that are of another type.
    pub retyped: u64,
    /// Bytes of the files that were added.
    pub added_bytes: u64,
    /// Bytes of the files that were removed.
    pub removed_bytes: u64,
    /// Bytes of the files with other content, as they are now.
    pub modified_bytes: u64,
    /// Databases at another point.
    pub databases: u64,
    /// What could not be read.
    pub problems: Vec<RestoreProblem>,
}

/// Finds two backups, and tells of each thing that differs between them.
pub fn diff(
    opened: &OpenRepository<'_>,
    request: &DiffRequest,
    each: &mut dyn FnMut(&DiffItem<'_>) -> Result<()>,
    progress: &dyn Progress,
) -> Result<(BackupName, BackupName, DiffReport)> {
    let (from, before) = select(opened, &request.from)?;
    let (to, after) = select(opened, &request.to)?;
    let paths: Vec<PathBuf> = request.path.iter().map(|path| clean(path)).collect();
    let filter = Filter::new(&paths, &[], &[])?;
    let mut report = DiffReport::default();
    let mut files = None;
    for name in names(&before, &after, request) {
        match (find(&before, &name), find(&after, &name)) {
            (Some(Source::Files(one)), Some(Source::Files(other))) => {
                if files.is_none() {
                    files = Some(StoredFiles::open(opened, request.no_lock, progress)?);
                }
                let Some(files) = &files else { continue };
                let trees = (one.stored.tree, other.stored.tree);
                let mut tell =
                    |difference: &Difference| each(&DiffItem::Entry { source: &name, difference });
                TreeDiff::run(files, trees, &filter, &mut report, &mut tell)?;
            }
            (one, other) if filter.is_all() => other_sources(one, other, &mut report, each)?,
            _ => {}
        }
    }
    Ok((from, to, report))
}

fn names(before: &Manifest, after: &Manifest, request: &DiffRequest) -> BTreeSet<String> {
    let sources = before.sources.iter().chain(&after.sources).filter_map(Source::name).cloned();
    sources.filter(|name| request.source.as_ref().is_none_or(|wanted| wanted == name)).collect()
}

fn find<'a>(manifest: &'a Manifest, name: &str) -> Option<&'a Source> {
    manifest.sources.iter().find(|source| source.name().is_some_and(|one| one == name))
}

fn other_sources(
    one: Option<&Source>,
    other: Option<&Source>,
    report: &mut DiffReport,
    each: &mut dyn FnMut(&DiffItem<'_>) -> Result<()>,
) -> Result<()> {
    match (one, other) {
        (Some(Source::Database(one)), Some(Source::Database(other))) => {
            let Some(difference) = of_databases(one, other) else { return Ok(()) };
            report.databases += 1;
            each(&DiffItem::Database(&difference))
        }
        (Some(one), Some(other)) if sha256(one).is_none() || sha256(one) != sha256(other) => {
            each(&DiffItem::SourceModified(other))
        }
        (None, Some(other)) => each(&DiffItem::SourceAdded(other)),
        (Some(one), None) => each(&DiffItem::SourceRemoved(one)),
        _ => Ok(()),
    }
}

fn sha256(source: &Source) -> Option<&str> {
    match source {
        Source::Command(command) => Some(&command.sha256),
        Source::Device(device) => Some(&device.sha256),
        _ => None,
    }
}

fn of_databases(one: &DatabaseSource, other: &DatabaseSource) -> Option<DatabaseDifference> {
    let same_lineage = one.lineage == other.lineage;
    if same_lineage && one.txid == other.txid {
        return None;
    }
    let names: BTreeSet<&String> = one.tables.keys().chain(other.tables.keys()).collect();
    let rows = |database: &DatabaseSource, name: &str| database.tables.get(name).copied().flatten();
    let tables = names.into_iter().filter_map(|name| {
        let changed = (rows(one, name), rows(other, name));
        let other_tables = one.tables.contains_key(name) != other.tables.contains_key(name);
        (changed.0 != changed.1 || other_tables).then(|| (name.clone(), changed))
    });
    Some(DatabaseDifference {
        name: other.name.clone(),
        from: one.txid,
        to: other.txid,
        same_lineage,
        size_bytes: (one.size_bytes, other.size_bytes),
        tables: tables.collect(),
    })
}
