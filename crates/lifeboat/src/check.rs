//! Verifies the repository.

use lifeboat_repository::{CheckOptions, CheckReport};

use crate::{OpenRepository, Progress, Result};

/// Checks the repository without changing it.
pub fn check(
    opened: &OpenRepository<'_>,
    options: CheckOptions,
    progress: &dyn Progress,
) -> Result<CheckReport> {
    let secrets = opened.secrets()?;
    let mut tell = |step| match step {
        lifeboat_repository::Progress::Total(bytes) => progress.begin("reading", Some(bytes)),
        lifeboat_repository::Progress::Read(bytes) => progress.advance(bytes),
    };
    let report = lifeboat_repository::check(opened.repository(), secrets, options, &mut tell);
    progress.end();
    Ok(report?)
}
