//! Which files of a lineage are needed: a pure function of names and sizes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};

use lifeboat_ltx::Txid;

use crate::bases::passed;
use crate::ways::Ways;
use crate::{LtxFile, LtxName};

/// A file that leads to no promised transaction, or that others lead past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unneeded<'a> {
    pub(crate) file: &'a LtxFile,
    /// The needed files that hold what it holds. They must be known to be sound before it goes.
    pub(crate) instead: Vec<&'a LtxFile>,
}

/// The files that are not on the way to any promised transaction, in an order in which they can go:
/// whatever of them is left, there is a way to the last transaction of all that are left.
///
/// Needed are the files of the plan to each promised transaction, without the bases that are not
/// worth their place; and what leads past the others, so that merges can make it small. Fails with a
/// promised transaction that cannot be reached.
pub(crate) fn unneeded<'a>(
    files: &[&'a LtxFile],
    promised: &BTreeSet<Txid>,
) -> Result<Vec<Unneeded<'a>>, Txid> {
    let passed = passed(files, promised);
    let without = |left_out: &HashSet<LtxName>| {
        Ways::new(files.iter().copied().filter(|file| !left_out.contains(&file.name)).collect())
    };
    let (mut ways, mut ways_past) = (without(&passed.dropped), without(&passed.all));
    let mut sorted = files.to_vec();
    sorted.sort_by_key(|file| file.name.max);
    let mut waiting = sorted.into_iter().peekable();
    let mut unneeded = Vec::new();
    for target in promised {
        let way = ways.lead_to(*target).ok_or(*target)?;
        let way_past = ways_past.lead_to(*target).ok_or(*target)?;
        // The ways to later targets take the same files up to here, if any.
        while let Some(file) = waiting.next_if(|file| file.name.max <= *target) {
            let instead = overlapping(way, file);
            if !contains(instead, file) && !contains(overlapping(way_past, file), file) {
                unneeded.push(Unneeded { file, instead: instead.to_vec() });
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

/// The files of a way that hold transactions of a file. They begin and end one after another.
fn overlapping<'w, 'a>(way: &'w [&'a LtxFile], file: &LtxFile) -> &'w [&'a LtxFile] {
    let begin = way.partition_point(|other| other.name.max < file.name.min);
    let end = way.partition_point(|other| other.name.min <= file.name.max);
    &way[begin.min(end)..end]
}

fn contains(files: &[&LtxFile], file: &LtxFile) -> bool {
    files.iter().any(|other| other.name == file.name)
}

#[cfg(test)]
mod tests {
    use super::{LtxFile, Unneeded, unneeded};
    use crate::table::{files, show, txid, txids};

    #[test]
    fn what_leads_to_no_promised_point_goes() {
        // Files, promised transactions; what goes, in this order, and what takes its place.
        let cases: &[(&str, &[u64], &str)] = &[
            ("9:1-1", &[1], ""),
            ("9:1-1 0:2-2 0:3-3", &[1, 2, 3], ""),
            // The chain is needed although nothing of it is promised but its end.
            ("9:1-1 0:2-2 0:3-3", &[3], ""),
            // A new base: what came before it goes as soon as nothing is promised there.
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[3], "0:3-3 for 9:1-3, 0:2-2 for 9:1-3, 9:1-1 for 9:1-3"),
            // What leads past a base stays, as long as something before it is promised.
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[2, 3], ""),
            ("9:1-1 0:2-2 0:3-3 1:2-3 9:1-3", &[1, 3], "0:3-3 for 9:1-3, 0:2-2 for 9:1-3"),
            // A merge takes the place of what it holds.
            ("9:1-1 0:2-2 0:3-3 1:2-3", &[3], "0:3-3 for 1:2-3, 0:2-2 for 1:2-3"),
            ("9:1-1 0:2-2 0:3-3 1:2-3", &[2, 3], "0:3-3 for 1:2-3"),
            ("9:1-1 0:2-2 0:3-3 1:2-3", &[1], "0:3-3 for , 1:2-3 for , 0:2-2 for "),
            (
                "9:1-1 0:2-2 0:3-3 0:4-4 0:5-5 1:2-3 1:4-5 2:2-5",
                &[2, 5],
                "0:5-5 for 2:2-5, 1:4-5 for 2:2-5, 0:4-4 for 2:2-5, 0:3-3 for 2:2-5, 1:2-3 for 2:2-5",
            ),
            // It has two neighbours in its place.
            ("9:1-1 0:2-3 0:4-5 8:3-4", &[3, 5], "8:3-4 for 0:2-3 0:4-5"),
            // What came after the last promised transaction of a superseded lineage, and all of one.
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[2], "0:3-3 for , 9:1-3 for "),
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[], "0:3-3 for , 9:1-3 for , 0:2-2 for , 9:1-1 for "),
            // A base in the middle that the deltas make superfluous.
            (
                "9:1-1=9 0:2-2 0:3-3 9:1-3=9 0:4-4 9:1-4=9",
                &[1, 3, 4],
                "9:1-3 for 9:1-1 0:2-2 0:3-3",
            ),
            ("", &[], ""),
        ];
        for (text, promised, expected) in cases {
            let files = files(text);
            let refs: Vec<&LtxFile> = files.iter().collect();
            let gone = unneeded(&refs, &txids(promised)).unwrap();
            let show = |one: &Unneeded<'_>| {
                format!("{} for {}", show([one.file]), show(one.instead.iter().copied()))
            };
            let shown: Vec<String> = gone.iter().map(show).collect();
            assert_eq!(shown.join(", "), *expected, "{text} with {promised:?}");
            // Stopped anywhere, the files lead to the newest among them, and to what is promised.
            for stop in 0..=gone.len() {
                let mut left = files.clone();
                left.retain(|file| gone[..stop].iter().all(|one| one.file.name != file.name));
                let newest = left.iter().map(|file| file.name.max).max();
                for target in promised.iter().map(|number| txid(*number)).chain(newest) {
                    assert!(crate::plan(&left, target).is_ok(), "{text} to {target} at {stop}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_is_named() {
        for (text, promised, unreachable) in
            [("0:2-2", 2, 2), ("9:1-1 0:3-3", 3, 3), ("9:1-1", 2, 2), ("", 1, 1)]
        {
            let files = files(text);
            let refs: Vec<&LtxFile> = files.iter().collect();
            let found = unneeded(&refs, &txids(&[promised])).map(|gone| gone.len());
            assert_eq!(found.unwrap_err(), txid(unreachable), "{text}");
        }
    }
}
