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
