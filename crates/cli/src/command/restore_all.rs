//! `lifeboat restore --all`: every source of a backup below one directory.

use std::path::{Path, PathBuf};

use lifeboat::{
    BackupName, DatabaseSource, Detour, Error, Manifest, OpenRepository, RestoreRequest, Selection,
    Source, StoredSource, select,
};

use super::Session;
use crate::arguments::RestoreArguments;
use crate::exit::{self, Exit};
use crate::output;

/// Restores what can be; what cannot is told, and makes the result partial.
pub(super) fn run(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &RestoreArguments,
) -> Result<Exit, Error> {
    let (backup, manifest) = select(opened, &super::selection(&arguments.select))?;
    let target = arguments.target.clone().unwrap_or_default();
    let mut partial = false;
    for source in &manifest.sources {
        let done = match source {
            Source::Database(database) if manifest.is_placed(&database.name) => continue,
            Source::Database(database) => {
                restore_database(session, opened, arguments, (&backup, database), &target)
            }
            source => restore_stored(session, opened, arguments, (&backup, &manifest), source),
        };
        match done {
            Ok(exit) => partial |= exit != Exit::Ok,
            Err(error) => {
                output::error(&error, exit::of_error(&error), session.global.json);
                partial = true;
            }
        }
    }
    Ok(if partial { Exit::Partial } else { Exit::Ok })
}

fn restore_stored(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &RestoreArguments,
    (backup, manifest): (&BackupName, &Manifest),
    source: &Source,
) -> Result<Exit, Error> {
    let meant = StoredSource {
        backup: backup.clone(),
        manifest: manifest.clone(),
        source: source.clone(),
        path: None,
        detour: Detour::default(),
    };
    match source {
        Source::Files(_) => super::restore_files::run(session, opened, arguments, meant),
        Source::Command(_) | Source::Device(_) => {
            if let Some(target) = arguments.target.as_deref().filter(|_| !arguments.dry_run) {
                make(target)?;
            }
            super::restore_image::run(session, opened, arguments, meant)
        }
        Source::Database(_) | Source::Unknown => Err(Error::Usage {
            problem: "the backup holds a source of a kind that this version does not know".into(),
            hint: Some("use a newer version of Lifeboat".into()),
        }),
    }
}

fn restore_database(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &RestoreArguments,
    (backup, database): (&BackupName, &DatabaseSource),
    target: &Path,
) -> Result<Exit, Error> {
    let path = PathBuf::from(&database.path);
    let path = target.join(path.strip_prefix("/").unwrap_or(&path));
    if let Some(directory) = path.parent().filter(|_| !arguments.dry_run) {
        make(directory)?;
    }
    let selection = Selection {
        source: Some(database.name.clone()),
        backup: Some(backup.id.to_string()),
        host: None,
    };
    let request = RestoreRequest {
        selection,
        target: Some(path),
        force: arguments.force,
        no_verify: arguments.no_verify,
    };
    super::restore::database(session, opened, &request, arguments.dry_run)
}

fn make(directory: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(directory).map_err(|source| Error::File {
        operation: "make",
        path: directory.to_owned(),
        source,
    })
}
