//! All hosts of a repository, or of all repositories below one prefix, by listings alone: no password, and no object
//! but the markers is opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lifeboat_repository::{Marker, Repository, Time};
use lifeboat_storage::{Child, Key, Storage};

use crate::prefixed::Prefixed;
use crate::threads::joined;
use crate::{Context, Error, Result};

/// As many repositories are looked at at the same time.
const AT_ONCE: usize = 8;

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

/// Looks at the chosen location: a repository, or a prefix below which each directory is one, eight of them at the
/// same time. Of each repository its marker is read, and its backups are listed.
pub fn fleet(context: &Context) -> Result<Fleet> {
    let storage = context.open_place()?;
    if Marker::is_there(&storage)? {
        let hosts = hosts_of(&Repository::open(storage)?, None)?;
        return Ok(Fleet { hosts, unreadable: Vec::new() });
    }
    let children = storage.list_names(None).map_err(lifeboat_repository::Error::from)?;
    let directories: Vec<Key> = children
        .into_iter()
        .filter_map(|child| match child {
            Child::Directory(directory) => Some(directory),
            Child::Object(_) => None,
        })
        .collect();
    let mut fleet = Fleet::default();
    for (at, looked) in look_at_all(&storage, &directories) {
        let repository = directories[at].to_string();
        match looked {
            Ok(hosts) => fleet.hosts.extend(hosts),
            Err(error) => fleet.unreadable.push(UnreadableRepository { repository, error }),
        }
    }
    Ok(fleet)
}

/// The hosts of each directory, by its number, in their order.
fn look_at_all(
    storage: &Arc<dyn Storage>,
    directories: &[Key],
) -> Vec<(usize, Result<Vec<HostBackups>>)> {
    let next = AtomicUsize::new(0);
    let look_at_some = || {
        let mut looked = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(directory) = directories.get(at) else { return looked };
            looked.push((at, look(storage, directory)));
        }
    };
    let mut looked: Vec<_> = thread::scope(|scope| {
        let threads = 0..AT_ONCE.min(directories.len());
        let threads: Vec<_> = threads.map(|_| scope.spawn(look_at_some)).collect();
        threads.into_iter().flat_map(joined).collect()
    });
    looked.sort_by_key(|(at, _)| *at);
    looked
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use lifeboat_repository::Repository;
    use lifeboat_storage::testing::{Meddle, Meddling};
    use lifeboat_storage::{Entry, Key, LocalStorage, Storage};

    use super::{AT_ONCE, fleet};
    use crate::{Context, Environment, Overrides};

    static ALL: Barrier = Barrier::new(AT_ONCE);

    /// Answers of no marker below a directory before so many are asked for.
    struct Together(Arc<dyn Storage>);

    impl Meddle for Together {
        fn inner(&self) -> &dyn Storage {
            &*self.0
        }

        fn stat(&self, key: &Key) -> lifeboat_storage::Result<Option<Entry>> {
            if key.parent().is_some() {
                ALL.wait();
            }
            self.0.stat(key)
        }
    }

    #[test]
    fn several_are_looked_at_at_once_and_come_in_their_order() {
        let home = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..2 * AT_ONCE).map(|number| format!("{number:02}")).collect();
        for name in &names {
            let place = home.path().join("fleet").join(name);
            Repository::init_litestream(Arc::new(LocalStorage::create(&place).unwrap())).unwrap();
        }
        let environment = Environment::of([("HOME", home.path())], home.path());
        let overrides = Overrides { repository: Some("fleet".to_owned()), ..Overrides::default() };
        let context = Context::for_looking(environment, overrides).unwrap();
        let context =
            context.with_storage_between(|storage| Arc::new(Meddling::new(Together(storage))));
        let fleet = fleet(&context).unwrap();
        let hosts: Vec<String> = fleet.hosts.into_iter().map(|host| host.host).collect();
        assert_eq!(hosts, names);
        assert!(fleet.unreadable.is_empty());
        assert!(!context.state_path().exists());
    }
}
