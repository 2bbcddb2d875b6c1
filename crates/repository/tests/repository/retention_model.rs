//! Retention against a model: random histories of a database and of its backups. After each step
//! every promised point comes back byte by byte, and in the end nothing is left that nobody needs.
//!
//! `LIFEBOAT_SOAK` multiplies the number of histories, `LIFEBOAT_SEED` gives others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use lifeboat_repository::{
    BackupId, CheckOptions, KeepRules, Limit, LineageListing, LtxFile, LtxName, Repository, Result,
    Secrets, Time, check, points,
};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use lifeboat_storage::{Entry, MemoryStorage, Storage};
use proptest::prelude::*;

use crate::common;
use crate::common::promise::{LADDERS, Moment, Step, is_last, ladder, links, promised};
use crate::common::rounds::{
    apart_ms, back_up, dropped_by, forget_all, merge_all, passed_ms, play_histories, prune_once,
    tidy_up, without_waiting,
};
use crate::common::{
    Chronicle, Clocked, DAY_MS, HOUR_MS, PAGE_BYTES, START_MS, World, apply, clocked, txid,
};

#[derive(Clone, Debug)]
enum Act {
    /// So many captures, this far apart, each changing some pages.
    Capture {
        count: usize,
        apart_ms: i64,
        pages: Vec<u32>,
        commit: u32,
    },
    Backup,
    ForgetOne(usize),
    ForgetButLast(u32),
    Base,
    Compact,
    Prune {
        grace_ms: i64,
    },
    /// Time passes, or the clock is set.
    Pass(i64),
    /// The next act is killed at this operation.
    Kill(usize),
    /// The state is lost: a new lineage begins.
    NewLineage,
}

fn act() -> impl Strategy<Value = Act> {
    let capture = (1..12_usize, apart_ms(), prop::collection::vec(1..9_u32, 1..4), 3..9_u32);
    prop_oneof![
        8 => capture.prop_map(|(count, apart_ms, pages, commit)| {
            Act::Capture { count, apart_ms, pages, commit }
        }),
        3 => Just(Act::Backup),
        1 => (0..9_usize).prop_map(Act::ForgetOne),
        1 => (1..4_u32).prop_map(Act::ForgetButLast),
        2 => Just(Act::Base),
        5 => Just(Act::Compact),
        5 => prop_oneof![Just(0), Just(HOUR_MS), Just(DAY_MS)]
            .prop_map(|grace_ms| Act::Prune { grace_ms }),
        5 => passed_ms().prop_map(Act::Pass),
        2 => (0..60_usize).prop_map(Act::Kill),
        1 => Just(Act::NewLineage),
    ]
}

fn play_many(usual: u32, new: fn(&'static [Step]) -> Model) {
    let acts = (0..LADDERS.len(), prop::collection::vec(act(), 1..40));
    play_histories(usual, &acts, |(ladder, acts)| {
        let mut model = new(LADDERS[ladder]);
        for act in &acts {
            model.play(act);
        }
        model.tidy();
    });
}

#[test]
fn every_promised_point_comes_back_from_plain_files() {
    play_many(300, |steps| {
        let memory = MemoryStorage::new();
        Repository::init_litestream(Arc::new(memory.clone())).unwrap();
        Model::new(memory, Arc::new(Secrets::none()), steps)
    });
}

#[test]
fn every_promised_point_comes_back_from_sealed_files_in_parts() {
    play_many(60, |steps| {
        let world = World::new();
        Model::new(world.memory, world.secrets, steps)
    });
}

/// A lineage as it should be.
struct Lineage {
    chronicle: Chronicle,
    /// The points that can be restored.
    reached: BTreeSet<u64>,
    /// Since when the points may go, by the first prune that found them promised by nothing.
    may_go_ms: BTreeMap<u64, i64>,
    /// Where bases were written, whether they came through or not.
    bases: BTreeSet<u64>,
    /// What backups held at some time.
    held: BTreeSet<u64>,
}

impl Lineage {
    fn new() -> Self {
        Self {
            chronicle: Chronicle::new("pi", "app"),
            reached: BTreeSet::new(),
            may_go_ms: BTreeMap::new(),
            bases: BTreeSet::new(),
            held: BTreeSet::new(),
        }
    }

    fn moments(&self) -> Vec<Moment> {
        let moment = |at: &u64| (*at, self.chronicle.time(*at).millis());
        self.reached.iter().map(moment).collect()
    }
}

/// A repository, its host, and what the owner was promised.
struct Model {
    clocked: Clocked,
    faulty: Faulty<Clocked>,
    repository: Repository,
    secrets: Arc<Secrets>,
    steps: &'static [Step],
    /// The oldest first; the host writes to the last.
    lineages: Vec<Lineage>,
    kept: BTreeMap<BackupId, (usize, u64)>,
    kill: Option<usize>,
    seed: u64,
    acts: usize,
    /// Ways that were read to their end and led where they should.
    verified: HashSet<(usize, Vec<LtxName>)>,
}

impl Model {
    fn new(memory: MemoryStorage, secrets: Arc<Secrets>, steps: &'static [Step]) -> Self {
        let clocked = clocked(memory, Time::from_millis(START_MS));
        let faulty = Faulty::new(clocked.clone(), None);
        let repository = common::open(Arc::new(faulty.clone()));
        faulty.reset(None);
        Self {
            clocked,
            faulty,
            repository,
            secrets,
            steps,
            lineages: vec![Lineage::new()],
            kept: BTreeMap::new(),
            kill: None,
            seed: 1,
            acts: 0,
            verified: HashSet::new(),
        }
    }

    fn current(&mut self) -> &mut Lineage {
        self.lineages.last_mut().unwrap()
    }

    fn play(&mut self, act: &Act) {
        self.acts += 1;
        let at = match act {
            Act::Pass(_) | Act::Kill(_) | Act::NewLineage => None,
            _ => self.kill.take(),
        };
        self.faulty.reset(at.map(|at| Fault { at, kind: FaultKind::FromThenOn }));
        let result = self.carry_out(act);
        self.faulty.reset(None);
        if result.is_err() {
            assert!(at.is_some(), "{act:?}: {result:?}");
            self.recover();
        }
        let what = format!("{act:?} killed at {at:?}");
        self.assert_kept(&what, matches!(act, Act::Prune { .. }));
        if let Act::Prune { grace_ms } = act {
            self.release(*grace_ms);
        }
    }

    fn carry_out(&mut self, act: &Act) -> Result<()> {
        match act {
            Act::Capture { count, apart_ms, pages, commit } => {
                for number in 0..*count {
                    if number > 0 {
                        self.clocked.pass(*apart_ms);
                    }
                    self.capture(pages, *commit)?;
                }
                Ok(())
            }
            Act::Backup => self.back_up(),
            Act::ForgetOne(which) => {
                let ids: Vec<BackupId> = self.kept.keys().copied().collect();
                let chosen = ids.get(which % ids.len().max(1)).copied();
                self.forget(&chosen.into_iter().collect())
            }
            Act::ForgetButLast(count) => {
                let rules = KeepRules { last: Limit::Newest(*count), ..KeepRules::default() };
                let dropped = dropped_by(&self.repository, &rules, self.clocked.now())?;
                self.forget(&dropped)
            }
            Act::Base => self.write_base(),
            Act::Compact => self.compact(),
            Act::Prune { grace_ms } => self.prune(*grace_ms).map(|_| ()),
            Act::Pass(ms) => {
                self.clocked.pass(*ms);
                Ok(())
            }
            Act::Kill(at) => {
                self.kill = Some(*at);
                Ok(())
            }
            Act::NewLineage => {
                self.lineages.push(Lineage::new());
                Ok(())
            }
        }
    }

    fn capture(&mut self, pages: &[u32], commit: u32) -> Result<()> {
        self.seed += 1;
        let (seed, now) = (self.seed, self.clocked.now());
        let changed: Vec<(u32, u64)> =
            pages.iter().map(|page| (*page, seed << 8 | u64::from(*page))).collect();
        let repository = self.repository.clone();
        let newest = self.current().chronicle.last();
        if newest > 0 && !self.current().reached.contains(&newest) {
            // Another lineage has superseded it, by a clock that was set back, and it is gone.
            self.lineages.push(Lineage::new());
        }
        let lineage = self.current();
        if lineage.chronicle.last() == 0 {
            lineage.chronicle.begin(&repository, now)?;
            lineage.bases.insert(1);
        }
        let done = lineage.chronicle.capture(&repository, now, commit, &changed);
        if done.is_ok() {
            lineage.reached.insert(lineage.chronicle.last());
        }
        done
    }

    fn back_up(&mut self) -> Result<()> {
        if self.current().chronicle.last() == 0 {
            self.capture(&[1], 3)?;
        }
        let number = self.lineages.len() - 1;
        let chronicle = &self.lineages[number].chronicle;
        let id = back_up(&self.repository, chronicle, self.clocked.now())?;
        self.kept.insert(id, (number, chronicle.last()));
        Ok(())
    }

    fn forget(&mut self, dropped: &BTreeSet<BackupId>) -> Result<()> {
        forget_all(&self.repository, &self.secrets, dropped, self.clocked.now())?;
        self.kept.retain(|id, _| !dropped.contains(id));
        Ok(())
    }

    fn write_base(&mut self) -> Result<()> {
        let repository = self.repository.clone();
        let lineage = self.current();
        let last = lineage.chronicle.last();
        if last == 0 || !lineage.bases.insert(last) {
            return Ok(());
        }
        lineage.chronicle.write_base(&repository)
    }

    fn compact(&self) -> Result<()> {
        merge_all(&self.repository, &self.secrets, self.steps, self.clocked.now()).map(|_| ())
    }

    /// Whether anything was done.
    fn prune(&self, grace_ms: i64) -> Result<bool> {
        let (secrets, now) = (&self.secrets, self.clocked.now());
        let plan = prune_once(&self.repository, secrets, self.steps, now, grace_ms)?;
        assert!(plan.findings.is_empty(), "{plan:?}");
        Ok(!plan.is_empty())
    }

    /// What was killed has happened or has not.
    fn recover(&mut self) {
        self.clocked.pass(1);
        let repository = self.repository.clone();
        let lineage = self.current();
        let last = lineage.chronicle.last();
        if last > 0 && !lineage.reached.contains(&last) {
            lineage.chronicle.settle(&repository).unwrap();
            // It was stored, and only the look at it came to nothing.
            if lineage.chronicle.last() == last {
                lineage.reached.insert(last);
            }
        }
        if lineage.chronicle.last() == 0 {
            // As an application does with a lineage that is not known to be whole.
            *lineage = Lineage::new();
        }
        let (last, number) = (self.current().chronicle.last(), self.lineages.len() - 1);
        let ids: BTreeSet<BackupId> =
            repository.backups().unwrap().into_iter().map(|name| name.id).collect();
        self.kept.retain(|id, _| ids.contains(id));
        for id in ids {
            self.kept.entry(id).or_insert((number, last));
        }
    }

    /// The transactions of a lineage that backups hold; pins of backups without a manifest count.
    fn wanted(&self, number: usize, listing: &LineageListing) -> BTreeSet<u64> {
        let held = self.kept.values().filter(|(lineage, _)| *lineage == number);
        let pinned = listing.pins.iter().map(|(txid, _)| txid.get());
        held.map(|(_, txid)| *txid).chain(pinned).collect()
    }

    /// The lineage that restores of the newest point go to.
    fn newest(&self) -> Option<usize> {
        let age = |number: &usize| {
            let moments = self.lineages[*number].moments();
            Some((moments.last()?.1, moments.first()?.1))
        };
        (0..self.lineages.len()).filter(|number| age(number).is_some()).max_by_key(age)
    }

    fn promised(&self, number: usize, listing: &LineageListing) -> BTreeSet<u64> {
        let moments = self.lineages[number].moments();
        let (wanted, now_ms) = (self.wanted(number, listing), self.clocked.now().millis());
        promised(&moments, &wanted, self.steps, now_ms, self.newest() == Some(number))
    }

    fn listing(&self, number: usize) -> LineageListing {
        self.repository.listing(&self.lineages[number].chronicle.lineage).unwrap()
    }

    fn assert_kept(&mut self, what: &str, pruned: bool) {
        let newest = self.newest();
        for number in 0..self.lineages.len() {
            let listing = self.listing(number);
            let (promised, moments) =
                (self.promised(number, &listing), self.lineages[number].moments());
            let now_ms = self.clocked.now().millis();
            let wanted = self.wanted(number, &listing);
            let lineage = &mut self.lineages[number];
            lineage.held.extend(&wanted);
            let found = points(&listing.files);
            let reached: BTreeSet<u64> = found.iter().map(|point| point.txid.get()).collect();
            for point in &found {
                assert_eq!(point.time, lineage.chronicle.time(point.txid.get()), "{what}");
            }
            let lost: Vec<u64> = lineage.reached.difference(&reached).copied().collect();
            for at in lost {
                assert!(pruned, "{what}: {at} is gone");
                assert!(!promised.contains(&at), "{what}: {at} of {moments:?} was promised");
                let since_ms = lineage.may_go_ms.get(&at).copied();
                assert!(
                    since_ms.is_some_and(|since_ms| since_ms <= now_ms),
                    "{what}: {at} went at {now_ms} and not after {since_ms:?}"
                );
            }
            lineage.reached = reached;
            let again = lifeboat_repository::promised(
                &found,
                &wanted.into_iter().map(txid).collect(),
                &ladder(self.steps),
                self.clocked.now(),
                newest != Some(number),
            );
            assert_eq!(
                again.iter().map(|txid| txid.get()).collect::<BTreeSet<_>>(),
                promised,
                "{what}"
            );
            self.assert_restores(number, &listing, what);
        }
        let options = CheckOptions {
            read_data: self.acts.is_multiple_of(8).then_some(lifeboat_restic::Subset::All),
        };
        let report = check(&self.repository, &self.secrets, options, &mut |_| {}).unwrap();
        assert!(report.is_clean() && report.lost.is_empty(), "{what}: {report:?}");
        let kept: BTreeSet<BackupId> = self.kept.keys().copied().collect();
        let ids = self.repository.backups().unwrap().into_iter().map(|name| name.id);
        assert_eq!(ids.collect::<BTreeSet<_>>(), kept, "{what}");
    }

    /// Whatever can be planned is what it was, byte by byte. A way is read once.
    fn assert_restores(&mut self, number: usize, listing: &LineageListing, what: &str) {
        let chronicle = &self.lineages[number].chronicle;
        for at in &self.lineages[number].reached {
            let way = listing.plan(&chronicle.lineage, txid(*at)).unwrap();
            let names = way.iter().map(|file| file.name).collect();
            if !self.verified.insert((number, names)) {
                continue;
            }
            let none = HashMap::new();
            let bytes =
                apply(&self.repository, &self.secrets, &chronicle.lineage, &way, &none).unwrap();
            assert!(bytes == chronicle.bytes(*at), "{what}: {at} by {way:?}");
        }
    }

    /// After a prune: what nothing promises now may go once its grace period is over.
    fn release(&mut self, grace_ms: i64) {
        let not_before_ms = self.clocked.now().millis() + grace_ms;
        for number in 0..self.lineages.len() {
            let promised = self.promised(number, &self.listing(number));
            let lineage = &mut self.lineages[number];
            for at in lineage.reached.difference(&promised) {
                let since_ms = lineage.may_go_ms.entry(*at).or_insert(not_before_ms);
                *since_ms = not_before_ms.min(*since_ms);
            }
        }
    }

    /// With everything merged and removed that can be, at once, only what is promised is left, and
    /// what leads there.
    fn tidy(&mut self) {
        let before: Vec<Vec<Moment>> = self.lineages.iter().map(Lineage::moments).collect();
        let now = self.clocked.now();
        self.release(0);
        let plan = tidy_up(&self.repository, &self.secrets, self.steps, now).unwrap();
        self.assert_kept("tidy", true);
        let newest = self.newest();
        for (number, before) in before.iter().enumerate() {
            let mut listing = self.listing(number);
            listing.files = without_waiting(listing.files, &plan);
            let (wanted, now_ms) = (self.wanted(number, &listing), self.clocked.now().millis());
            let bases: BTreeSet<u64> = listing
                .files
                .iter()
                .filter(|file| file.name.range().is_base())
                .map(|file| file.name.max.get())
                .collect();
            let mut allowed = promised(before, &wanted, self.steps, now_ms, newest == Some(number));
            let is_newest = newest == Some(number);
            let key = self.lineages[number].chronicle.lineage.key();
            let entries = self.clocked.list(Some(key)).unwrap();
            let is_new =
                |entry: &Entry| now_ms - Time::from_system(entry.modified).millis() <= DAY_MS;
            // Whoever added to it may go on: it is left alone for a day. So are parts of merges that were
            // killed, which are in the way of others.
            if !is_newest && entries.iter().any(is_new) || !listing.partial.is_empty() {
                continue;
            }
            if allowed.is_empty() {
                let waits = |entry: &Entry| plan.waiting.iter().any(|other| other.key == entry.key);
                assert!(entries.iter().all(waits), "{entries:?}");
                continue;
            }
            let horizon_ms = self.steps[self.steps.len() - 1].1;
            let held = &self.lineages[number].held;
            let is_young =
                |(at, time_ms): &&Moment| now_ms - time_ms <= horizon_ms && held.contains(at);
            let young = before.iter().filter(is_young).map(|(at, _)| *at);
            let others = bases.iter().copied().chain(young).collect();
            allowed.extend(links(before, &wanted, &others, self.steps, now_ms));
            let left: Vec<Moment> = points(&listing.files)
                .iter()
                .map(|point| (point.txid.get(), point.time.millis()))
                .collect();
            let others: Vec<_> = left.iter().filter(|(at, _)| !allowed.contains(at)).collect();
            assert!(others.is_empty(), "{others:?} are of no use at {now_ms}: {:?}", listing.files);
            self.assert_small(number, &left, &listing, &bases);
        }
    }

    /// No more bytes than one file for each link of each rung, and the bases that are of use.
    fn assert_small(
        &self,
        number: usize,
        left: &[Moment],
        listing: &LineageListing,
        bases: &BTreeSet<u64>,
    ) {
        let chronicle = &self.lineages[number].chronicle;
        let wanted = self.wanted(number, listing);
        let cost = |from: u64, to: u64| 700 + chronicle.changed_pages(from, to) * (PAGE_BYTES + 24);
        let mut most: usize = bases.iter().map(|base| cost(0, *base)).sum();
        // One chain of all that is left, and the merges of each rung over it.
        let every_ms = self.steps.iter().map(|(every_ms, _)| *every_ms);
        for every_ms in every_ms {
            let is_end = |(at, time_ms): &&Moment| {
                wanted.contains(at) || is_last(left, *at, *time_ms, every_ms)
            };
            let ends: Vec<u64> = left.iter().filter(is_end).map(|(at, _)| *at).collect();
            most += ends.windows(2).map(|pair| cost(pair[0], pair[1])).sum::<usize>();
        }
        let stored: u64 = listing.files.iter().map(LtxFile::size).sum();
        assert!(stored <= most as u64, "{stored} bytes, not {most}: {:?}", listing.files);
    }
}
