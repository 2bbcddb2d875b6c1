//! One backup of all sources that are asked for.

use lifeboat_repository::{
    BackupId, BackupName, BackupType, DatabaseSource, MANIFEST_VERSION, Manifest, Problem, Source,
    Time,
};

use crate::capture::{CaptureOptions, capture};
use crate::discover::find;
use crate::error::chain;
use crate::verify::verify;
use crate::{
    ChangedBy, Context, DatabaseTarget, Error, HookStatus, Hooked, Note, OpenRepository, Progress,
    Request, Result,
};

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
    /// Sources whose `before` hook said that now is no time for them.
    pub skipped: Vec<String>,
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
/// If every source fails there is no backup, and the error is that of the first. The hooks of each source
/// are run; those of the whole backup are for whoever calls this ([`Hooked::backup`](crate::Hooked::backup)),
/// who may clean up as well before it ends.
pub fn backup(
    context: &Context,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    let started = Time::now();
    let found = find(context, &request.sources, progress)?;
    if found.targets.is_empty() {
        return Err(first(found.failures));
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
    let mut taken = Taken { failures: found.failures, ..Taken::default() };
    for target in &found.targets {
        taken.take(&opened, target, id, options, progress);
    }
    let Taken { sources, changed_by, skipped, failures } = taken;
    if sources.is_empty() {
        return Err(if failures.is_empty() { Error::Skipped } else { first(failures) });
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
    let verified = request.verify;
    Ok(BackupReport { name, manifest, failures, location, verified, changed_by, skipped })
}

/// What came of the sources.
#[derive(Default)]
struct Taken {
    sources: Vec<Source>,
    changed_by: Vec<ChangedBy>,
    skipped: Vec<String>,
    failures: Vec<SourceReport>,
}

impl Taken {
    /// Captures a source between its hooks.
    fn take(
        &mut self,
        opened: &OpenRepository<'_>,
        target: &DatabaseTarget,
        id: BackupId,
        options: CaptureOptions,
        progress: &dyn Progress,
    ) {
        let context = opened.context();
        let hooked = match Hooked::source(context, target) {
            Ok(Some(hooked)) => hooked,
            Ok(None) => {
                progress.note(&Note::SkippedSource { source: target.name.clone() });
                return self.skipped.push(target.name.clone());
            }
            Err(error) => return self.fail(target, error),
        };
        match capture(opened, target, id, options, progress) {
            Ok((source, by)) => {
                let points = context.config().points_of(&source.name).cloned();
                let source = DatabaseSource { points, ..source };
                self.sources.push(Source::Database(Box::new(source)));
                self.changed_by.push(by);
                let failed = hooked.end(HookStatus::Success, None);
                failed.into_iter().for_each(|error| self.fail(target, error));
            }
            Err(error) => {
                progress.end();
                let failed = hooked.end(HookStatus::Failed, Some(&error));
                self.fail(target, error);
                failed.into_iter().for_each(|error| self.fail(target, error));
            }
        }
    }

    fn fail(&mut self, target: &DatabaseTarget, error: Error) {
        self.failures.push(SourceReport { source: target.name.clone(), error });
    }
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
