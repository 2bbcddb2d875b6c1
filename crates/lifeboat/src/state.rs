//! The state directory: who this host is, what it knows of repositories and databases.
//!
//! Nothing in it is needed to restore. Losing it costs a new lineage for each database.

mod database;
mod file;
mod host;
mod repository;

use std::path::{Path, PathBuf};

pub(crate) use database::{Captured, DatabaseState, DatabaseStateFile, Pending, Position};
pub(crate) use file::{create_private_directory, sync_directory_of};
pub(crate) use host::{Host, hostname};
pub(crate) use repository::RepositoryState;

use crate::Result;

/// The state directory of this host.
#[derive(Debug, Clone)]
pub(crate) struct StateDirectory {
    path: PathBuf,
}

impl StateDirectory {
    /// Opens it, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        create_private_directory(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Who this host is; drawn at first use.
    pub(crate) fn host(&self) -> Result<Host> {
        Host::load(&self.path.join("host.json"))
    }

    /// What is known of a repository.
    pub(crate) fn repository(&self, id: &str) -> Result<RepositoryState> {
        RepositoryState::load(&self.path.join("repositories").join(format!("{id}.json")))
    }

    /// Keeps what is known of a repository.
    pub(crate) fn save_repository(&self, id: &str, state: &RepositoryState) -> Result<()> {
        state.save(&self.path.join("repositories").join(format!("{id}.json")))
    }

    /// Where the states of databases are, one directory each.
    pub(crate) fn databases(&self) -> PathBuf {
        self.path.join("databases")
    }
}
