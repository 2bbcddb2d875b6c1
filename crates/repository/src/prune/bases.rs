//! Which bases a lineage can do without: a pure function of names and sizes.

use std::collections::BTreeSet;

use lifeboat_ltx::Txid;

use crate::plan::way_to;
use crate::{LtxFile, LtxName};

/// The bases that nothing needs although they lead to promised transactions, because what leads past
/// them from the base before is not larger than they are.
///
/// The newest base stays, and the one at which the way to the first promised transaction begins.
/// Without those that are returned, every promised transaction is still reached: the next one after
/// a base is, and whatever leads on from the base leads on from there.
pub(super) fn droppable(files: &[LtxFile], promised: &BTreeSet<Txid>) -> Vec<LtxName> {
    let mut bases: Vec<&LtxFile> =
        files.iter().filter(|file| file.name.range().is_base()).collect();
    bases.sort_by_key(|base| base.name.max);
    let (Some(first), Some(newest)) = (promised.first(), bases.last()) else { return Vec::new() };
    let between = |base: &&LtxFile| base.name.max > *first && base.name.max < newest.name.max;
    let mut dropped: Vec<LtxName> = Vec::new();
    for base in bases.iter().copied().filter(between) {
        let Some(next) = promised.range(base.name.max..).next() else { break };
        let without =
            files.iter().filter(|file| file.name != base.name && !dropped.contains(&file.name));
        let Ok(way) = way_to(without, *next) else { continue };
        let past = way.iter().skip(1).filter(|file| file.name.min <= base.name.max);
        if past.map(|file| file.size()).sum::<u64>() <= base.size() {
            dropped.push(base.name);
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::droppable;
    use crate::table::{files, show_name, txids};

    #[test]
    fn bases_stay_where_they_are_worth_it() {
        let cases: &[(&str, &[u64], &str)] = &[
            ("", &[], ""),
            ("9:1-1", &[1], ""),
            // The first that is needed and the newest stay, whatever they cost.
            ("9:1-1=9 0:2-2 9:1-2=9", &[1, 2], ""),
            // Between them what leads past decides: 2 bytes of deltas for 9 of a base.
            ("9:1-1=9 0:2-2 0:3-3 9:1-3=9 0:4-4 9:1-4=9", &[1, 4], "9:1-3"),
            ("9:1-1=9 0:2-2=5 0:3-3=5 9:1-3=9 0:4-4 9:1-4=9", &[1, 3, 4], ""),
            // Of two in a row the second is compared with what leads there from the last that stays.
            ("9:1-1=9 0:2-2=5 9:1-2=9 0:3-3=5 9:1-3=9 0:4-4 9:1-4=9", &[1, 2, 3, 4], "9:1-2"),
            // Nothing else leads past: a capture is missing beneath the base.
            ("9:1-1=9 9:1-2=9 0:3-3 9:1-3=9", &[1, 2, 3], ""),
            // A span that passes beneath it.
            ("9:1-1=9 8:2-5=3 9:1-3=9 0:6-6 9:1-6=9", &[1, 5, 6], "9:1-3"),
            // Before the first promised transaction all but the last are not needed anyway.
            ("9:1-1=9 0:2-2 9:1-2=9 0:3-3 9:1-3=9", &[2, 3], ""),
            // After the last one, too.
            ("9:1-1=9 0:2-2 9:1-2=9 0:3-3 9:1-3=9", &[1], ""),
        ];
        for (text, promised, expected) in cases {
            let files = files(text);
            let dropped = droppable(&files, &txids(promised));
            let shown: Vec<String> = dropped.iter().map(show_name).collect();
            assert_eq!(shown.join(" "), *expected, "{text} with {promised:?}");
            let left: Vec<_> =
                files.iter().filter(|file| !dropped.contains(&file.name)).cloned().collect();
            for target in txids(promised) {
                assert!(crate::plan(&left, target).is_ok(), "{text} to {target}");
            }
        }
    }
}
