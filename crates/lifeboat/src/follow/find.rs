//! Which database of a repository a user means, whether or not it has backups.

use std::path::Path;

use lifeboat_repository::{DatabaseAddress, encode_name};

use crate::discover::path_of_url;
use crate::{Error, OpenRepository, Result};

/// The database with this name or path, of `host`, else of this host, else of the only one there is.
pub(super) fn find_database(
    opened: &OpenRepository<'_>,
    wanted: &str,
    host: Option<&str>,
) -> Result<DatabaseAddress> {
    let mut databases = opened.repository().databases()?;
    let host = match host {
        Some(host) => encode_name(host)?,
        None => only_host(opened, &databases)?,
    };
    databases.retain(|database| database.host() == host);
    let name = encode_name(wanted).unwrap_or_default();
    if let Some(found) = databases.iter().find(|database| database.name() == name) {
        return Ok(found.clone());
    }
    let path = opened.context().environment().working_directory().join(path_of_url(wanted));
    let path = path.canonicalize().unwrap_or(path);
    for database in databases {
        if comes_from(opened, &database, &path)? {
            return Ok(database);
        }
    }
    let location = opened.repository().location();
    Err(Error::NoBackup { wanted: format!("of {wanted} of host {host}"), location })
}

fn only_host(opened: &OpenRepository<'_>, databases: &[DatabaseAddress]) -> Result<String> {
    let own = encode_name(&opened.context().host_name())?;
    let mut hosts: Vec<&str> = databases.iter().map(DatabaseAddress::host).collect();
    hosts.dedup();
    match hosts.as_slice() {
        [only] => Ok((*only).to_owned()),
        hosts if hosts.is_empty() || hosts.contains(&own.as_str()) => Ok(own),
        hosts => {
            let candidates = hosts.iter().map(|host| (*host).to_owned()).collect();
            Err(Error::Ambiguous { wanted: "the host".into(), candidates })
        }
    }
}

/// Whether a lineage of a database was captured at this path.
fn comes_from(
    opened: &OpenRepository<'_>,
    database: &DatabaseAddress,
    path: &Path,
) -> Result<bool> {
    for lineage in opened.repository().lineages(database)? {
        match opened.repository().origin(&lineage, opened.secrets()?) {
            Ok(origin) if Path::new(&origin.path) == path => return Ok(true),
            Ok(_) => {}
            // A replica that Litestream made has no origin; a damaged one only leaves the name.
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
