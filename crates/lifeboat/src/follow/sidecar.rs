//! `PATH-lifeboat`, beside a standby: whose it is, and what it holds.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lifeboat_ltx::{Checksum, Txid};
use lifeboat_repository::{DatabaseAddress, LineageId, Time, text};
use lifeboat_sqlite::{Held, Stamp, users};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::event::FollowPoint;
use crate::destination::suffixed;
use crate::state::{load, save};
use crate::{Error, Result};

const VERSION: u32 = 1;

/// The document beside a standby.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    version: u32,
    /// Id of the repository.
    repository: String,
    /// Host and name as they stand in keys.
    host: String,
    name: String,
    /// `None`: there is no standby yet. Never so in a file.
    pub(super) position: Option<Position>,
}

/// What a standby holds, and of which lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) lineage: LineageId,
    pub(super) time: Time,
    #[serde(with = "text")]
    txid: Txid,
    #[serde(with = "text")]
    checksum: Checksum,
    #[serde(with = "text")]
    stamp: Stamp,
    generation: u32,
}

impl Position {
    pub(super) fn new(lineage: LineageId, time: Time, held: Held) -> Self {
        let Held { txid, checksum, stamp, generation } = held;
        Self { lineage, time, txid, checksum, stamp, generation }
    }

    pub(super) fn txid(&self) -> Txid {
        self.txid
    }

    pub(super) fn point(&self) -> FollowPoint {
        FollowPoint { lineage: self.lineage, txid: self.txid, time: self.time }
    }

    pub(super) fn held(&self) -> Held {
        let Self { txid, checksum, stamp, generation, .. } = *self;
        Held { txid, checksum, stamp, generation }
    }
}

impl Sidecar {
    pub(super) fn new(repository: &str, database: &DatabaseAddress) -> Self {
        let (host, name) = (database.host().to_owned(), database.name().to_owned());
        Self { version: VERSION, repository: repository.to_owned(), host, name, position: None }
    }

    /// Reads the one of a target.
    pub(super) fn load(target: &Path) -> Result<Option<Self>> {
        let path = path_of(target);
        let sidecar: Option<Self> = load(&path)?;
        match &sidecar {
            Some(sidecar) if sidecar.version > VERSION => {
                let detail = format!("version {} is newer than this program", sidecar.version);
                Err(Error::State { path, detail })
            }
            _ => Ok(sidecar),
        }
    }

    /// Replaces the one of a target, durably.
    pub(super) fn save(&self, target: &Path) -> Result<()> {
        save(&path_of(target), self)
    }

    /// Removes the one of a target that is not ours after all.
    pub(super) fn remove(target: &Path) -> Result<()> {
        let path = path_of(target);
        std::fs::remove_file(&path).map_err(Error::file("remove", &path))
    }

    /// Whether both are of one database, whatever it holds.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.repository, &self.host, &self.name) == (&other.repository, &other.host, &other.name)
    }

    /// The database, for messages.
    pub(super) fn subject(&self) -> String {
        format!("{} of {}", self.name, self.host)
    }
}

fn path_of(target: &Path) -> PathBuf {
    suffixed(target, "-lifeboat")
}

/// Who has just been killed, or is being started by this process, may still hold a lock for a moment.
const PATIENCE: Duration = Duration::from_millis(500);

/// Makes sure that no other process keeps the same standby; held until it is dropped.
pub(super) fn lock(target: &Path) -> Result<File> {
    let path = suffixed(target, "-lifeboat-lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(Error::file("create", &path))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                sleep(PATIENCE / 10);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let (path, users) = (target.to_owned(), users(target));
                return Err(lifeboat_sqlite::Error::TargetInUse { path, users }.into());
            }
            Err(error) => return Err(Error::file("lock", &path)(error.into())),
        }
    }
}
