//! Which backups, and which database in them, a user means.

use std::path::Path;

use lifeboat_repository::{BackupId, BackupName, DatabaseSource, Manifest, Source, encode_name};

use crate::discover::path_of_url;
use crate::{Error, OpenRepository, Result};

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

impl Selection {
    /// Whether one backup is meant, and no other will do.
    pub(crate) fn names_backup(&self) -> bool {
        self.backup.as_deref().is_some_and(|wanted| wanted != "latest")
    }
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

impl From<&str> for Selection {
    /// A backup: `latest`, an id or a name.
    fn from(backup: &str) -> Self {
        Self { backup: Some(backup.to_owned()), ..Self::default() }
    }
}

impl From<BackupId> for Selection {
    fn from(backup: BackupId) -> Self {
        Self { backup: Some(backup.to_string()), ..Self::default() }
    }
}

/// Nothing fits a selection.
pub(crate) fn no_backup(opened: &OpenRepository<'_>, selection: &Selection) -> Error {
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
pub(crate) fn candidates(
    opened: &OpenRepository<'_>,
    selection: &Selection,
) -> Result<Vec<BackupName>> {
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
    match selection.backup.as_deref().filter(|_| selection.names_backup()) {
        None => of_one_host(opened, names),
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

pub(crate) fn with_id(names: &[BackupName], wanted: &str) -> Result<Option<BackupName>> {
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
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(fitting)
}

/// The database of a manifest that is meant; `None` if it has none that fits.
pub(crate) fn database_in(
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
