//! Restores backups to a scratch file and checks them; nothing of it stays.

use lifeboat_repository::{DatabaseSource, Manifest, Source};

use crate::files::verify_stored;
use crate::fill::fill;
use crate::select::{candidates, database_in, no_backup, select};
use crate::selected::Selected;
use crate::staging::begin_scratch;
use crate::{Detour, OpenRepository, Progress, Result, Selection};

/// Verifies everything that a backup holds.
pub(crate) fn verify(
    opened: &OpenRepository<'_>,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<()> {
    let mut detour = Detour::default();
    manifest.sources.iter().try_for_each(|source| match source {
        Source::Database(database) => verify_one(opened, manifest, database, &mut detour, progress),
        source => verify_stored(opened, source, progress),
    })
}

/// Verifies the backup that a selection means; of a selection with a source, that database in the
/// newest backup that has it. No older backup takes the place of one that is damaged.
pub(crate) fn verify_selection(
    opened: &OpenRepository<'_>,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<()> {
    if selection.source.is_none() {
        return verify(opened, &select(opened, selection)?.1, progress);
    }
    for name in candidates(opened, selection)? {
        let manifest = opened.manifest(&name)?;
        if let Some(database) = database_in(opened, &manifest, selection.source.as_deref())? {
            return verify_one(opened, &manifest, &database, &mut Detour::default(), progress);
        }
    }
    Err(no_backup(opened, selection))
}

fn verify_one(
    opened: &OpenRepository<'_>,
    manifest: &Manifest,
    database: &DatabaseSource,
    detour: &mut Detour,
    progress: &dyn Progress,
) -> Result<()> {
    let mut selected = Selected::plan(opened, manifest, database, detour, progress)?;
    let (mut stage, _claim) = begin_scratch(opened.context(), database.size_bytes, progress)?;
    fill(opened, &mut selected.way, detour, &mut stage, true, progress)
}
