//! The state directory: who this host is, what it knows of repositories and databases.
//!
//! Nothing in it is needed to restore. Losing all of it costs a new lineage for each database; the
//! state of a database alone is rebuilt from the repository, where that is certain to be right.

mod database;
mod file;
mod files;
mod host;
mod ledger;
mod numbers;
mod outboxes;
mod repository;
mod seen;
mod spool;

use std::path::{Path, PathBuf};

pub(crate) use database::{Captured, DatabaseState, DatabaseStateFile, Merging, Pending, Position};
use file::lock;
pub(crate) use file::{
    create_private_directory, load, replace_private_file, save, sync_directory_of,
};
pub(crate) use host::{Host, hostname};
pub(crate) use ledger::Ledger;
pub(crate) use outboxes::Outbox;
pub(crate) use repository::RepositoryState;
pub(crate) use seen::{Facts, Seen};
pub(crate) use spool::Spooled;

use crate::{Error, Result};

/// The state directory of this host.
#[derive(Debug, Clone)]
pub(crate) struct StateDirectory {
    path: PathBuf,
}

/// The states of all databases that were ever captured here, and whose state can be read.
pub(crate) fn known_states(state: &StateDirectory) -> Result<Vec<DatabaseState>> {
    let entries = std::fs::read_dir(state.databases()).into_iter().flatten().flatten();
    let states = entries.map(|entry| DatabaseStateFile::peek_at(&entry.path()));
    Ok(states.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

impl StateDirectory {
    /// Opens it, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        create_private_directory(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// The one at a path, of which nothing may be made; it may be missing.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Who this host is; drawn at first use.
    pub(crate) fn host(&self) -> Result<Host> {
        Host::load(&self.host_path())
    }

    /// Who this host is, if that was drawn already.
    pub(crate) fn known_host(&self) -> Result<Option<Host>> {
        Host::find(&self.host_path())
    }

    /// The file that says who this host is.
    pub(crate) fn host_path(&self) -> PathBuf {
        self.path.join("host.json")
    }

    /// What is known of a repository.
    pub(crate) fn repository(&self, id: &str) -> Result<RepositoryState> {
        RepositoryState::load(&self.path.join("repositories").join(format!("{id}.json")))
    }

    /// Changes what is known of a repository. One process at a time does: what another learned
    /// meanwhile is kept.
    pub(crate) fn update_repository(
        &self,
        id: &str,
        change: impl FnOnce(&mut RepositoryState) -> Result<()>,
    ) -> Result<()> {
        let directory = self.path.join("repositories");
        let _lock = lock(&directory.join(format!("{id}.lock")))?;
        let path = directory.join(format!("{id}.json"));
        let mut state = RepositoryState::load(&path)?;
        let before = state.clone();
        change(&mut state)?;
        if state == before { Ok(()) } else { state.save(&path) }
    }

    /// The ids of the repositories that this host has used.
    pub(crate) fn repository_ids(&self) -> Result<Vec<String>> {
        let directory = self.path.join("repositories");
        let failed = || Error::file("read", &directory);
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed()(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed())?.file_name();
            ids.extend(name.to_string_lossy().strip_suffix(".json").map(str::to_owned));
        }
        Ok(ids)
    }

    /// Whether a repository at this location was known whose recipient is pinned: an encrypted one.
    pub(crate) fn has_sealed(&self, location: &str) -> Result<bool> {
        self.has(|state| state.location == location && state.recipient.is_some())
    }

    /// Whether a repository at this location was used before.
    pub(crate) fn has_used(&self, location: &str) -> Result<bool> {
        self.has(|state| state.location == location)
    }

    fn has(&self, fits: impl Fn(&RepositoryState) -> bool) -> Result<bool> {
        for id in self.repository_ids()? {
            if fits(&self.repository(&id)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the states of databases are, one directory each.
    pub(crate) fn databases(&self) -> PathBuf {
        self.path.join("databases")
    }
}
