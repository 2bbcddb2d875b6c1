//! Which files of a lineage are needed: a pure function of names.

use std::collections::{BTreeSet, HashSet};

use lifeboat_ltx::Txid;

use crate::{LtxFile, LtxName, plan};

/// What is wanted of a lineage.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Transactions that backups hold.
    pub(super) txids: BTreeSet<Txid>,
    /// Whether another lineage of the database has a newer point.
    pub(super) superseded: bool,
}

impl Wanted {
    /// Whether nothing of the lineage is.
    pub(super) fn is_nothing(&self) -> bool {
        self.superseded && self.txids.is_empty()
    }
}

/// The files that nothing needs, in an order in which they can go: whatever of them is left, the
/// files lead to the newest transaction among them.
///
/// Fails with a transaction that is wanted, or the newest, and cannot be reached.
pub(super) fn unneeded<'a>(
    files: &'a [LtxFile],
    wanted: &Wanted,
) -> Result<Vec<&'a LtxFile>, Txid> {
    let Some(newest) = files.iter().map(|file| file.name.max).max() else {
        return wanted.txids.first().map_or(Ok(Vec::new()), |txid| Err(*txid));
    };
    let mut needed: HashSet<LtxName> = HashSet::new();
    for txid in wanted.txids.iter().copied().chain([newest]) {
        let way = plan(files, txid).map_err(|_| txid)?;
        needed.extend(way.iter().map(|file| file.name));
    }
    let chain = plan(files, newest).map_err(|_| newest)?;
    let mut others: Vec<&LtxFile> =
        files.iter().filter(|file| !chain.iter().any(|one| one.name == file.name)).collect();
    others.sort_by_key(|file| std::cmp::Reverse((file.name.max, file.name.min)));
    if wanted.is_nothing() {
        others.extend(chain.into_iter().rev());
        return Ok(others);
    }
    let last = wanted.txids.last();
    others.retain(|file| {
        let before = last.is_some_and(|last| file.name.max <= *last);
        before && !needed.contains(&file.name)
    });
    Ok(others)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lifeboat_storage::Entry;

    use super::{LtxFile, LtxName, Txid, Wanted, unneeded};
    use crate::Time;
    use crate::document::key;

    fn txid(number: u64) -> Txid {
        Txid::new(number).unwrap()
    }

    /// `9:1-4 0:2-2`
    fn files(text: &str) -> Vec<LtxFile> {
        let file = |word: &str| {
            let (level, range) = word.split_once(':').unwrap();
            let (min, max) = range.split_once('-').unwrap();
            let (min, max) = (txid(min.parse().unwrap()), txid(max.parse().unwrap()));
            let time = Time::from_millis(i64::try_from(max.get()).unwrap());
            let name = LtxName { level: level.parse().unwrap(), min, max, time };
            let key = key(word.replace(':', "/")).unwrap();
            LtxFile { name, objects: vec![Entry { key, size: 1, modified: SystemTime::now() }] }
        };
        text.split_whitespace().map(file).collect()
    }

    fn show(files: &[&LtxFile]) -> String {
        let names = files.iter().map(|file| file.objects[0].key.as_str().replace('/', ":"));
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_leads_to_no_backup_goes() {
        // Files, pinned transactions, whether superseded; what goes, in this order.
        let cases: &[(&str, &[u64], bool, &str)] = &[
            ("9:1-1", &[1], false, ""),
            ("9:1-1 0:2-2 0:3-3", &[1, 2, 3], false, ""),
            // The chain to the newest is needed although nothing of it is pinned but its end.
            ("9:1-1 0:2-2 0:3-3", &[3], false, ""),
            // A new base: what came before it goes as soon as no pin is there.
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[3], false, "0:3-3 0:2-2 9:1-1"),
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[2, 3], false, "0:3-3"),
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[1, 3], false, "0:3-3 0:2-2"),
            ("9:1-1 0:2-2 0:3-3 9:1-3 0:4-4", &[4], false, "0:3-3 0:2-2 9:1-1"),
            // A merge takes the place of what it holds.
            ("9:1-1 0:2-2 0:3-3 1:2-3", &[3], false, "0:3-3 0:2-2"),
            ("9:1-1 0:2-2 0:3-3 1:2-3", &[2, 3], false, "0:3-3"),
            // Everything after the newest pin stays.
            ("9:1-1 0:2-2 0:3-3 1:2-3", &[1], false, ""),
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[2], false, ""),
            // Nobody has pinned anything yet.
            ("9:1-1 0:2-2 9:1-2", &[], false, ""),
            // Superseded: with a pin it is like any other, without one all of it goes.
            ("9:1-1 0:2-2 0:3-3 9:1-3", &[3], true, "0:3-3 0:2-2 9:1-1"),
            ("9:1-1 0:2-2", &[], true, "0:2-2 9:1-1"),
            ("9:1-1 0:2-2 0:3-3 9:1-3 0:4-4", &[], true, "0:3-3 0:2-2 9:1-1 0:4-4 9:1-3"),
            ("", &[], true, ""),
            ("", &[], false, ""),
        ];
        for (text, pinned, superseded, expected) in cases {
            let wanted = Wanted {
                txids: pinned.iter().map(|number| txid(*number)).collect(),
                superseded: *superseded,
            };
            let files = files(text);
            let gone = unneeded(&files, &wanted).unwrap();
            assert_eq!(show(&gone), *expected, "{text} with {pinned:?}");
            // Stopped anywhere, the files lead to the newest among them, and to each pin.
            for stop in 0..=gone.len() {
                let mut left = files.clone();
                left.retain(|file| !gone[..stop].iter().any(|one| one.name == file.name));
                let newest = left.iter().map(|file| file.name.max).max();
                for target in pinned.iter().map(|number| txid(*number)).chain(newest) {
                    assert!(crate::plan(&left, target).is_ok(), "{text} to {target} at {stop}");
                }
            }
        }
    }

    #[test]
    fn a_damaged_lineage_is_left_alone() {
        for (text, pinned, unreachable) in
            [("0:2-2", 2, 2), ("9:1-1 0:3-3", 1, 3), ("9:1-1", 2, 2), ("", 1, 1)]
        {
            let wanted = Wanted { txids: [txid(pinned)].into(), superseded: true };
            assert_eq!(unneeded(&files(text), &wanted).unwrap_err(), txid(unreachable), "{text}");
        }
    }
}
