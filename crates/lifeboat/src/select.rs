//! Finds the backup, and the database in it, that a user means.

use std::path::Path;

use lifeboat_repository::{
    BackupName, DatabaseAddress, DatabaseSource, LineageAddress, LtxFile, Manifest, Source,
    encode_name,
};

use crate::discover::path_of_url;
use crate::{Error, Note, OpenRepository, Progress, Result};

/// The least of an id that is taken for one.
const MIN_ID_PREFIX: usize = 4;

/// What a user asks for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// A database: its name, or its path. `None`: the only one of the backup.
    pub source: Option<String>,
    /// An id or the beginning of one, a name given to the backup, or `latest`. `None`: `latest`.
    pub backup: Option<String>,
    /// The host whose backups are meant. `None`: this one, else the only one there is.
    pub host: Option<String>,
}

/// A database in a backup, and the files that lead to it.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) name: BackupName,
    pub(crate) manifest: Manifest,
    pub(crate) database: DatabaseSource,
    pub(crate) lineage: LineageAddress,
    pub(crate) files: Vec<LtxFile>,
}

/// Finds the backup that a selection means, and its manifest.
pub fn select(
    opened: &OpenRepository<'_>,
    selection: &Selection,
) -> Result<(BackupName, Manifest)> {
    let names = candidates(opened, selection)?;
    match names.into_iter().next() {
        Some(name) => Ok((name.clone(), opened.manifest(&name)?)),
        None => Err(no_backup(opened, selection)),
    }
}

/// Finds the newest database that fits a selection and can be restored.
///
/// Which objects there are decides that; what they contain shows when they are read. Newer backups
/// that cannot be restored are passed over, with a note, unless the selection names one.
pub(crate) fn select_database(
    opened: &OpenRepository<'_>,
    selection: &Selection,
    progress: &dyn Progress,
) -> Result<Selected> {
    let wants_newest = selection.backup.as_deref().is_none_or(|wanted| wanted == "latest");
    let mut refused = None;
    for name in candidates(opened, selection)? {
        let result = opened.manifest(&name).and_then(|manifest| {
            let Some(database) = database_in(opened, &manifest, selection.source.as_deref())?
            else {
                return Ok(None);
            };
            with_files(opened, &name, manifest, database).map(Some)
        });
        match result {
            Ok(Some(selected)) => return Ok(selected),
            Ok(None) => {}
            Err(error @ (Error::Ambiguous { .. } | Error::NoPassword { .. })) => return Err(error),
            Err(error) if wants_newest && is_damage(&error) => {
                let reason = crate::error::chain(&error);
                progress.note(&Note::SkippedBackup { name, reason });
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| no_backup(opened, selection)))
}

/// Whether an error speaks of this backup only.
fn is_damage(error: &Error) -> bool {
    use lifeboat_repository::Error as Repository;
    matches!(
        error,
        Error::Repository(
            Repository::Corrupt { .. }
                | Repository::Sealed { .. }
                | Repository::Json { .. }
                | Repository::Ltx { .. }
                | Repository::NotRestorable { .. }
                | Repository::Storage(lifeboat_storage::Error::NotFound { .. })
        )
    )
}

fn no_backup(opened: &OpenRepository<'_>, selection: &Selection) -> Error {
    let mut wanted = selection.backup.clone().unwrap_or_default();
    if let Some(source) = &selection.source {
        wanted = format!("{wanted} of {source}");
    }
    if let Some(host) = &selection.host {
        wanted = format!("{wanted} of host {host}");
    }
    Error::NoBackup { wanted: wanted.trim().to_owned(), location: opened.repository().location() }
}

/// The backups that a selection may mean, newest first.
fn candidates(opened: &OpenRepository<'_>, selection: &Selection) -> Result<Vec<BackupName>> {
    let all = opened.repository().backups()?;
    if !all.is_empty() {
        // What keeps every manifest from being read is no damage of one of them.
        opened.secrets()?;
    }
    let names = match &selection.host {
        Some(host) => {
            let host = encode_name(host)?;
            all.into_iter().filter(|name| name.host == host).collect()
        }
        None => all,
    };
    match selection.backup.as_deref() {
        None | Some("latest") => of_one_host(opened, names),
        Some(wanted) => match with_id(&names, wanted)? {
            Some(name) => Ok(vec![name]),
            None => with_label(opened, names, wanted),
        },
    }
}

/// Of several hosts, this one's backups.
fn of_one_host(opened: &OpenRepository<'_>, names: Vec<BackupName>) -> Result<Vec<BackupName>> {
    let own = encode_name(&opened.context().host_name())?;
    if names.iter().any(|name| name.host == own) {
        return Ok(names.into_iter().filter(|name| name.host == own).collect());
    }
    let mut hosts: Vec<&str> = names.iter().map(|name| name.host.as_str()).collect();
    hosts.sort_unstable();
    hosts.dedup();
    if hosts.len() > 1 {
        let candidates = hosts.into_iter().map(str::to_owned).collect();
        return Err(Error::Ambiguous { wanted: "the host".into(), candidates });
    }
    Ok(names)
}

fn with_id(names: &[BackupName], wanted: &str) -> Result<Option<BackupName>> {
    let is_prefix =
        wanted.len() >= MIN_ID_PREFIX && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wanted = wanted.to_ascii_lowercase();
    let fitting: Vec<&BackupName> =
        names.iter().filter(|name| is_prefix && name.id.to_string().starts_with(&wanted)).collect();
    match fitting.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        several => Err(Error::Ambiguous {
            candidates: several.iter().map(|name| name.id.to_string()).collect(),
            wanted,
        }),
    }
}

/// Backups that were given this name; one name may have been used again.
fn with_label(
    opened: &OpenRepository<'_>,
    names: Vec<BackupName>,
    wanted: &str,
) -> Result<Vec<BackupName>> {
    let mut fitting = Vec::new();
    for name in names {
        match opened.manifest(&name) {
            Ok(manifest) if manifest.label.as_deref() == Some(wanted) => fitting.push(name),
            Ok(_) => {}
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(fitting)
}

/// The database of a manifest that is meant; `None` if it has none that fits.
fn database_in(
    opened: &OpenRepository<'_>,
    manifest: &Manifest,
    wanted: Option<&str>,
) -> Result<Option<DatabaseSource>> {
    let databases: Vec<&DatabaseSource> =
        manifest.sources.iter().filter_map(Source::database).collect();
    let Some(wanted) = wanted else {
        return match databases.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            several => Err(Error::Ambiguous {
                wanted: "the database".into(),
                candidates: several.iter().map(|database| database.name.clone()).collect(),
            }),
        };
    };
    let path = opened.context().environment().working_directory().join(path_of_url(wanted));
    let path = path.canonicalize().unwrap_or(path);
    let fits =
        |database: &&&DatabaseSource| database.name == wanted || Path::new(&database.path) == path;
    Ok(databases.iter().find(fits).map(|database| (*database).clone()))
}

/// The files that lead to a database, each in the size that the manifest says.
fn with_files(
    opened: &OpenRepository<'_>,
    name: &BackupName,
    manifest: Manifest,
    database: DatabaseSource,
) -> Result<Selected> {
    let address = DatabaseAddress::new(&manifest.host, &database.name)?;
    let lineage = address.lineage(database.lineage)?;
    let listing = opened.repository().listing(&lineage)?;
    let files: Vec<LtxFile> = listing.plan(&lineage, database.txid)?.into_iter().cloned().collect();
    for entry in files.iter().flat_map(|file| &file.objects) {
        let expected = database.objects.iter().find(|object| object.key == entry.key.as_str());
        if let Some(expected) = expected.filter(|expected| expected.size != entry.size) {
            return Err(lifeboat_repository::Error::Corrupt {
                key: entry.key.clone(),
                detail: format!("expected {} bytes, found {}", expected.size, entry.size),
            }
            .into());
        }
    }
    Ok(Selected { name: name.clone(), manifest, database, lineage, files })
}

/// Puts the files that lead to a database of a manifest together.
pub(crate) fn selected_in(
    opened: &OpenRepository<'_>,
    name: &BackupName,
    manifest: &Manifest,
    database: &DatabaseSource,
) -> Result<Selected> {
    with_files(opened, name, manifest.clone(), database.clone())
}
