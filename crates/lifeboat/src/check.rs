//! Verifies the repository.

use lifeboat_repository::{CheckOptions, CheckReport, check_names};
use lifeboat_restic::LockKind;

use crate::files::FilesPart;
use crate::{Error, Note, OpenRepository, Progress, Result};

/// Checks the repository without changing it, but for a lock. Who has neither password nor identity checks
/// what names and sizes show ([`OpenRepository::can_read`] tells), unless contents are to be read.
///
/// [`lifeboat_restic::Error::Locked`] if somebody is removing files.
pub fn check(
    opened: &OpenRepository<'_>,
    options: CheckOptions,
    progress: &dyn Progress,
) -> Result<CheckReport> {
    let _held = match FilesPart::open(opened, LockKind::Shared) {
        // Names are checked without it.
        Err(Error::NoPassword { .. }) => None,
        // What keeps it from being opened is a finding.
        Err(error) if error.is_damaged_files() => None,
        other => other?,
    };
    check_without_lock(opened, options, progress)
}

/// The same beside whoever removes files meanwhile: that is told as lost.
pub fn check_without_lock(
    opened: &OpenRepository<'_>,
    options: CheckOptions,
    progress: &dyn Progress,
) -> Result<CheckReport> {
    if !opened.can_read() && options.read_data.is_none() {
        return Ok(check_names(opened.repository())?);
    }
    let secrets = opened.secrets()?;
    let mut tell = |step| match step {
        lifeboat_repository::Progress::Total(bytes) => progress.begin("reading", Some(bytes)),
        lifeboat_repository::Progress::Read(bytes) => progress.advance(bytes),
    };
    let report = lifeboat_repository::check(opened.repository(), secrets, options, &mut tell);
    progress.end();
    for (host, key) in opened.pins().keep()? {
        progress.note(&Note::HostPinned { host, key });
    }
    Ok(report?)
}
