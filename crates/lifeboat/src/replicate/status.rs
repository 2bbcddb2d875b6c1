//! How things stand: each database, and each repository it goes to.

use std::path::PathBuf;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageId, Time, text};
use serde::{Deserialize, Serialize};

/// A database that is protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseStatus {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// What is being done with it.
    pub activity: Activity,
    /// What keeps it from being captured.
    pub problem: Option<String>,
    /// Its lineage.
    pub lineage: Option<LineageId>,
    /// The last transaction that was captured.
    #[serde(with = "text::optional")]
    pub txid: Option<Txid>,
    /// When.
    pub captured: Option<Time>,
    /// Bytes of its WAL that are in use.
    pub wal_bytes: u64,
    /// Captures that wait for a repository.
    pub spool_files: u64,
    /// Their bytes.
    pub spool_bytes: u64,
    /// Where it goes.
    pub repositories: Vec<RepositoryStatus>,
}

/// What a replication does with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Nobody replicates it.
    Stopped,
    /// It is about to be followed.
    Starting,
    /// It is followed: what changes is captured at the next interval.
    Following,
    /// It has not changed for a while; a write wakes the replication.
    Idle,
    /// It cannot be read, or not at this time.
    Failing,
}

/// Who may write to a database's replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// The number of the lease.
    pub epoch: u32,
    /// The computer that holds it.
    pub hostname: String,
    /// Since when.
    pub taken: Time,
}

/// A database in one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryStatus {
    /// Its id, once it could be opened.
    pub id: Option<String>,
    /// Where it is.
    pub location: String,
    /// The last transaction that can be restored from there.
    #[serde(with = "text::optional")]
    pub protected_txid: Option<Txid>,
    /// When it was captured.
    pub protected: Option<Time>,
    /// Since how many seconds something waits for this repository; 0 if nothing does.
    pub lag_seconds: u64,
    /// How many bytes wait for it.
    pub lag_bytes: u64,
    /// What keeps it from being written to.
    pub problem: Option<String>,
    /// How many points can be restored from there; `None` where nobody looked.
    #[serde(default)]
    pub points: Option<u64>,
    /// The oldest of them.
    #[serde(default)]
    pub oldest: Option<Time>,
    /// Who may write there.
    #[serde(default)]
    pub lease: Option<LeaseStatus>,
    /// How its history is kept short there; `None` where nobody replicates.
    #[serde(default)]
    pub upkeep: Option<UpkeepStatus>,
}

/// How the history of a database is kept short in a repository, since its replication began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpkeepStatus {
    /// Files that were made of others.
    pub merges: u64,
    /// When all of it was last looked at.
    pub last_pass: Option<Time>,
    /// Objects that nobody needed then, and that wait for their removal.
    pub waiting_objects: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// What failed. It is tried again, and nothing is lost by it but room.
    pub problem: Option<String>,
}

impl DatabaseStatus {
    /// What is wrong, and what is not where it should be.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(self.problem.as_ref().map(|problem| format!("{}: {problem}", self.name)));
        for repository in &self.repositories {
            let place = format!("{} in {}", self.name, repository.location);
            match &repository.problem {
                Some(problem) => problems.push(format!("{place}: {problem}")),
                None if repository.protected_txid < self.txid => {
                    problems.push(format!("{place}: not all of it is stored"));
                }
                None => {}
            }
        }
        problems
    }
}
