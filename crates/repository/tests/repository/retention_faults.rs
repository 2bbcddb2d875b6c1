//! Merging, forgetting and pruning that fail or are killed anywhere, and a restore that goes on
//! meanwhile: what was promised comes back, and the next run finishes the work.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lifeboat_repository::{Error, KeepRules, Limit, Repository, Result, Secrets, Time, points};
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Meddle, Meddling};
use lifeboat_storage::{Key, MemoryStorage, Storage};

use crate::common;
use crate::common::promise::{LADDERS, Step, promised};
use crate::common::rounds::{back_up, dropped_by, forget_all, merge_all, prune_once};
use crate::common::{
    Chronicle, Clocked, DAY_MS, HOUR_MS, KINDS, SECOND_MS, START_MS, World, apply, checked,
    clocked, copy, keys, txid,
};

const STEPS: &[Step] = LADDERS[0];

/// A lineage that another has superseded, and one with captures on every rung and beyond, bases,
/// and three backups.
struct Scene {
    memory: MemoryStorage,
    secrets: Arc<Secrets>,
    now: Time,
    former: Chronicle,
    current: Chronicle,
}

fn scene() -> Scene {
    let World { memory, secrets, .. } = World::new();
    let clocked = clocked(memory.clone(), Time::from_millis(START_MS));
    let repository = common::open(Arc::new(clocked.clone()));
    let (mut former, mut current) = (Chronicle::new("pi", "app"), Chronicle::new("pi", "app"));
    former.begin(&repository, clocked.now()).unwrap();
    burst(&repository, &clocked, &mut former, 2, SECOND_MS);
    clocked.pass(DAY_MS);
    current.begin(&repository, clocked.now()).unwrap();
    burst(&repository, &clocked, &mut current, 4, 9 * SECOND_MS);
    back_up(&repository, &current, clocked.now()).unwrap();
    clocked.pass(HOUR_MS);
    burst(&repository, &clocked, &mut current, 2, HOUR_MS);
    back_up(&repository, &current, clocked.now()).unwrap();
    current.write_base(&repository).unwrap();
    // Beyond the ladder when the test begins.
    clocked.pass(9 * DAY_MS);
    burst(&repository, &clocked, &mut current, 4, 100 * SECOND_MS);
    clocked.pass(2 * DAY_MS);
    burst(&repository, &clocked, &mut current, 4, 12 * SECOND_MS);
    back_up(&repository, &current, clocked.now()).unwrap();
    burst(&repository, &clocked, &mut current, 2, 12 * SECOND_MS);
    Scene { memory, secrets, now: clocked.now(), former, current }
}

fn burst(
    repository: &Repository,
    clocked: &Clocked,
    chronicle: &mut Chronicle,
    count: u64,
    apart_ms: i64,
) {
    for _ in 0..count {
        clocked.pass(apart_ms);
        let number = chronicle.last() + 1;
        let page = u32::try_from(1 + number % 5).unwrap();
        chronicle.capture(repository, clocked.now(), 6, &[(page, number << 8)]).unwrap();
    }
}

impl Scene {
    /// What a day of retention does, step by step.
    const PHASES: [&'static str; 5] = ["merge", "forget", "announce", "remove", "merge again"];

    /// When a phase is.
    fn at(&self, phase: &str) -> Time {
        let later = matches!(phase, "remove" | "merge again");
        Time::from_millis(self.now.millis() + if later { DAY_MS } else { 0 })
    }

    fn run(&self, repository: &Repository, phase: &str) -> Result<()> {
        let (secrets, now) = (&self.secrets, self.at(phase));
        match phase {
            "forget" => {
                let rules = KeepRules { last: Limit::Newest(2), ..KeepRules::default() };
                let dropped = dropped_by(repository, &rules, now)?;
                forget_all(repository, secrets, &dropped, now)
            }
            "announce" | "remove" => {
                prune_once(repository, secrets, STEPS, now, DAY_MS).map(|_| ())
            }
            _ => merge_all(repository, secrets, STEPS, now).map(|_| ()),
        }
    }

    /// The next days, after which nothing is left to do; then what is stored.
    fn days_after(&self, memory: &MemoryStorage) -> BTreeSet<String> {
        let clocked = clocked(memory.clone(), self.now);
        let repository = common::open(Arc::new(clocked.clone()));
        for _ in 0..5 {
            clocked.pass(DAY_MS + HOUR_MS);
            let now = clocked.now();
            merge_all(&repository, &self.secrets, STEPS, now).unwrap();
            prune_once(&repository, &self.secrets, STEPS, now, DAY_MS).unwrap();
        }
        // Into how many parts a file was cut may be chance: sealed sizes differ by some bytes.
        let whole = |key: &Key| key.as_str().split(".age").next().map(str::to_owned);
        let mut files: BTreeSet<String> = keys(memory).iter().filter_map(whole).collect();
        files.retain(|key| !key.starts_with("deletions/"));
        files
    }

    /// Every point that is promised, of those that could be restored `before`, is there; whatever is
    /// there is right; a check finds nothing.
    fn assert_kept(&self, repository: &Repository, before: &Repository, now: Time, what: &str) {
        for chronicle in [&self.former, &self.current] {
            let listing = repository.listing(&chronicle.lineage).unwrap();
            let found: BTreeSet<u64> =
                points(&listing.files).iter().map(|point| point.txid.get()).collect();
            let former = before.listing(&chronicle.lineage).unwrap();
            let moments: Vec<(u64, i64)> = points(&former.files)
                .iter()
                .map(|point| (point.txid.get(), point.time.millis()))
                .collect();
            let pins = listing.pins.iter().map(|(txid, _)| txid.get()).collect();
            let is_newest = chronicle.lineage == self.current.lineage;
            let promised = promised(&moments, &pins, STEPS, now.millis(), is_newest);
            assert!(found.is_superset(&promised), "{what}: {found:?}, not {promised:?}");
            for at in found {
                let way = listing.plan(&chronicle.lineage, txid(at)).unwrap();
                let (secrets, none) = (&self.secrets, HashMap::new());
                let bytes = apply(repository, secrets, &chronicle.lineage, &way, &none).unwrap();
                assert!(bytes == chronicle.bytes(at), "{what}: {at}");
            }
        }
        let report = checked(repository, &self.secrets);
        assert!(report.is_clean() && report.lost.is_empty(), "{what}: {report:?}");
    }
}

/// Parts of merges that a killed run leaves are in the way of the next until they are removed; the
/// work is done all the same, some days later.
#[test]
fn whatever_fails_or_is_killed_harms_nothing_and_is_done_later() {
    let scene = scene();
    let mut memory = copy(&scene.memory);
    for phase in Scene::PHASES {
        let now = scene.at(phase);
        let faulty = Faulty::new(clocked(copy(&memory), now), None);
        let repository = common::open(Arc::new(faulty.clone()));
        faulty.reset(None);
        scene.run(&repository, phase).unwrap();
        let (operations, next) = (faulty.operations(), copy(repository.storage()));
        let before = common::open(Arc::new(memory.clone()));
        scene.assert_kept(&repository, &before, now, phase);
        let done = scene.days_after(&copy(&next));
        for (at, operation) in operations.iter().enumerate() {
            for kind in KINDS {
                let what = format!("{phase}: {kind:?} at {at}, {operation:?}");
                let clocked = clocked(copy(&memory), now);
                let faulty = Faulty::new(clocked.clone(), None);
                let repository = common::open(Arc::new(faulty.clone()));
                faulty.reset(Some(Fault { at, kind }));
                let _ = scene.run(&repository, phase);
                faulty.reset(None);
                scene.assert_kept(&repository, &before, now, &what);
                scene.run(&repository, phase).unwrap();
                scene.assert_kept(&repository, &before, now, &what);
                if kind == FaultKind::FromThenOn {
                    assert_eq!(scene.days_after(&clocked.memory), done, "{what}");
                }
            }
        }
        memory = next;
    }
}

/// Before each object that a restore reads, everything is merged, forgotten and removed at once.
#[test]
fn a_restore_that_began_before_comes_to_its_end() {
    let scene = scene();
    let targets: BTreeSet<u64> = (1..=scene.current.last()).collect();
    let (mut restored, mut gone) = (0, 0);
    for target in targets {
        for at in 0.. {
            let clocked = clocked(copy(&scene.memory), scene.now);
            let swept = common::open(Arc::new(clocked.clone()));
            let interrupted = Meddling::new(Interrupted {
                inner: clocked,
                left: AtomicUsize::new(at),
                act: Mutex::new(None),
            });
            let repository = common::open(Arc::new(interrupted.clone()));
            let sweeping = (scene.secrets.clone(), scene.now);
            let sweep: Sweep = Box::new(move || {
                let (secrets, now) = sweeping;
                merge_all(&swept, &secrets, STEPS, now).unwrap();
                let rules = KeepRules { last: Limit::Newest(1), ..KeepRules::default() };
                let dropped = dropped_by(&swept, &rules, now).unwrap();
                forget_all(&swept, &secrets, &dropped, now).unwrap();
                for _ in 0..3 {
                    prune_once(&swept, &secrets, STEPS, now, 0).unwrap();
                }
            });
            *interrupted.act.lock().unwrap() = Some(sweep);
            let bytes = restore(&scene, &repository, target);
            if interrupted.act.lock().unwrap().is_some() {
                break;
            }
            let listing = repository.listing(&scene.current.lineage).unwrap();
            if points(&listing.files).iter().any(|point| point.txid.get() == target) {
                assert!(bytes.unwrap() == scene.current.bytes(target), "{target} at {at}");
                restored += 1;
            } else if let Ok(bytes) = bytes {
                assert!(bytes == scene.current.bytes(target), "{target} at {at}");
            } else {
                gone += 1;
            }
        }
    }
    assert!(restored > 20 && gone > 5, "{restored}, {gone}");
}

/// As a reader does: what is gone is planned anew.
fn restore(scene: &Scene, repository: &Repository, target: u64) -> Result<Vec<u8>> {
    let lineage = &scene.current.lineage;
    loop {
        let listing = repository.listing(lineage)?;
        let way = listing.plan(lineage, txid(target))?;
        match apply(repository, &scene.secrets, lineage, &way, &HashMap::new()) {
            Err(Error::Storage(lifeboat_storage::Error::NotFound { .. })) => {}
            done => return done,
        }
    }
}

type Sweep = Box<dyn FnOnce() + Send>;

/// A storage where something else happens right before one of the reads.
struct Interrupted {
    inner: Clocked,
    /// Reads until then.
    left: AtomicUsize,
    act: Mutex<Option<Sweep>>,
}

impl Meddle for Interrupted {
    fn inner(&self) -> &dyn Storage {
        &self.inner
    }

    fn read(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> lifeboat_storage::Result<Box<dyn Read + Send>> {
        let is_ltx = key.as_str().contains("/ltx/");
        if is_ltx && self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            let act = self.act.lock().unwrap().take();
            if let Some(act) = act {
                act();
            }
        }
        self.inner.read(key, range)
    }
}
