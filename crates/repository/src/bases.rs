//! Which bases a lineage can do without: a pure function of names and sizes.

use std::collections::{BTreeSet, HashSet};

use lifeboat_ltx::Txid;

use crate::plan::way_to;
use crate::{LtxFile, LtxName};

/// Bases that other files lead past. Whichever of the two sets is left out, every promised
/// transaction is still reached: the next one after a base is, and whatever leads on from the base
/// leads on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Those that nothing needs: what leads past them is not larger than they are.
    pub(crate) dropped: HashSet<LtxName>,
    /// All of them. What leads past one stays, so that it may be dropped when merges have made that
    /// small.
    pub(crate) all: HashSet<LtxName>,
}

/// Looks at the bases after the one at which the way to the first promised transaction begins. The
/// newest one is never dropped.
pub(crate) fn passed(files: &[&LtxFile], promised: &BTreeSet<Txid>) -> Passed {
    let mut passed = Passed::default();
    let mut bases: Vec<&LtxFile> =
        files.iter().copied().filter(|file| file.name.range().is_base()).collect();
    bases.sort_by_key(|base| base.name.max);
    let (Some(first), Some(newest)) = (promised.first(), bases.last()) else { return passed };
    for base in bases.iter().filter(|base| base.name.max > *first) {
        let Some(next) = promised.range(base.name.max..).next() else { break };
        let way_without = |others: &HashSet<LtxName>| {
            let without = |file: &&LtxFile| file.name != base.name && !others.contains(&file.name);
            way_to(files.iter().copied().filter(without), *next).ok()
        };
        if way_without(&passed.all).is_some() {
            passed.all.insert(base.name);
        }
        if base.name.max < newest.name.max
            && let Some(way) = way_without(&passed.dropped)
        {
            let past = way.iter().skip(1).filter(|file| file.name.min <= base.name.max);
            if past.map(|file| file.size()).sum::<u64>() <= base.size() {
                passed.dropped.insert(base.name);
            }
        }
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::{LtxFile, passed};
    use crate::table::{files, show, txids};

    #[test]
    fn bases_stay_where_they_are_worth_it() {
        // Files, promised transactions; the bases that are dropped, and all that are passed.
        let cases: &[(&str, &[u64], &str, &str)] = &[
            ("", &[], "", ""),
            ("9:1-1", &[1], "", ""),
            // The first that is needed and the newest stay, whatever they cost.
            ("9:1-1=9 0:2-2 9:1-2=9", &[1, 2], "", "9:1-2"),
            // Between them what leads past decides: 2 bytes of deltas for 9 of a base.
            ("9:1-1=9 0:2-2 0:3-3 9:1-3=9 0:4-4 9:1-4=9", &[1, 4], "9:1-3", "9:1-3 9:1-4"),
            ("9:1-1=9 0:2-2 0:3-3 9:1-3=9 0:4-4 9:1-4=9", &[1, 3, 4], "9:1-3", "9:1-3 9:1-4"),
            ("9:1-1=9 0:2-2=5 0:3-3=5 9:1-3=9 0:4-4 9:1-4=9", &[1, 3, 4], "", "9:1-3 9:1-4"),
            // Of two in a row the second is compared with what leads there from the last that stays.
            (
                "9:1-1=9 0:2-2=5 9:1-2=9 0:3-3=5 9:1-3=9 0:4-4 9:1-4=9",
                &[1, 2, 3, 4],
                "9:1-2",
                "9:1-2 9:1-3 9:1-4",
            ),
            // Nothing else leads past: a capture is missing beneath the base.
            ("9:1-1=9 9:1-2=9 0:3-3 9:1-3=9", &[1, 2, 3], "", "9:1-3"),
            // A span that passes beneath it.
            ("9:1-1=9 8:2-5=3 9:1-3=9 0:6-6 9:1-6=9", &[1, 5, 6], "9:1-3", "9:1-3 9:1-6"),
            // Before the first promised transaction all but the last are not needed anyway.
            ("9:1-1=9 0:2-2 9:1-2=9 0:3-3 9:1-3=9", &[2, 3], "", "9:1-3"),
            // After the last one, too.
            ("9:1-1=9 0:2-2 9:1-2=9 0:3-3 9:1-3=9", &[1], "", ""),
        ];
        for (text, promised, dropped, all) in cases {
            let files = files(text);
            let refs: Vec<&LtxFile> = files.iter().collect();
            let passed = passed(&refs, &txids(promised));
            for (passed, expected) in [(&passed.dropped, dropped), (&passed.all, all)] {
                let shown = show(files.iter().filter(|file| passed.contains(&file.name)));
                assert_eq!(shown, **expected, "{text} with {promised:?}");
                let mut left = files.clone();
                left.retain(|file| !passed.contains(&file.name));
                for target in txids(promised) {
                    assert!(crate::plan(&left, target).is_ok(), "{text} to {target}");
                }
            }
        }
    }
}
