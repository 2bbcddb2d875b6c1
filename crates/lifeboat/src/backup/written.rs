//! A backup of which nobody was told yet.

use std::collections::BTreeMap;

use lifeboat_repository::{Manifest, Time};

use super::{BackupReport, BackupRequest, SourceReport, failed};
use crate::files::FilesPart;
use crate::verify::verify;
use crate::{BackupEvent, ChangedBy, Error, OpenRepository, Progress, Result};

/// A backup that was written.
pub(crate) struct Written {
    pub(crate) manifest: Manifest,
    /// As long as it is not there for all to see, nobody may remove what its manifest names.
    pub(crate) held: Option<FilesPart>,
    pub(super) failures: Vec<SourceReport>,
    pub(super) changed_by: BTreeMap<String, ChangedBy>,
    pub(super) skipped: Vec<String>,
}

impl Written {
    /// The same backup as it is in another repository, among what was copied there.
    pub(crate) fn copied(self, copies: Vec<Manifest>) -> Self {
        let copy = copies.into_iter().find(|copy| copy.id == self.manifest.id);
        Self { manifest: copy.unwrap_or(self.manifest), held: None, ..self }
    }

    /// It is there, since then: tells so, and verifies it if that was asked for.
    pub(crate) fn complete(
        self,
        opened: &OpenRepository<'_>,
        completed: Time,
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
            completed,
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
