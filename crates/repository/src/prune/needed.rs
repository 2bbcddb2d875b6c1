//! Which files of a lineage are needed: a pure function of names.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use lifeboat_ltx::Txid;

use super::bases::droppable;
use crate::LtxFile;
use crate::ways::Ways;

/// A file that leads to no promised transaction, or that others lead past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unneeded<'a> {
    pub(super) file: &'a LtxFile,
    /// The needed files that hold what it holds. They must be known to be sound before it goes.
    pub(super) instead: Vec<&'a LtxFile>,
}

/// The files that are not on the way to any promised transaction, in an order in which they can go:
/// whatever of them is left, there is a way to the last transaction of all that are left.
///
/// Needed are the files of the plan to each promised transaction, without the bases that can be
/// done without. Fails with a promised transaction that cannot be reached.
pub(super) fn unneeded<'a>(
    files: &'a [LtxFile],
    promised: &BTreeSet<Txid>,
) -> Result<Vec<Unneeded<'a>>, Txid> {
    let dropped: HashSet<_> = droppable(files, promised).into_iter().collect();
    let mut ways = Ways::new(files.iter().filter(|file| !dropped.contains(&file.name)).collect());
    let mut sorted: Vec<&LtxFile> = files.iter().collect();
    sorted.sort_by_key(|file| file.name.max);
    let mut waiting = sorted.into_iter().peekable();
    let mut unneeded = Vec::new();
    for target in promised {
        let way = ways.lead_to(*target).ok_or(*target)?;
        while let Some(file) = waiting.next_if(|file| file.name.max <= *target) {
            // The ways to later targets take the same files up to here, if any.
            let from = way.partition_point(|other| other.name.max < file.name.min);
            let after = way[from..].iter().take_while(|other| other.name.min <= file.name.max);
            let instead: Vec<&LtxFile> = after.copied().collect();
            if !instead.iter().any(|other| other.name == file.name) {
                unneeded.push(Unneeded { file, instead });
            }
        }
    }
    unneeded.extend(waiting.map(|file| Unneeded { file, instead: Vec::new() }));
    // Of those that end together, the one that leads there by the longest step goes last.
    unneeded.sort_by_key(|one| {
        let name = &one.file.name;
        (Reverse(name.max), Reverse(name.min), name.level, Reverse(name.time))
    });
    Ok(unneeded)
}
