//! The plans to many transactions in one pass.

use lifeboat_ltx::Txid;

use crate::LtxFile;
use crate::plan::{better, continues, walk};

/// The way to one transaction after another, in ascending order. What [`plan`](crate::plan()) finds
/// for each of them, in the time of one: the way to a later one begins as that to an earlier one,
/// up to where a file that ends after the earlier one goes further.
#[derive(Debug)]
pub(crate) struct Ways<'a> {
    /// In the order of their ends.
    files: Vec<&'a LtxFile>,
    /// How many of them end no later than the last target.
    seen: usize,
    way: Vec<&'a LtxFile>,
}

impl<'a> Ways<'a> {
    pub(crate) fn new(mut files: Vec<&'a LtxFile>) -> Self {
        files.sort_by_key(|file| file.name.max);
        Self { files, seen: 0, way: Vec::new() }
    }

    /// The files that lead to `target`, which is not below the one before; `None` if there are none.
    pub(crate) fn lead_to(&mut self, target: Txid) -> Option<&[&'a LtxFile]> {
        let end = self.files.partition_point(|file| file.name.max <= target);
        let new = self.files[self.seen.min(end)..end].to_vec();
        self.seen = end;
        if let Some(first) = new.iter().min_by_key(|file| file.name.min) {
            let leaves_off = |end: Option<Txid>| continues(&first.name, end);
            let kept = if leaves_off(None) {
                0
            } else {
                1 + self.way.partition_point(|file| !leaves_off(Some(file.name.max)))
            };
            self.way.truncate(kept);
            let from = self.way.last().map(|file| file.name.max);
            self.way.extend(walk(new, |file| file.name, from, better));
        }
        let reached = self.way.last().map(|file| file.name.max);
        (reached == Some(target)).then_some(&self.way)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lifeboat_ltx::Txid;
    use proptest::prelude::*;

    use super::Ways;
    use crate::{LtxFile, LtxName, Time, plan};

    const LAST: u64 = 14;

    fn files() -> impl Strategy<Value = Vec<LtxFile>> {
        let one = (0..10_u8, 1..=LAST, 0..5_u64, prop::bool::weighted(0.2)).prop_map(
            |(level, min, more, base)| {
                let (min, max) = (if base { 1 } else { min }, (min + more).min(LAST));
                let txid = |number| Txid::new(number).unwrap();
                let time = Time::from_system(SystemTime::UNIX_EPOCH);
                let name = LtxName { level, min: txid(min), max: txid(max), time };
                LtxFile { name, objects: Vec::new() }
            },
        );
        prop::collection::vec(one, 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3000, ..Default::default() })]

        #[test]
        fn each_way_is_the_plan(files in files(), targets in prop::collection::btree_set(1..=LAST, 1..6)) {
            let mut ways = Ways::new(files.iter().collect());
            for target in targets {
                let target = Txid::new(target).unwrap();
                let expected = plan(&files, target);
                let found = ways.lead_to(target);
                prop_assert_eq!(found.is_some(), expected.is_ok());
                let Ok(expected) = expected else { break };
                let names = |way: &[&LtxFile]| way.iter().map(|file| file.name).collect::<Vec<_>>();
                prop_assert_eq!(names(found.unwrap_or_default()), names(&expected));
            }
        }
    }
}
