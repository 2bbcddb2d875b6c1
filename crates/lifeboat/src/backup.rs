//! One backup of all sources that are asked for: databases first, then files, so that what a row of a database
//! names is there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_repository::{
    BackupId, BackupName, BackupType, DatabaseSource, MANIFEST_VERSION, Manifest, Problem, Source,
    Time,
};

use crate::capture::{CaptureOptions, capture};
use crate::error::chain;
use crate::files::FilesPart;
use crate::hooks::HookSubject;
use crate::sources::sources;
use crate::verify::verify;
use crate::{
    BackupEvent, ChangedBy, Context, DatabaseTarget, Error, HookStatus, Hooked, Note,
    OpenRepository, Progress, Request, Result, Sources,
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
        self.write(opened, request, progress)?.complete(opened, request, progress)
    }

    /// Writes all of the backup; nobody is told yet that it is there.
    pub(crate) fn write(
        self,
        opened: &OpenRepository<'_>,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<Written> {
        let Self { id, started, found } = self;
        write(opened, request, found, (id, started), progress)
            .map_err(|error| failed(id, error, progress))
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

/// A backup that was written.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    /// As long as it is not there for all to see, nobody may remove what its manifest names.
    pub(crate) held: Option<FilesPart>,
    failures: Vec<SourceReport>,
    changed_by: BTreeMap<String, ChangedBy>,
    skipped: Vec<String>,
}

impl Written {
    /// The same backup, as it was copied to another repository.
    pub(crate) fn copied(self, manifest: Manifest) -> Self {
        Self { manifest, held: None, ..self }
    }

    /// It is there: tells so, and verifies it if that was asked for.
    pub(crate) fn complete(
        self,
        opened: &OpenRepository<'_>,
        request: &BackupRequest,
        progress: &dyn Progress,
    ) -> Result<BackupReport> {
        let Self { manifest, held, failures, changed_by, skipped } = self;
        drop(held);
        let location = opened.repository().location();
        let name = manifest.name(opened.repository().form())?;
        let (verified, link) = (false, opened.link());
        let mut report = BackupReport {
            name,
            manifest,
            failures,
            location,
            link,
            verified,
            changed_by,
            skipped,
        };
        progress.event(&BackupEvent::Completed { report: &report });
        if request.verify {
            verify(opened, &report.manifest, progress)
                .map_err(|error| failed(report.manifest.id, error, progress))?;
            report.verified = true;
            progress.event(&BackupEvent::Validated { report: &report });
        }
        Ok(report)
    }

    /// It came to nothing.
    pub(crate) fn fail(&self, error: Error, progress: &dyn Progress) -> Error {
        failed(self.manifest.id, error, progress)
    }
}

fn write(
    opened: &OpenRepository<'_>,
    request: &BackupRequest,
    mut found: Sources,
    (id, started): (BackupId, Time),
    progress: &dyn Progress,
) -> Result<Written> {
    let context = opened.context();
    opened.require_writable()?;
    if request.verify {
        // Who cannot read is told before anything is stored.
        opened.secrets()?;
    }
    let options =
        CaptureOptions { rescan: request.rescan, base: request.base, take_over: request.take_over };
    let mut taken = Taken { failures: std::mem::take(&mut found.failures), ..Taken::default() };
    for target in &found.databases {
        taken.database(opened, target, id, options, progress);
    }
    // Until the manifest is there, nobody may remove what it will name.
    let held = taken.files(opened, &found, id, progress);
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

/// What came of the sources.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) sources: Vec<Source>,
    pub(crate) changed_by: BTreeMap<String, ChangedBy>,
    pub(crate) skipped: Vec<String>,
    pub(crate) failures: Vec<SourceReport>,
    /// What of sources that were taken could not be read.
    pub(crate) problems: Vec<Problem>,
}

impl Taken {
    /// Captures a database.
    fn database(
        &mut self,
        opened: &OpenRepository<'_>,
        target: &DatabaseTarget,
        id: BackupId,
        options: CaptureOptions,
        progress: &dyn Progress,
    ) {
        let path = Some(target.path.clone());
        self.take(opened.context(), &target.name, path, progress, |taken| {
            let (source, by) = capture(opened, target, id, options, progress)?;
            let points = opened.context().config().points_of(&source.name).cloned();
            taken.changed_by.insert(source.name.clone(), by);
            Ok(Source::Database(Box::new(DatabaseSource { points, ..source })))
        });
    }

    /// Takes a source between its hooks.
    pub(crate) fn take(
        &mut self,
        context: &Context,
        name: &str,
        path: Option<PathBuf>,
        progress: &dyn Progress,
        work: impl FnOnce(&mut Self) -> Result<Source>,
    ) {
        let subject = HookSubject { name: name.to_owned(), path };
        let hooked = match Hooked::source(context, subject) {
            Ok(Some(hooked)) => hooked,
            Ok(None) => {
                progress.note(&Note::SkippedSource { source: name.to_owned() });
                return self.skipped.push(name.to_owned());
            }
            Err(error) => return self.fail(name, error),
        };
        let before = self.problems.len();
        let failed = match work(self) {
            Ok(source) => {
                self.sources.push(source);
                let partial = self.problems.len() > before;
                let status = if partial { HookStatus::Partial } else { HookStatus::Success };
                hooked.end(status, None)
            }
            Err(error) => {
                progress.end();
                let failed = hooked.end(HookStatus::Failed, Some(&error));
                self.fail(name, error);
                failed
            }
        };
        failed.into_iter().for_each(|error| self.fail(name, error));
    }

    pub(crate) fn fail(&mut self, name: &str, error: Error) {
        self.failures.push(SourceReport { source: name.to_owned(), error });
    }
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
