//! What the keeper knows: databases, how each stands with each repository, and what is to be done next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_ltx::Txid;
use lifeboat_repository::{Ladder, LineageId, LtxName, Time};
use lifeboat_storage::Storage;

use super::rungs::Rungs;
use crate::OpenRepository;
use crate::replicate::message::{Kept, Upkeep};
use crate::replicate::uploader::next_try;

/// Captures go first: with more of them waiting for a repository, it gets no merges.
const FEW: usize = 4;
/// But not for ever: an upload that fails all the time is no reason to leave everything else alone.
const PATIENCE: Duration = Duration::from_secs(60);
/// Databases that were written to in this time before the start may have been left half done.
const RECENT: Duration = Duration::from_secs(48 * 60 * 60);

/// What the keeper knows at a time.
pub(super) struct Work<'a> {
    pub(super) databases: BTreeMap<usize, Database>,
    pub(super) lanes: Vec<Lane<'a>>,
    pub(super) next_pass: Instant,
    /// Databases and repositories whose pass is due.
    pub(super) passes: VecDeque<(usize, usize)>,
}

/// A database.
pub(super) struct Database {
    pub(super) kept: Box<Kept>,
    pub(super) ways: BTreeMap<usize, Way>,
    /// Up to where the engine was told that captures are merged.
    pub(super) told: Option<Txid>,
}

/// A database in a repository.
#[derive(Default)]
pub(super) struct Way {
    pub(super) rungs: Rungs,
    /// Captures that wait for it, and since when that is known.
    waiting: Option<(usize, Instant)>,
    /// Whether there may be something to do for a pass.
    pub(super) written: bool,
    /// When there will be, though nothing comes: when points are too old for a rung.
    ages: Option<Time>,
    pub(super) retry: Retry,
    /// Kept open: which of its directories are durable it need find out once only.
    pub(super) outbox: Option<Arc<dyn Storage>>,
}

/// A repository.
#[derive(Default)]
pub(super) struct Lane<'a> {
    pub(super) opened: Option<OpenRepository<'a>>,
    /// For the passes that are due; with its secrets, which are in memory no longer than that.
    pub(super) unlocked: Option<OpenRepository<'a>>,
    pub(super) retry: Retry,
}

/// Failures since the last success, and when to try again.
#[derive(Default)]
pub(super) struct Retry {
    pub(super) failures: u32,
    pub(super) not_before: Option<Instant>,
}

impl<'a> Work<'a> {
    pub(super) fn new(repositories: usize, next_pass: Instant) -> Self {
        let lanes = (0..repositories).map(|_| Lane::default()).collect();
        Self { databases: BTreeMap::new(), lanes, next_pass, passes: VecDeque::new() }
    }

    pub(super) fn obey(&mut self, order: Upkeep) {
        match order {
            Upkeep::Attach(kept) => self.attach(kept),
            Upkeep::Holds { database, repository, lineage, names, waiting } => {
                if let Some(database) = self.of(database, lineage) {
                    let recent = names.iter().map(|name| name.time.age_seconds()).min();
                    let written = recent.is_some_and(|age| age < RECENT.as_secs());
                    let waiting = Some((waiting, Instant::now()));
                    let mut way = Way { waiting, written, ..Way::default() };
                    way.learn(names, &database.kept.ladder);
                    database.ways.insert(repository, way);
                }
            }
            Upkeep::Stored { database, repository, lineage, name, waiting } => {
                if let Some(Database { kept, ways, .. }) = self.of(database, lineage)
                    && let Some(way) = ways.get_mut(&repository)
                {
                    way.rungs.add(name, &kept.ladder);
                    (way.waiting, way.written) = (Some((waiting, Instant::now())), true);
                }
            }
            Upkeep::Wanted { database, repository, txid } => {
                let database = self.databases.get_mut(&database);
                if let Some(way) = database.and_then(|one| one.ways.get_mut(&repository)) {
                    way.rungs.want(txid);
                }
            }
            Upkeep::Detach { database } => {
                self.databases.remove(&database);
            }
        }
    }

    /// The same lineage goes on with what is known of it.
    fn attach(&mut self, kept: Box<Kept>) {
        let number = kept.database;
        let former = self.of(number, kept.lineage.id()).is_some();
        if !former {
            self.databases.insert(number, Database { kept, ways: BTreeMap::new(), told: None });
        }
    }

    /// A database, if it still has this lineage.
    fn of(&mut self, database: usize, lineage: LineageId) -> Option<&mut Database> {
        self.databases.get_mut(&database).filter(|one| one.kept.lineage.id() == lineage)
    }

    /// The first database and repository for which a merge may be due.
    pub(super) fn due(&self, now: Time, instant: Instant) -> Option<(usize, usize)> {
        let ways = self.waiting_ways(instant);
        let is_due = |(_, _, due, not_before): &(_, _, Time, Option<Instant>)| {
            *due <= now && not_before.is_none_or(|until| until <= instant)
        };
        ways.into_iter().find(is_due).map(|(database, repository, ..)| (database, repository))
    }

    /// How long nothing is due; `None`: until something comes.
    pub(super) fn pause(&self, now: Time, instant: Instant) -> Option<Duration> {
        if !self.passes.is_empty() {
            return Some(Duration::ZERO);
        }
        let merges = self.waiting_ways(instant).into_iter().map(|(_, _, due, not_before)| {
            let wait = due.millis().saturating_sub(now.millis()).max(0).unsigned_abs();
            let until = not_before.map(|until| until.saturating_duration_since(instant));
            Duration::from_millis(wait).max(until.unwrap_or_default())
        });
        let next_pass = self.next_pass.saturating_duration_since(instant);
        let ways = self.databases.values().flat_map(|one| one.ways.values());
        let passes = ways.filter_map(|way| way.pass_due(now)).map(|wait| wait.max(next_pass));
        merges.chain(passes).min()
    }

    /// Where a window closes, when, and not before when it is tried again.
    fn waiting_ways(&self, now: Instant) -> Vec<(usize, usize, Time, Option<Instant>)> {
        let mut backlog = vec![0; self.lanes.len()];
        for database in self.databases.values() {
            for (repository, way) in &database.ways {
                backlog[*repository] += way.backlog(now);
            }
        }
        let mut waiting = Vec::new();
        for (number, database) in &self.databases {
            for (repository, way) in &database.ways {
                let lane = self.lanes[*repository].retry.not_before;
                if let (Some(due), true) = (way.rungs.due(), backlog[*repository] <= FEW) {
                    waiting.push((*number, *repository, due, way.retry.not_before.max(lane)));
                }
            }
        }
        waiting
    }

    /// Whether passes are due: then what was written to since the last ones, or got older, is looked at.
    pub(super) fn begin_passes(&mut self, now: Time, instant: Instant, every: Duration) {
        if instant < self.next_pass {
            return;
        }
        self.next_pass = instant + every;
        for (number, database) in &self.databases {
            let is_due = |way: &Way| way.pass_due(now) == Some(Duration::ZERO);
            let due = database.ways.iter().filter(|(_, way)| is_due(way));
            self.passes.extend(due.map(|(repository, _)| (*number, *repository)));
        }
    }
}

impl Database {
    /// The last transaction of which no repository needs a capture, and of which none needs a merge.
    pub(super) fn merged(&self, repositories: usize) -> (Option<Txid>, Option<Txid>) {
        if self.ways.len() < repositories {
            return (None, None);
        }
        let rungs = || self.ways.values().map(|way| &way.rungs);
        let captures = rungs().map(Rungs::captures_merged).min().flatten();
        (captures, rungs().map(Rungs::merges_merged).min().flatten())
    }
}

impl Way {
    /// Whether captures wait for it.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting.is_some_and(|(waiting, _)| waiting > 0)
    }

    fn backlog(&self, now: Instant) -> usize {
        let known = self.waiting.filter(|(_, since)| now.duration_since(*since) < PATIENCE);
        known.map_or(0, |(waiting, _)| waiting)
    }

    /// How long there is nothing to do for a pass; `None`: until something comes.
    fn pass_due(&self, now: Time) -> Option<Duration> {
        if self.written {
            return Some(Duration::ZERO);
        }
        let wait = self.ages?.millis().saturating_sub(now.millis()).max(0);
        Some(Duration::from_millis(wait.unsigned_abs()))
    }

    /// What the repository holds, as a listing shows it.
    pub(super) fn learn(&mut self, names: Vec<LtxName>, ladder: &Ladder) {
        let newest = names.iter().map(|name| name.time).max();
        self.ages = newest.and_then(|newest| next_age(newest, ladder, Time::now()));
        self.rungs.learn(names);
    }
}

/// When a point is next too old for a rung.
fn next_age(point: Time, ladder: &Ladder, now: Time) -> Option<Time> {
    let millis = |keep: Duration| i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let ends = ladder.rungs().iter().map(|rung| point.millis().saturating_add(millis(rung.keep)));
    ends.map(|end| Time::from_millis(end.saturating_add(1))).filter(|end| *end > now).min()
}

impl Retry {
    /// It worked; whether it had failed before.
    pub(super) fn succeed(&mut self) -> bool {
        self.not_before = None;
        std::mem::take(&mut self.failures) > 0
    }

    pub(super) fn fail(&mut self) {
        self.not_before = Some(next_try(&mut self.failures));
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_repository::{Ladder, Time};

    use super::next_age;

    #[test]
    fn a_point_gets_too_old_for_one_rung_after_the_other() {
        let ladder =
            Ladder::try_from(vec!["all for 1m".to_owned(), "1m for 1h".to_owned()]).unwrap();
        let at = |seconds: i64| Time::from_millis(seconds * 1000);
        let next = |now: i64| next_age(at(100), &ladder, at(now)).map(Time::millis);
        assert_eq!(next(100), Some(160_001));
        assert_eq!(next(161), Some(3_700_001));
        assert_eq!(next(3_701), None);
    }
}
