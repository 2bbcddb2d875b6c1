//! Which source of which backup a user means, of whatever kind.

use std::path::{Path, PathBuf};

use lifeboat_files::clean;
use lifeboat_repository::{BackupName, Manifest, Source};

use super::stored::unescaped;
use crate::discover::path_of_url;
use crate::select::{candidates, database_in};
use crate::{Detour, Error, OpenRepository, Progress, Result, Selection};

/// What a user means to restore, or to read.
#[derive(Debug)]
pub enum Meant {
    /// A database, or nothing that there is: [`plan_restore`](crate::plan_restore) finds it, or says so.
    Database,
    /// Something else.
    Stored(Box<StoredSource>),
}

/// A source of a backup that is no database.
#[derive(Debug)]
pub struct StoredSource {
    /// The backup.
    pub backup: BackupName,
    /// What it holds.
    pub manifest: Manifest,
    /// The source.
    pub source: Source,
    /// The path among its files that was named instead of it.
    pub path: Option<PathBuf>,
    /// Newer backups that cannot be read.
    pub detour: Detour,
}

/// Finds what a selection means, in the newest backup that has it.
///
/// Without a source it is the only one of the backup; databases that belong among files do not count then.
/// [`Error::Ambiguous`] if there are several.
pub fn meant(
    opened: &OpenRepository<'_>,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<Meant> {
    let mut unreadable = Vec::new();
    for backup in candidates(opened, selection)? {
        let manifest = match opened.manifest(&backup) {
            Ok(manifest) => manifest,
            Err(error) if error.is_damage() && !selection.names_backup() => {
                unreadable.push((backup, error));
                continue;
            }
            Err(error) if error.is_damage() => return Ok(Meant::Database),
            Err(error) => return Err(error),
        };
        let Some((source, path)) = find(opened, &manifest, selection.source.as_deref())? else {
            continue;
        };
        if matches!(source, Source::Database(_)) {
            return Ok(Meant::Database);
        }
        let mut detour = Detour::default();
        for (name, error) in unreadable {
            detour.skip(name, &error, progress);
        }
        let source = source.clone();
        return Ok(Meant::Stored(Box::new(StoredSource {
            backup,
            manifest,
            source,
            path,
            detour,
        })));
    }
    Ok(Meant::Database)
}

type Found<'a> = (&'a Source, Option<PathBuf>);

fn find<'a>(
    opened: &OpenRepository<'_>,
    manifest: &'a Manifest,
    wanted: Option<&str>,
) -> Result<Option<Found<'a>>> {
    let Some(wanted) = wanted else {
        return only_one(manifest).map(|one| one.map(|one| (one, None)));
    };
    let sources = &manifest.sources;
    if let Some(named) = sources.iter().find(|one| one.name().is_some_and(|name| name == wanted)) {
        return Ok(Some((named, None)));
    }
    if let Some(database) = database_in(opened, manifest, Some(wanted))? {
        let same = |one: &&Source| one.database().is_some_and(|one| one.name == database.name);
        return Ok(sources.iter().find(same).map(|one| (one, None)));
    }
    let path = opened.context().environment().working_directory().join(path_of_url(wanted));
    let path = clean(&path);
    let resolved = path.canonicalize().ok();
    let paths: Vec<PathBuf> = [Some(path), resolved].into_iter().flatten().collect();
    match paths.iter().find_map(|path| at_path(sources, path)) {
        Some(found) => Ok(Some(found)),
        None => above(sources, &paths),
    }
}

/// The one source that can be meant where none was named.
fn only_one(manifest: &Manifest) -> Result<Option<&Source>> {
    let by_itself = |source: &&Source| {
        let is_placed = source.database().is_some_and(|one| manifest.is_placed(&one.name));
        source.name().is_some() && !is_placed
    };
    let sources: Vec<&Source> = manifest.sources.iter().filter(by_itself).collect();
    match sources.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let all_databases = several.iter().all(|source| source.database().is_some());
            let wanted = if all_databases { "the database" } else { "the source" };
            let candidates = several.iter().filter_map(|one| one.name()).cloned().collect();
            Err(Error::Ambiguous { wanted: wanted.to_owned(), candidates })
        }
    }
}

/// The source that has a path: a device itself, else files of which the named path leads deepest.
fn at_path<'a>(sources: &'a [Source], path: &Path) -> Option<Found<'a>> {
    let device = |source: &&Source| match source {
        Source::Device(device) => unescaped(&device.path) == path,
        _ => false,
    };
    if let Some(device) = sources.iter().find(device) {
        return Some((device, None));
    }
    let depth = |source: &Source| {
        let paths = source.files().into_iter().flat_map(|files| &files.paths);
        let paths = paths.map(|named| clean(&unescaped(named)));
        paths.filter(|named| path.starts_with(named)).map(|named| named.components().count()).max()
    };
    let deepest = sources.iter().filter_map(|source| Some((depth(source)?, source)));
    let (_, source) = deepest.max_by_key(|(depth, _)| *depth)?;
    Some((source, Some(path.to_owned())))
}

/// The only source with something below a path.
fn above<'a>(sources: &'a [Source], paths: &[PathBuf]) -> Result<Option<Found<'a>>> {
    for path in paths {
        let is_below = |named: &String| clean(&unescaped(named)).starts_with(path);
        let has_below =
            |source: &&Source| source.files().is_some_and(|files| files.paths.iter().any(is_below));
        let found: Vec<&Source> = sources.iter().filter(has_below).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Some((one, Some(path.clone())))),
            several => {
                let candidates = several.iter().filter_map(|one| one.name()).cloned().collect();
                return Err(Error::Ambiguous { wanted: "the source".to_owned(), candidates });
            }
        }
    }
    Ok(None)
}
