//! Applies the files of a backup to a staged database and verifies what comes out.

use std::collections::HashMap;

use lifeboat_repository::{ObjectRef, open_ltx};
use lifeboat_sqlite::{Stage, integrity_check};

use crate::select::Selected;
use crate::{Error, Note, OpenRepository, Progress, Result};

/// Fills an empty stage with a database of a backup.
///
/// Every checksum is verified: SHA-256 of the objects, age's authentication, those of the LTX files
/// and of the database after each, and the manifest's. `verify` adds SQLite's integrity check.
pub(crate) fn fill(
    opened: &OpenRepository<'_>,
    selected: &Selected,
    stage: &mut Stage,
    verify: bool,
    progress: &dyn Progress,
) -> Result<()> {
    let database = &selected.database;
    let expected: HashMap<String, ObjectRef> =
        database.objects.iter().map(|object| (object.key.clone(), object.clone())).collect();
    let node = selected.lineage.id().node();
    progress.begin(&format!("restoring {}", database.name), Some(database.size_bytes));
    for file in &selected.files {
        let storage = opened.repository().storage();
        let (decoder, reader) = open_ltx(storage, file, node, &expected, opened.secrets()?)?;
        let applied = stage.apply(decoder, &mut |bytes| progress.advance(bytes));
        applied.map_err(|error| match error {
            lifeboat_sqlite::Error::Ltx { source, .. } => Error::from(reader.explain(source)),
            other => other.into(),
        })?;
    }
    progress.end();
    if stage.checksum() != database.checksum {
        return Err(Error::WrongContent {
            name: database.name.clone(),
            backup: selected.name.id.short(),
            expected: database.checksum.to_string(),
            found: stage.checksum().to_string(),
        });
    }
    if verify {
        progress.begin(&format!("checking {}", database.name), None);
        let result = integrity_check(stage.path());
        progress.end();
        result?;
    } else {
        progress.note(&Note::NotVerified);
    }
    Ok(())
}
