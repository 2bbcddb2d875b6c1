//! Restores what was just backed up, to a scratch file.

use lifeboat_repository::{Manifest, Source};

use crate::fill::fill;
use crate::select::selected_in;
use crate::staging::begin_scratch;
use crate::{OpenRepository, Progress, Result};

/// Restores every database of a backup and checks it; nothing of it stays.
pub(crate) fn verify(
    opened: &OpenRepository<'_>,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<()> {
    let name = manifest.name()?;
    for database in manifest.sources.iter().filter_map(Source::database) {
        let selected = selected_in(opened, &name, manifest, database)?;
        let (mut stage, _claim) = begin_scratch(opened.context(), database.size_bytes, progress)?;
        fill(opened, &selected, &mut stage, true, progress)?;
    }
    Ok(())
}
