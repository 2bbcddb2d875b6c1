//! Plans and points against a search that tries everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use lifeboat_repository::{LtxFile, LtxName, Time, plan, points};
use lifeboat_storage::Entry;
use proptest::prelude::*;

use crate::common::{START_MS, key, txid};

const LAST: u64 = 12;

fn file(level: u8, min: u64, max: u64, later_ms: i64) -> LtxFile {
    let time = Time::from_millis(START_MS + i64::try_from(max).unwrap() * 1000 + later_ms);
    let object =
        Entry { key: key(&format!("{level}/{min}")), size: 1, modified: SystemTime::UNIX_EPOCH };
    let name = LtxName { level, min: txid(min), max: txid(max), time };
    LtxFile { name, objects: vec![object] }
}

fn files() -> impl Strategy<Value = Vec<LtxFile>> {
    let one = (0..10_u8, 1..=LAST, 0..4_u64, 0..2_i64, prop::bool::weighted(0.2)).prop_map(
        |(level, min, more, later, base)| {
            let max = (min + more).min(LAST);
            file(level, if base { 1 } else { min }, max, later)
        },
    );
    prop::collection::vec(one, 0..24)
}

fn range(file: &LtxFile) -> (u64, u64) {
    (file.name.min.get(), file.name.max.get())
}

/// Every transaction that any sequence of files leads to without going past `target`.
fn reachable(files: &[LtxFile], target: u64) -> BTreeSet<u64> {
    let mut reached = BTreeSet::from([0]);
    loop {
        let next: BTreeSet<u64> = files
            .iter()
            .map(range)
            .filter(|(_, max)| *max <= target)
            .filter(|(min, max)| {
                reached
                    .iter()
                    .any(|from| *min <= from + 1 && *max > *from && (*from > 0 || *min == 1))
            })
            .map(|(_, max)| max)
            .collect();
        let before = reached.len();
        reached.extend(next);
        if reached.len() == before {
            reached.remove(&0);
            return reached;
        }
    }
}

/// The text of `docs/format.md`, section 14, word for word.
fn documented(files: &[LtxFile], target: u64) -> Option<Vec<LtxName>> {
    let (mut current, mut plan) = (0, Vec::new());
    while current < target {
        let next = files.iter().filter(|file| {
            let (min, max) = range(file);
            min <= current + 1 && max > current && max <= target && (current > 0 || min == 1)
        });
        let best = next.min_by_key(|file| {
            let (min, max) = range(file);
            (u64::MAX - max, min, 9 - file.name.level, file.name.time)
        })?;
        plan.push(best.name);
        current = range(best).1;
    }
    Some(plan)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn a_plan_is_found_wherever_there_is_a_way(files in files(), target in 1..=LAST) {
        let found = plan(&files, txid(target));
        prop_assert_eq!(found.is_ok(), reachable(&files, target).contains(&target));
        match found {
            Ok(found) => {
                let names: Vec<LtxName> = found.iter().map(|file| file.name).collect();
                prop_assert_eq!(Some(names), documented(&files, target));
                // It can be applied: it begins with a base, leaves no gap, always goes on.
                prop_assert_eq!(found[0].name.min.get(), 1);
                for pair in found.windows(2) {
                    prop_assert!(pair[1].name.min.get() <= pair[0].name.max.get() + 1);
                    prop_assert!(pair[1].name.max > pair[0].name.max);
                }
                prop_assert_eq!(found[found.len() - 1].name.max.get(), target);
            }
            Err(furthest) => {
                prop_assert_eq!(documented(&files, target), None);
                let last = reachable(&files, target).last().copied();
                prop_assert_eq!(furthest.map(lifeboat_ltx::Txid::get), last);
            }
        }
    }

    #[test]
    fn points_are_the_ends_that_a_plan_leads_to(files in files()) {
        let mut expected: BTreeMap<u64, Time> = BTreeMap::new();
        for file in &files {
            let (_, max) = range(file);
            if plan(&files, txid(max)).is_ok() {
                let time = expected.entry(max).or_insert(file.name.time);
                *time = file.name.time.min(*time);
            }
        }
        let found: BTreeMap<u64, Time> =
            points(&files).iter().map(|point| (point.txid.get(), point.time)).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(found.into_keys().collect::<BTreeSet<_>>(), reachable(&files, LAST));
        let ascending = points(&files);
        prop_assert!(ascending.windows(2).all(|pair| pair[0].txid < pair[1].txid));
    }
}

#[test]
fn the_last_transaction_that_can_be_numbered_has_a_plan() {
    let end = |min, max| {
        let mut file = file(9, 1, 1, 0);
        (file.name.min, file.name.max) = (txid(min), txid(max));
        file
    };
    let files = [end(1, u64::MAX - 1), end(u64::MAX, u64::MAX)];
    assert_eq!(plan(&files, txid(u64::MAX)).unwrap().len(), 2);
    assert_eq!(points(&files).len(), 2);
}

/// A year of captures every minute, none merged: a plan must not take time by the square of it.
#[test]
fn long_chains_are_planned_at_once() {
    let mut files = vec![file(9, 1, 1, 0)];
    files.extend((2..200_000).map(|number| file(0, number, number, 0)));
    let begun = std::time::Instant::now();
    assert_eq!(plan(&files, txid(199_999)).unwrap().len(), 199_999);
    assert_eq!(points(&files).len(), 199_999);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}
