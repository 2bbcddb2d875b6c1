//! One backup of all sources that are asked for: databases first, then files, so that what a row of a database
//! names is there.

mod taken;
mod written;

use std::collections::BTreeMap;

use lifeboat_repository::{
    BackupId, BackupName, BackupType, DatabaseSource, MANIFEST_VERSION, Manifest, Problem, Source,
    Time,
};

pub(crate) use self::taken::Taken;
pub(crate) use self::written::Written;
use crate::capture::CaptureOptions;
use crate::error::chain;
use crate::sources::sources;
use crate::{
    BackupEvent, ChangedBy, Context, Error, OpenRepository, Progress, Request, Result, Sources,
};

/// What writes the backups.
pub(crate) const TOOL: &str = concat!("lifeboat ", env!("CARGO_PKG_VERSION"));

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
    /// When it was there for all to see.
    pub completed: Time,
    /// Sources that failed, with what was wrong.
    pub failures: Vec<SourceReport>,
    /// Where it lies.
    pub location: String,
    /// Where its owner sees that in a browser, if there is such a place.
    pub link: Option<String>,
    /// Whether it was restored and compared.
    pub verified: bool,
    /// How it was found out what changed in each of the databases.
    pub changed_by: BTreeMap<String, ChangedBy>,
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
    /// Whether something of the sources is missing.
    pub fn is_partial(&self) -> bool {
        !self.manifest.problems.is_empty()
    }

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
    let begun = Begun::new(context, request, progress)?;
    match context.open_or_make_repository(progress) {
        Ok(opened) => begun.store(&opened, request, progress),
        Err(error) => Err(begun.fail(error, progress)),
    }
}

/// Backs up to a repository of several.
pub(crate) fn backup_to(
    opened: &OpenRepository<'_>,
    request: &BackupRequest,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    Begun::new(opened.context(), request, progress)?.store(opened, request, progress)
}

/// A backup that has been told of, and what it covers.
pub(crate) struct Begun {
    id: BackupId,
    started: Time,
    found: Sources,
}

impl Begun {
    /// Finds the sources: what is wrong with the request is told here, before any repository is asked.
    pub(crate) fn new(
        context: &Context,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (id, started) = (BackupId::random(), Time::now());
        progress.event(&BackupEvent::Started { id, time: started });
        let found = match sources(context, &request.sources, request.backup_type.as_ref(), progress)
        {
            Ok(found) if found.is_empty() => Err(first(found.failures)),
            found => found,
        };
        found.map(|found| Self { id, started, found }).map_err(|error| failed(id, error, progress))
    }

    /// Stores them.
    pub(crate) fn store(
        self,
        opened: &OpenRepository<'_>,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<BackupReport> {
        let (id, alone) = (self.id, true);
        write(opened, request, self, alone, progress)
            .map_err(|error| failed(id, error, progress))?
            .complete(opened, Time::now(), request, progress)
    }

    /// Writes all of the backup to one of several repositories; nobody is told yet that it is there. If that
    /// repository cannot be reached any more, or is full, there is none: another one may take all of it.
    pub(crate) fn write(
        self,
        opened: &OpenRepository<'_>,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<Written> {
        let (id, alone) = (self.id, false);
        write(opened, request, self, alone, progress).map_err(|error| failed(id, error, progress))
    }

    /// There is nowhere to store them.
    pub(crate) fn fail(self, error: Error, progress: &dyn Progress) -> Error {
        failed(self.id, error, progress)
    }
}

/// Tells of the failure of a backup.
fn failed(id: BackupId, error: Error, progress: &dyn Progress) -> Error {
    // Otherwise nothing has failed: the owner said that now is no time for it.
    if !matches!(error, Error::Skipped) {
        progress.event(&BackupEvent::Failed { id, error: &error });
    }
    error
}

fn write(
    opened: &OpenRepository<'_>,
    request: &BackupRequest,
    begun: Begun,
    alone: bool,
    progress: &dyn Progress,
) -> Result<Written> {
    let Begun { id, started, mut found } = begun;
    let context = opened.context();
    opened.require_writable()?;
    if request.verify {
        // Who cannot read is told before anything is stored.
        opened.secrets()?;
    }
    let options =
        CaptureOptions { rescan: request.rescan, base: request.base, take_over: request.take_over };
    let mut taken = Taken { failures: std::mem::take(&mut found.failures), ..Taken::default() };
    let location = (!alone).then(|| opened.repository().location());
    for target in &found.databases {
        taken.database(opened, target, id, options, progress);
        taken.must_be_taken_at(location.as_deref())?;
    }
    // Until the manifest is there, nobody may remove what it will name.
    let held = taken.files(opened, &found, id, progress);
    taken.must_be_taken_at(location.as_deref())?;
    let Taken { sources, changed_by, skipped, failures, problems } = taken;
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
        tool: TOOL.to_owned(),
        problems: failures.iter().map(problem).chain(problems).collect(),
        forgotten: Vec::new(),
        sources,
    };
    opened.repository().write_manifest(&manifest, &context.host().key)?;
    Ok(Written { manifest, held, failures, changed_by, skipped })
}

fn problem(failure: &SourceReport) -> Problem {
    Problem { source: failure.source.clone(), path: None, error: chain(&failure.error) }
}

fn first(failures: Vec<SourceReport>) -> Error {
    failures.into_iter().next().map_or_else(
        || Error::Usage { problem: "nothing to back up".into(), hint: None },
        |failure| failure.error,
    )
}
