//! Which merges are made and what is promised, on names alone: thousands of long random histories
//! against the definition.
//!
//! `LIFEBOAT_SOAK` multiplies the number of histories, `LIFEBOAT_SEED` gives others.

use std::collections::BTreeSet;

use lifeboat_ltx::Txid;
use lifeboat_repository::{LtxFile, LtxName, Merge, Time, plan, plan_merges, points};
use lifeboat_storage::Entry;
use proptest::prelude::*;

use crate::common::promise::{LADDERS, Moment, Step, is_last, ladder, links, promised};
use crate::common::rounds::{apart_ms, passed_ms, play_histories};
use crate::common::{START_MS, key, txid};

#[derive(Clone, Debug)]
enum Act {
    Capture { count: usize, apart_ms: i64 },
    Pin,
    Unpin(usize),
    Base,
    Merge,
    Drop,
    Pass(i64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..30_usize, apart_ms()).prop_map(|(count, apart_ms)| Act::Capture { count, apart_ms }),
        2 => Just(Act::Pin),
        1 => (0..20_usize).prop_map(Act::Unpin),
        1 => Just(Act::Base),
        4 => Just(Act::Merge),
        3 => Just(Act::Drop),
        4 => passed_ms().prop_map(Act::Pass),
    ]
}

#[test]
fn merges_lead_everywhere_and_come_to_an_end() {
    let acts = (0..LADDERS.len(), prop::collection::vec(act(), 1..120));
    play_histories(600, &acts, |(ladder, acts)| {
        let mut names = Names::new(LADDERS[ladder]);
        for act in acts {
            names.play(&act);
        }
        names.tidy();
    });
}

/// The names of a lineage.
struct Names {
    steps: &'static [Step],
    files: Vec<LtxFile>,
    wanted: BTreeSet<u64>,
    /// What was wanted at some time.
    held: BTreeSet<u64>,
    last: u64,
    last_ms: i64,
    now_ms: i64,
}

impl Names {
    fn new(steps: &'static [Step]) -> Self {
        let now_ms = START_MS;
        let mut names = Self {
            steps,
            files: Vec::new(),
            wanted: BTreeSet::new(),
            held: BTreeSet::new(),
            last: 0,
            last_ms: 0,
            now_ms,
        };
        names.capture();
        names
    }

    fn add(&mut self, name: LtxName, size: u64) {
        let key = key(&format!("{}/{}-{}", name.level, name.min, name.max));
        let modified = name.time.system();
        assert!(self.files.iter().all(|file| file.name != name), "{name:?} twice");
        self.files.push(LtxFile { name, objects: vec![Entry { key, size, modified }] });
    }

    fn capture(&mut self) {
        self.last += 1;
        self.last_ms = self.now_ms.max(self.last_ms + 1);
        let (level, at) = (if self.last == 1 { 9 } else { 0 }, txid(self.last));
        self.add(LtxName { level, min: at, max: at, time: Time::from_millis(self.last_ms) }, 100);
    }

    fn play(&mut self, act: &Act) {
        match act {
            Act::Capture { count, apart_ms } => {
                for _ in 0..*count {
                    self.capture();
                    self.now_ms += apart_ms;
                }
            }
            Act::Pin => {
                self.wanted.insert(self.last);
                self.held.insert(self.last);
            }
            Act::Unpin(which) => {
                let unpinned = self.wanted.iter().nth(which % self.wanted.len().max(1)).copied();
                unpinned.map(|at| self.wanted.remove(&at));
            }
            Act::Base => {
                let time = Time::from_millis(self.last_ms);
                let name = LtxName { level: 9, min: Txid::FIRST, max: txid(self.last), time };
                if self.files.iter().all(|file| file.name != name) {
                    self.add(name, 3000);
                }
            }
            Act::Merge => self.merge(),
            Act::Drop => self.drop_unneeded(),
            Act::Pass(ms) => self.now_ms += ms,
        }
        let promised = self.promised();
        let wanted = self.wanted.iter().map(|at| txid(*at)).collect();
        let found = lifeboat_repository::promised(
            &points(&self.files),
            &wanted,
            &ladder(self.steps),
            Time::from_millis(self.now_ms),
            false,
        );
        let found: BTreeSet<u64> = found.iter().map(|txid| txid.get()).collect();
        assert_eq!(found, promised, "{act:?}");
    }

    fn moments(&self) -> Vec<Moment> {
        let points = points(&self.files);
        points.iter().map(|point| (point.txid.get(), point.time.millis())).collect()
    }

    fn promised(&self) -> BTreeSet<u64> {
        promised(&self.moments(), &self.wanted, self.steps, self.now_ms, true)
    }

    fn planned(&self) -> Vec<Merge> {
        let wanted = self.wanted.iter().map(|at| txid(*at)).collect();
        let now = Time::from_millis(self.now_ms);
        plan_merges(&self.files, &wanted, &ladder(self.steps), now)
    }

    /// Makes the merges as a compaction does, one after the other.
    fn merge(&mut self) {
        let before = self.moments();
        for Merge { name, inputs } in self.planned() {
            assert!(inputs.len() > 1, "{name:?} is made of {inputs:?}");
            let (first, last) = (&inputs[0].name, &inputs[inputs.len() - 1].name);
            assert_eq!((name.min, name.max, name.time), (first.min, last.max, last.time));
            assert!(name.min > Txid::FIRST && (1..9).contains(&name.level), "{name:?}");
            for input in &inputs {
                assert!(self.files.iter().any(|file| file.name == input.name), "{input:?}");
                assert!(!input.name.range().is_base(), "{input:?}");
            }
            for pair in inputs.windows(2) {
                let (former, next) = (&pair[0].name, &pair[1].name);
                let touches = next.min <= former.max.next().unwrap();
                assert!(former.min <= next.min && touches && former.max < next.max, "{pair:?}");
            }
            let size = inputs.iter().map(LtxFile::size).sum::<u64>() * 9 / 10;
            self.add(name, size);
        }
        assert_eq!(self.moments(), before);
        let again = self.planned();
        assert!(again.is_empty(), "a second pass finds {again:?}");
    }

    /// Drops what leads to nothing that is promised.
    fn drop_unneeded(&mut self) {
        let promised = self.promised();
        let mut needed: BTreeSet<LtxName> = BTreeSet::new();
        for at in &promised {
            let way = plan(&self.files, txid(*at)).unwrap();
            needed.extend(way.iter().map(|file| file.name));
        }
        self.files.retain(|file| needed.contains(&file.name));
        assert_eq!(self.promised(), promised);
    }

    /// Merged and dropped, only what is promised is there, and what leads there; nothing twice in a
    /// rung.
    fn tidy(&mut self) {
        let before = self.moments();
        // A merge across what was wanted gives way to others only when these are gone.
        let mut rounds = 0;
        let mut files = Vec::new();
        while files != self.files {
            files.clone_from(&self.files);
            self.merge();
            self.drop_unneeded();
            rounds += 1;
        }
        assert!(rounds < 6, "{rounds} rounds");
        let bases: BTreeSet<u64> = self
            .files
            .iter()
            .filter(|file| file.name.range().is_base())
            .map(|file| file.name.max.get())
            .collect();
        let mut allowed = promised(&before, &self.wanted, self.steps, self.now_ms, true);
        let horizon_ms = self.steps[self.steps.len() - 1].1;
        let is_young = |(_, time_ms): &&Moment| self.now_ms - time_ms <= horizon_ms;
        let mut others = bases.clone();
        others.extend(
            before.iter().filter(is_young).map(|(at, _)| *at).filter(|at| self.held.contains(at)),
        );
        allowed.extend(links(&before, &self.wanted, &others, self.steps, self.now_ms));
        let left = self.moments();
        let others: Vec<_> = left.iter().filter(|(at, _)| !allowed.contains(at)).collect();
        let files: Vec<String> =
            self.files.iter().map(|file| file.objects[0].key.to_string()).collect();
        assert!(
            others.is_empty(),
            "{others:?} are of no use at {}: {left:?}, {files:?}",
            self.now_ms
        );
        let ends = |(every_ms, _): &Step| {
            let is_end = |(at, time_ms): &&Moment| {
                self.wanted.contains(at) || is_last(&left, *at, *time_ms, *every_ms)
            };
            left.iter().filter(is_end).count()
        };
        let most: usize = self.steps.iter().map(ends).sum::<usize>() + bases.len();
        assert!(
            self.files.len() <= most,
            "{} files, not {most}: {:?}",
            self.files.len(),
            self.files
        );
    }
}
