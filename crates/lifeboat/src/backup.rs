//! One backup of all sources that are asked for.

use lifeboat_repository::{
    BackupId, BackupName, BackupType, DatabaseSource, MANIFEST_VERSION, Manifest, Problem, Source,
    Time,
};

use crate::capture::{CaptureOptions, capture};
use crate::discover::find;
use crate::error::chain;
use crate::verify::verify;
use crate::{ChangedBy, Context, Error, Progress, Request, Result};

/// What to back up, and how to remember it.
#[derive(Debug, Clone, Default)]
pub struct BackupRequest {
    /// The sources.
    pub sources: Request,
    /// A name to find the backup by.
    pub label: Option<String>,
    /// What kind of backup it is; rules count each by itself.
    pub backup_type: Option<BackupType>,
    /// Tags.
    pub tags: Vec<String>,
    /// Store every database whole, as a new base, so that this backup and those after it need none
    /// of the files before: where one of them is damaged, this is what heals.
    pub base: bool,
    /// Restore everything to a scratch directory before reporting success.
    pub verify: bool,
    /// Read every page, even where it is proved that it did not change since the last backup.
    pub rescan: bool,
    /// A host that holds the lease of a database is gone: take over at once.
    pub take_over: bool,
}

/// What a backup did.
#[derive(Debug)]
pub struct BackupReport {
    /// What it is called.
    pub name: BackupName,
    /// What was written.
    pub manifest: Manifest,
    /// Sources that failed, with what was wrong.
    pub failures: Vec<SourceReport>,
    /// Where it lies.
    pub location: String,
    /// Whether it was restored and compared.
    pub verified: bool,
    /// How it was found out what changed, for each of the databases in their order.
    pub changed_by: Vec<ChangedBy>,
}

/// A source that could not be backed up.
#[derive(Debug)]
pub struct SourceReport {
    /// Which.
    pub source: String,
    /// Why.
    pub error: Error,
}

impl BackupReport {
    /// The databases of the backup.
    pub fn databases(&self) -> impl Iterator<Item = &DatabaseSource> {
        self.manifest.sources.iter().filter_map(Source::database)
    }
}

/// Backs up. The backup is there when this returns; sources that failed make it partial.
///
/// If every source fails there is no backup, and the error is that of the first.
pub fn backup(
    context: &Context,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    let started = Time::now();
    let found = find(context, &request.sources, progress)?;
    let mut failures = found.failures;
    if found.targets.is_empty() {
        return Err(first(failures));
    }
    let opened = context.open_or_make_repository(progress)?;
    opened.require_writable()?;
    if request.verify {
        // Who cannot read is told before anything is stored.
        opened.secrets()?;
    }
    let id = BackupId::random();
    let options =
        CaptureOptions { rescan: request.rescan, base: request.base, take_over: request.take_over };
    let (mut sources, mut changed_by) = (Vec::new(), Vec::new());
    for target in &found.targets {
        match capture(&opened, target, id, options, progress) {
            Ok((source, by)) => {
                let points = context.config().points_of(&source.name).cloned();
                let source = DatabaseSource { points, ..source };
                sources.push(Source::Database(Box::new(source)));
                changed_by.push(by);
            }
            Err(error) => {
                progress.end();
                failures.push(SourceReport { source: target.name.clone(), error });
            }
        }
    }
    if sources.is_empty() {
        return Err(first(failures));
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        id,
        revision: 1,
        host: context.host_name(),
        hostname: context.hostname(),
        label: request.label.clone(),
        backup_type: request.backup_type.clone(),
        tags: request.tags.clone(),
        started,
        finished: Time::now(),
        tool: concat!("lifeboat ", env!("CARGO_PKG_VERSION")).to_owned(),
        problems: failures.iter().map(problem).collect(),
        forgotten: Vec::new(),
        sources,
    };
    opened.repository().write_manifest(&manifest, &context.host().key)?;
    if request.verify {
        verify(&opened, &manifest, progress)?;
    }
    let location = opened.repository().location();
    let name = manifest.name(opened.repository().form())?;
    Ok(BackupReport { name, manifest, failures, location, verified: request.verify, changed_by })
}

fn problem(failure: &SourceReport) -> Problem {
    Problem { source: failure.source.clone(), error: chain(&failure.error) }
}

fn first(failures: Vec<SourceReport>) -> Error {
    failures.into_iter().next().map_or_else(
        || Error::Usage { problem: "nothing to back up".into(), hint: None },
        |failure| failure.error,
    )
}
