//! All hosts of a repository, or of all repositories below one prefix, by listings alone: no password, and no object
//! but the markers is opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use lifeboat_repository::{Marker, Repository, Time};
use lifeboat_storage::{Child, Key, Storage};

use crate::prefixed::Prefixed;
use crate::{Context, Error, Result};

/// The backups of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBackups {
    /// The repository below the prefix; `None` where the location is a repository itself.
    pub repository: Option<String>,
    /// The host, as it stands in keys.
    pub host: String,
    /// When its newest backup began; `None` if it has none.
    pub newest: Option<Time>,
    /// How many there are.
    pub backups: u64,
}

/// A place below the prefix that cannot be looked at.
#[derive(Debug)]
pub struct UnreadableRepository {
    /// Which.
    pub repository: String,
    /// Why.
    pub error: Error,
}

/// What a prefix holds.
#[derive(Debug, Default)]
pub struct Fleet {
    /// Hosts, by repository and name.
    pub hosts: Vec<HostBackups>,
    /// Repositories that could not be looked at.
    pub unreadable: Vec<UnreadableRepository>,
}

/// Looks at the chosen location: a repository, or a prefix below which each directory is one. Of each repository
/// its marker is read, and its backups are listed.
pub fn fleet(context: &Context) -> Result<Fleet> {
    let storage = context.open_place()?;
    if Marker::is_there(&storage)? {
        let hosts = hosts_of(&Repository::open(storage)?, None)?;
        return Ok(Fleet { hosts, unreadable: Vec::new() });
    }
    let mut fleet = Fleet::default();
    for child in storage.list_names(None).map_err(lifeboat_repository::Error::from)? {
        let Child::Directory(directory) = child else { continue };
        let repository = directory.to_string();
        match look(&storage, &directory) {
            Ok(hosts) => fleet.hosts.extend(hosts),
            Err(error) => fleet.unreadable.push(UnreadableRepository { repository, error }),
        }
    }
    Ok(fleet)
}

/// The hosts of the repository in a directory; none if there is no repository.
fn look(storage: &Arc<dyn Storage>, directory: &Key) -> Result<Vec<HostBackups>> {
    let below = Prefixed::new(storage.clone(), directory.clone());
    if !Marker::is_there(&below)? {
        return Ok(Vec::new());
    }
    let repository = Repository::open(Arc::new(below))?;
    hosts_of(&repository, Some(directory.as_str()))
}

fn hosts_of(repository: &Repository, name: Option<&str>) -> Result<Vec<HostBackups>> {
    let mut hosts: BTreeMap<String, (Option<Time>, u64)> = BTreeMap::new();
    for backup in repository.backups()? {
        let (newest, count) = hosts.entry(backup.host).or_default();
        *newest = (*newest).max(Some(backup.started));
        *count += 1;
    }
    if let (true, Some(name)) = (hosts.is_empty(), name) {
        // One that has never been backed up to is what its owner wants to see.
        hosts.insert(name.to_owned(), (None, 0));
    }
    let hosts = hosts.into_iter().map(|(host, (newest, backups))| HostBackups {
        repository: name.map(str::to_owned),
        host,
        newest,
        backups,
    });
    Ok(hosts.collect())
}
