//! What the engine knows of a database, and of a repository.

use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;
use lifeboat_repository::{LineageId, Time};

use crate::backoff::backoff;
use crate::replicate::replica::Replica;
use crate::replicate::status::UpkeepStatus;
use crate::state::Position;
use crate::{DatabaseTarget, Error};

/// How often a database that cannot be read is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How often one that another process works on is tried again.
const BUSY: Duration = Duration::from_millis(300);

/// A database.
pub(super) struct Slot {
    pub(super) target: DatabaseTarget,
    pub(super) phase: Phase,
    /// Between two looks while it is written to.
    pub(super) interval: Duration,
    /// When to look again; `None`: when something is noticed.
    pub(super) next: Option<Instant>,
    /// Failures one after the other.
    pub(super) failures: u32,
    pub(super) trouble: Option<String>,
    /// When it was last noticed that its files change.
    pub(super) stirred: Option<Instant>,
    /// Whether somebody tells when its files change.
    pub(super) watched: bool,
    /// The last transaction that the uploaders know of.
    pub(super) spread: Option<Txid>,
    /// Whether it was looked at since it was taken in.
    pub(super) looked: bool,
    /// For each repository.
    pub(super) ways: Vec<Way>,
}

/// Who has a database.
pub(super) enum Phase {
    /// Nobody: it is to be started.
    Waiting,
    /// The starter.
    Starting,
    /// The engine.
    Following(Box<Replica>),
}

/// A repository.
pub(super) struct Lane {
    /// Once it was opened.
    pub(super) id: Option<String>,
    pub(super) location: String,
    pub(super) trouble: Option<String>,
}

/// A database's way into a repository.
#[derive(Default, Clone)]
pub(super) struct Way {
    /// Whether the uploader can go on from the spool.
    pub(super) attached: bool,
    /// How often in a row it could not.
    pub(super) lacked: u32,
    /// The last transaction that the repository holds, and when it was captured.
    pub(super) protected: Option<(Txid, Time)>,
    pub(super) trouble: Option<String>,
    /// What was stored while the starter had the database, and of which lineage.
    pub(super) stored: Option<(LineageId, Position)>,
    /// How its history is kept short there.
    pub(super) upkeep: UpkeepStatus,
}

impl Slot {
    pub(super) fn new(
        target: DatabaseTarget,
        interval: Duration,
        watched: bool,
        repositories: usize,
    ) -> Self {
        Self {
            target,
            interval,
            phase: Phase::Waiting,
            next: Some(Instant::now()),
            failures: 0,
            trouble: None,
            stirred: None,
            watched,
            spread: None,
            looked: false,
            ways: vec![Way::default(); repositories],
        }
    }

    /// When to try again, after one more failure. What another process of ours does with the database is
    /// over soon.
    pub(super) fn retry(&mut self, error: &Error) -> Instant {
        if matches!(error, Error::Busy { .. }) {
            self.failures = self.failures.max(1);
            return Instant::now() + BUSY;
        }
        let wait = backoff(RETRY.0, RETRY.1, self.failures);
        self.failures = self.failures.saturating_add(1);
        Instant::now() + wait
    }

    /// When copies of its captures have been there for long enough.
    pub(super) fn copies_expire(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Following(replica) => replica.captures.copies_expire(),
            _ => None,
        }
    }

    /// Whether it was captured and every repository that can be reached will get it; or cannot be.
    pub(super) fn is_done(&self, repositories: &[Lane]) -> bool {
        let mut ways = self.ways.iter().zip(repositories);
        let has_ways =
            ways.all(|(way, lane)| way.attached || way.trouble.is_some() || lane.trouble.is_some());
        (self.looked && has_ways && matches!(self.phase, Phase::Following(_))) || self.failures > 0
    }
}

impl Lane {
    pub(super) fn new(location: String) -> Self {
        Self { id: None, location, trouble: None }
    }
}
