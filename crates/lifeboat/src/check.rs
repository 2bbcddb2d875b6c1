//! Verifies the repository.

use lifeboat_repository::{CheckOptions, CheckReport, check_names};

use crate::{Note, OpenRepository, Progress, Result};

/// Checks the repository without changing it. Who has neither password nor identity checks what
/// names and sizes show ([`OpenRepository::can_read`] tells), unless contents are to be read.
pub fn check(
    opened: &OpenRepository<'_>,
    options: CheckOptions,
    progress: &dyn Progress,
) -> Result<CheckReport> {
    if !opened.can_read() && !options.read_data {
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
