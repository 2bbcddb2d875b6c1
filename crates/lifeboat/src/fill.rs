//! Applies the files of a way to a staged database and verifies what comes out, around what turns
//! out to be damaged.

use lifeboat_repository::{blame, locate_damage, open_ltx};
use lifeboat_sqlite::{Stage, integrity_check};

use crate::point_search::{PointSearch, SelectedPoint};
use crate::search::Search;
use crate::selected::Selected;
use crate::way::{Outcome, Way, corrupt};
use crate::{Detour, Error, Note, OpenRepository, Progress, Result};

/// How often a lineage is listed again because an object is gone. What removes objects announces
/// them a day before: more than one such moment in a restore is rare already.
const LISTINGS: usize = 3;

/// Fills a stage with `selected`, else with the next older database that can be restored; returns
/// which.
pub(crate) fn fill_newest(
    opened: &OpenRepository<'_>,
    search: &mut Search,
    mut selected: Selected,
    stage: &mut Stage,
    verify: bool,
    progress: &dyn Progress,
) -> Result<Selected> {
    loop {
        match fill(opened, &mut selected.way, &mut search.detour, stage, verify, progress) {
            Ok(()) => return Ok(selected),
            Err(error) if error.is_damage() => {
                search.refuse(opened, selected.name, error, progress)?;
            }
            Err(error) => return Err(error),
        }
        selected = search.next(opened, progress)?;
        progress.note(&Note::OtherBackup {
            name: selected.name.clone(),
            label: selected.label.clone(),
            database: Box::new(selected.database.clone()),
        });
    }
}

/// Fills a stage with a database, by whichever way leads there.
///
/// Every checksum is verified: SHA-256 of the objects, age's authentication, those of the LTX files
/// and of the database after each, and the manifest's where there is one. A file that fails is left
/// out and the way planned again; what was applied is thrown away, since another way seldom begins
/// alike. If none is left, the error names the object that was found damaged last. `verify` adds
/// SQLite's integrity check.
pub(crate) fn fill(
    opened: &OpenRepository<'_>,
    way: &mut Way,
    detour: &mut Detour,
    stage: &mut Stage,
    verify: bool,
    progress: &dyn Progress,
) -> Result<()> {
    let mut listings = LISTINGS;
    loop {
        stage.restart()?;
        stage.reserve(way.size_bytes)?;
        progress.begin(&format!("restoring {}", way.name), Some(way.size_bytes));
        let followed = follow(opened, way, stage, progress);
        progress.end();
        let Err((at, error)) = followed else { break };
        if !error.is_damage() {
            return Err(error);
        }
        go_around(opened, way, (at, error), &mut listings, detour, progress)?;
    }
    if verify {
        progress.begin(&format!("checking {}", way.name), None);
        let result = integrity_check(stage.path());
        progress.end();
        result?;
    } else {
        progress.note(&Note::NotVerified);
    }
    Ok(())
}

/// Fills a stage with the database at `selected`, else at the next older point that can be restored;
/// returns which.
pub(crate) fn fill_point(
    opened: &OpenRepository<'_>,
    search: &mut PointSearch,
    mut selected: SelectedPoint,
    stage: &mut Stage,
    verify: bool,
    progress: &dyn Progress,
) -> Result<SelectedPoint> {
    loop {
        match fill(opened, &mut selected.way, &mut search.detour, stage, verify, progress) {
            Ok(()) => return Ok(selected),
            Err(error) if error.is_damage() => search.refuse(selected.found, error, progress)?,
            Err(error) => return Err(error),
        }
        selected = search.next(opened, progress)?;
        progress.note(&Note::OtherPoint { found: selected.found.clone() });
    }
}

/// Finds out how large the database is to which a way leads, by its last file if no manifest says it.
pub(crate) fn measure(
    opened: &OpenRepository<'_>,
    way: &mut Way,
    detour: &mut Detour,
    progress: &dyn Progress,
) -> Result<()> {
    let mut listings = LISTINGS;
    if let Some(Outcome { page_size, page_count, .. }) = way.outcome {
        way.size_bytes = u64::from(page_size) * u64::from(page_count);
        return Ok(());
    }
    while let Some(last) = way.files.last() {
        let repository = opened.repository();
        let (storage, node) = (repository.storage(), repository.node_of(&way.lineage));
        let error = match open_ltx(storage, last, node, &way.expected(), opened.secrets()?) {
            Ok((decoder, _)) => {
                let header = decoder.header();
                way.size_bytes = u64::from(header.page_size.get()) * u64::from(header.commit);
                break;
            }
            Err(error) => Error::from(error),
        };
        if !error.is_damage() {
            return Err(error);
        }
        let failure = (way.files.len() - 1, error);
        go_around(opened, way, failure, &mut listings, detour, progress)?;
    }
    Ok(())
}

/// Leaves a file of the way out, and plans it again. If no way is left, the error is that of the file.
fn go_around(
    opened: &OpenRepository<'_>,
    way: &mut Way,
    (at, error): Failure,
    listings: &mut usize,
    detour: &mut Detour,
    progress: &dyn Progress,
) -> Result<()> {
    detour.exclude(&way.files[at], &error, progress);
    if is_gone(&error) && *listings > 0 {
        *listings -= 1;
        way.list_again(opened)?;
    }
    way.plan(detour, progress).map_err(|no_way| if no_way.is_damage() { error } else { no_way })
}

/// An error, and which file of the way is to be left out where it is damage.
type Failure = (usize, Error);

/// Applies the files of the way to an empty stage and compares with the manifest.
fn follow(
    opened: &OpenRepository<'_>,
    way: &Way,
    stage: &mut Stage,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let storage = opened.repository().storage();
    let node = opened.repository().node_of(&way.lineage);
    let expected = way.expected();
    let misfit = |at: usize, detail: String| {
        let files: Vec<_> = way.files.iter().collect();
        let blamed = blame(&files, at, &expected);
        let at = files.iter().position(|file| file.name == blamed.name).unwrap_or(at);
        (at, corrupt(blamed.first_key(), detail).into())
    };
    for (at, file) in way.files.iter().enumerate() {
        let located = |error| (at, locate_damage(storage, file, &expected, error).into());
        let secrets = opened.secrets().map_err(|error| (at, error))?;
        let (decoder, reader) =
            open_ltx(storage, file, node, &expected, secrets).map_err(located)?;
        let applied = stage.apply(decoder, &mut |bytes| progress.advance(bytes));
        applied.map_err(|error| match error {
            lifeboat_sqlite::Error::Ltx { source, .. } => located(reader.explain(source)),
            lifeboat_sqlite::Error::Discontinuous { detail } => misfit(at, detail),
            other => (at, other.into()),
        })?;
    }
    compare(way, stage).map_err(|detail| misfit(way.files.len() - 1, detail))
}

/// The staged database against the manifest.
fn compare(way: &Way, stage: &Stage) -> Result<(), String> {
    let Some(expected) = &way.outcome else { return Ok(()) };
    let bytes = u64::from(expected.page_count) * u64::from(expected.page_size);
    let found = (stage.size(), stage.page_bytes());
    if found != (bytes, expected.page_size) {
        return Err(format!(
            "it leads to {} bytes in pages of {}, the manifest says {bytes} in pages of {}",
            found.0, found.1, expected.page_size
        ));
    }
    if stage.checksum() != expected.checksum {
        let (found, expected) = (stage.checksum(), expected.checksum);
        return Err(format!("it leads to checksum {found}, the manifest says {expected}"));
    }
    Ok(())
}

fn is_gone(error: &Error) -> bool {
    use lifeboat_repository::Error as Repository;
    matches!(
        error,
        Error::Repository(Repository::Storage(lifeboat_storage::Error::NotFound { .. }))
    )
}
