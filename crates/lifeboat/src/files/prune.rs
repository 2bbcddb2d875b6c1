//! Removes what no backup needs of the files part any more.

use lifeboat_repository::{FilesPrunePlan, FilesPruned, PruneOptions};
use lifeboat_restic::LockKind;

use super::part::{FilesPart, look};
use crate::{OpenRepository, Progress, Result};

/// Decides what would go, without a lock: to be shown. `None` where there are no files.
pub fn plan_files_prune(
    opened: &OpenRepository<'_>,
    options: &PruneOptions,
) -> Result<Option<FilesPrunePlan>> {
    let Some(files) = look(opened)? else { return Ok(None) };
    let secrets = opened.secrets()?;
    Ok(Some(opened.repository().plan_files_prune(&files, secrets, options)?))
}

/// Removes it, while nobody else uses the files part; `None` where there are no files.
///
/// [`lifeboat_restic::Error::Locked`] if somebody does.
pub(crate) fn prune_files(
    opened: &OpenRepository<'_>,
    options: &PruneOptions,
    progress: &dyn Progress,
) -> Result<Option<FilesPruned>> {
    let Some(part) = FilesPart::open(opened, LockKind::Exclusive)? else { return Ok(None) };
    progress.begin("pruning files", None);
    let repository = opened.repository();
    let pruned = opened.secrets().and_then(|secrets| {
        let plan = repository.plan_files_prune(&part.repository, secrets, options)?;
        Ok(repository.prune_files(&part.repository, &plan, &|| part.lock.still_ours())?)
    });
    progress.end();
    Ok(Some(pruned?))
}
