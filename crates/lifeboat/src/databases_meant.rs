//! Which stored databases a user means, from names alone as far as that goes.

use std::path::PathBuf;

use lifeboat_repository::{DatabaseAddress, LineageAddress, encode_name};

use crate::discover::path_of_url;
use crate::names::known_databases;
use crate::{Error, OpenRepository, Result};

/// The databases of a host that fit: all, or the one with this name or path.
///
/// Without a host, those of this one, else of the only one there is. [`Error::NoDatabase`] if none
/// fits.
pub(crate) fn databases_meant(
    opened: &OpenRepository<'_>,
    source: Option<&str>,
    host: Option<&str>,
) -> Result<Vec<DatabaseAddress>> {
    let all = opened.repository().databases()?;
    let found = of_host(opened, all, host)?;
    let found = match source {
        Some(source) => fitting(opened, &found, source)?.into_iter().collect(),
        None => found,
    };
    if found.is_empty() {
        let wanted = source.map(|source| format!(" {source}")).unwrap_or_default();
        let host = host.map(|host| format!(" of host {host}")).unwrap_or_default();
        let location = opened.repository().location();
        return Err(Error::NoDatabase { wanted: format!("{wanted}{host}"), location });
    }
    Ok(found)
}

/// The one database that fits.
pub(crate) fn database_meant(
    opened: &OpenRepository<'_>,
    source: Option<&str>,
    host: Option<&str>,
) -> Result<DatabaseAddress> {
    let mut found = databases_meant(opened, source, host)?;
    if found.len() > 1 {
        let candidates = found.iter().map(|database| database.name().to_owned()).collect();
        return Err(Error::Ambiguous { wanted: "the database".into(), candidates });
    }
    // There is one: none at all was an error.
    Ok(found.remove(0))
}

fn of_host(
    opened: &OpenRepository<'_>,
    mut databases: Vec<DatabaseAddress>,
    host: Option<&str>,
) -> Result<Vec<DatabaseAddress>> {
    let own = encode_name(&opened.context().host_name())?;
    let host = match host {
        Some(host) => encode_name(host)?,
        None if databases.iter().any(|database| database.host() == own) => own,
        None => {
            let mut hosts: Vec<&str> = databases.iter().map(DatabaseAddress::host).collect();
            hosts.sort_unstable();
            hosts.dedup();
            match hosts.as_slice() {
                [] => return Ok(Vec::new()),
                [one] => (*one).to_owned(),
                several => {
                    let candidates = several.iter().map(|host| (*host).to_owned()).collect();
                    return Err(Error::Ambiguous { wanted: "the host".into(), candidates });
                }
            }
        }
    };
    databases.retain(|database| database.host() == host);
    Ok(databases)
}

/// By its name, as it is known or as it stands in keys; else by the path that this host backs up
/// under that name; else, if origins can be read, by the path that one of them names.
fn fitting(
    opened: &OpenRepository<'_>,
    databases: &[DatabaseAddress],
    wanted: &str,
) -> Result<Option<DatabaseAddress>> {
    let named = |name: &str| {
        let encoded = encode_name(name).ok();
        let fits =
            |one: &&DatabaseAddress| one.name() == name || Some(one.name()) == encoded.as_deref();
        databases.iter().find(fits).cloned()
    };
    if let Some(database) = named(wanted) {
        return Ok(Some(database));
    }
    let path = opened.context().environment().working_directory().join(path_of_url(wanted));
    let path = path.canonicalize().unwrap_or(path);
    let known = known_databases(opened.context().state())?;
    let known = known.iter().find(|(_, known)| *known == path);
    if let Some(database) = known.and_then(|(name, _)| named(name)) {
        return Ok(Some(database));
    }
    for database in databases {
        let lineages = opened.repository().lineages(database)?;
        if origin_paths(opened, &lineages).any(|origin| origin == path) {
            return Ok(Some(database.clone()));
        }
    }
    Ok(None)
}

/// Where the database of these lineages lay, as far as their origins can be read.
pub(crate) fn origin_paths(
    opened: &OpenRepository<'_>,
    lineages: &[LineageAddress],
) -> impl Iterator<Item = PathBuf> {
    let secrets = opened.can_read().then(|| opened.secrets().ok()).flatten();
    let origin = move |lineage| opened.repository().origin(lineage, secrets?).ok();
    lineages.iter().filter_map(origin).map(|origin| PathBuf::from(origin.path))
}
