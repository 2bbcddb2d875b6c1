//! What came of the sources, one after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_repository::{BackupId, DatabaseSource, Problem, Source};

use super::SourceReport;
use crate::capture::{CaptureOptions, capture};
use crate::hooks::HookSubject;
use crate::{
    ChangedBy, Context, DatabaseTarget, Error, HookStatus, Hooked, Note, OpenRepository, Progress,
    Result,
};

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
    pub(super) fn database(
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

    /// The error of a source that failed because the storage at a location, if one is meant, takes nothing.
    pub(super) fn must_be_taken_at(&mut self, location: Option<&str>) -> Result<()> {
        let Some(location) = location else { return Ok(()) };
        let is_there = |failure: &SourceReport| failure.error.is_of_all_at(location);
        match self.failures.iter().position(is_there) {
            Some(at) => Err(self.failures.swap_remove(at).error),
            None => Ok(()),
        }
    }

    pub(crate) fn fail(&mut self, name: &str, error: Error) {
        self.failures.push(SourceReport { source: name.to_owned(), error });
    }
}
