//! Which LTX files lead to a transaction: decided from names alone.

use std::cmp::Reverse;
use std::collections::HashMap;

use lifeboat_ltx::Txid;

use crate::{LtxFile, LtxName, ObjectRef, Time};

/// A transaction that can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// When it was captured.
    pub time: Time,
    /// The transaction.
    pub txid: Txid,
}

/// The files that lead to `target`, in the order of application; else how far they lead.
///
/// Always the file that goes furthest: whatever continues a shorter way continues a longer one too,
/// so if there is a way, this finds it, and from the newest base that is not past the target.
pub fn plan(files: &[LtxFile], target: Txid) -> Result<Vec<&LtxFile>, Option<Txid>> {
    way_to(files, target)
}

/// [`plan`] among some files of a lineage.
pub(crate) fn way_to<'a>(
    files: impl IntoIterator<Item = &'a LtxFile>,
    target: Txid,
) -> Result<Vec<&'a LtxFile>, Option<Txid>> {
    let files = files.into_iter().filter(|file| file.name.max <= target).collect();
    let way = walk(files, |file| file.name, None, better);
    match way.last().map(|file| file.name.max) {
        reached if reached == Some(target) => Ok(way),
        reached => Err(reached),
    }
}

/// The files that lead on from `from` as far as any do, in the order of application. Bases are left
/// out: they begin anew, and hold everything.
///
/// Always the file that goes furthest, of several the one that brings the least of what is known.
pub fn onward(files: &[LtxFile], from: Txid) -> Vec<&LtxFile> {
    let files = files.iter().filter(|file| file.name.max > from && !file.name.range().is_base());
    walk(
        files.collect(),
        |file| file.name,
        Some(from),
        |one, other| {
            if other.name.max >= one.name.max { other } else { one }
        },
    )
}

/// [`onward`] among names.
pub(crate) fn onward_names(names: &[LtxName], from: Txid) -> Vec<LtxName> {
    let names = names.iter().filter(|name| name.max > from && !name.range().is_base());
    walk(
        names.copied().collect(),
        |name| name,
        Some(from),
        |one, other| {
            if other.max >= one.max { other } else { one }
        },
    )
}

/// Goes on from `current`, each time with the best of the files that begin early enough, as long as
/// one goes further. `better` gets those that begin earlier first.
pub(crate) fn walk<T: Copy>(
    mut waiting: Vec<T>,
    name: impl Fn(T) -> LtxName,
    mut current: Option<Txid>,
    better: impl Fn(T, T) -> T,
) -> Vec<T> {
    waiting.sort_by_key(|file| Reverse(name(*file).min));
    let mut chosen = Vec::new();
    // Each is looked at once: one that begins early enough now does so later too.
    let mut best: Option<T> = None;
    loop {
        while let Some(file) = waiting.pop_if(|file| continues(&name(*file), current)) {
            best = Some(best.map_or(file, |best| better(best, file)));
        }
        match best {
            Some(file) if Some(name(file).max) > current => {
                current = Some(name(file).max);
                chosen.push(file);
            }
            _ => return chosen,
        }
    }
}

/// Whether a file begins no later than right after `current`; after nothing, whether it is a base.
pub(crate) fn continues(name: &LtxName, current: Option<Txid>) -> bool {
    match current {
        None => name.range().is_base(),
        Some(current) => current.next().is_none_or(|next| name.min <= next),
    }
}

pub(crate) fn better<'a>(one: &'a LtxFile, other: &'a LtxFile) -> &'a LtxFile {
    std::cmp::max_by_key(one, other, |file| {
        let name = &file.name;
        (name.max, Reverse(name.min), name.level, Reverse(name.time))
    })
}

/// The file to leave out when `way[at]` does not fit what the files before it lead to.
///
/// Each of them was sound by itself, so one was made wrong. The last one that no manifest vouches
/// for is the likeliest: whoever writes to the storage can add such a file. Else it is `way[at]`.
pub fn blame<'a>(
    way: &[&'a LtxFile],
    at: usize,
    expected: &HashMap<String, ObjectRef>,
) -> &'a LtxFile {
    let vouched = |file: &LtxFile| {
        file.objects.iter().all(|object| expected.contains_key(object.key.as_str()))
    };
    way[..=at].iter().copied().rfind(|file| !vouched(file)).unwrap_or(way[at])
}

/// Every point that the files lead to, oldest first. Where several files end at one transaction,
/// the time of the oldest.
pub fn points(files: &[LtxFile]) -> Vec<Point> {
    let mut names: Vec<&LtxName> = files.iter().map(|file| &file.name).collect();
    names.sort_unstable_by_key(|name| (name.max, name.time));
    let mut points: Vec<Point> = Vec::new();
    for ending in names.chunk_by(|one, other| one.max == other.max) {
        // All points so far are below this end, and the furthest is the best to go on from.
        let from = points.last().map(|point| point.txid);
        if ending.iter().any(|name| name.range().is_base() || continues(name, from)) {
            points.push(Point { time: ending[0].time, txid: ending[0].max });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lifeboat_ltx::Txid;
    use lifeboat_storage::Entry;

    use super::{blame, onward, plan, points};
    use crate::document::key;
    use crate::{LtxFile, LtxName, ObjectRef, Time};

    type Files = &'static [(u8, u64, u64)];

    fn file(&(level, min, max): &(u8, u64, u64)) -> LtxFile {
        let time = Time::from_millis(i64::try_from(max * 1000).unwrap());
        let txid = |number| Txid::new(number).unwrap();
        let key = key(format!("{level}/{min}-{max}")).unwrap();
        LtxFile {
            name: LtxName { level, min: txid(min), max: txid(max), time },
            objects: vec![Entry { key, size: 1, modified: SystemTime::UNIX_EPOCH }],
        }
    }

    #[test]
    fn the_furthest_file_is_taken() {
        let cases: &[(Files, u64, Result<Files, u64>)] = &[
            (&[(9, 1, 1)], 1, Ok(&[(9, 1, 1)])),
            (&[(9, 1, 1), (0, 2, 2), (0, 3, 3)], 3, Ok(&[(9, 1, 1), (0, 2, 2), (0, 3, 3)])),
            (&[(9, 1, 1), (0, 2, 2), (0, 3, 3), (1, 2, 3)], 3, Ok(&[(9, 1, 1), (1, 2, 3)])),
            (&[(9, 1, 1), (0, 2, 2), (1, 2, 3)], 2, Ok(&[(9, 1, 1), (0, 2, 2)])),
            (&[(9, 1, 1), (9, 1, 5), (0, 6, 6)], 6, Ok(&[(9, 1, 5), (0, 6, 6)])),
            (&[(9, 1, 1), (0, 3, 3)], 3, Err(1)),
            (&[(0, 2, 2)], 2, Err(0)),
            (&[(9, 1, 9)], 5, Err(0)),
            (&[(9, 1, 4), (1, 2, 6)], 6, Ok(&[(9, 1, 4), (1, 2, 6)])),
            (&[], 1, Err(0)),
        ];
        for (given, target, expected) in cases {
            let files: Vec<_> = given.iter().map(file).collect();
            let found = plan(&files, Txid::new(*target).unwrap());
            let found = found
                .map(|files| files.into_iter().cloned().collect::<Vec<_>>())
                .map_err(|reached| reached.map_or(0, Txid::get));
            let expected = expected.map(|files| files.iter().map(file).collect::<Vec<_>>());
            assert_eq!(found, expected, "{given:?} to {target}");
        }
    }

    /// What a restore does: each file that turns out to be damaged is left out of the next plan.
    #[test]
    fn damage_is_gone_around() {
        const FILES: Files =
            &[(9, 1, 1), (0, 2, 2), (0, 3, 3), (1, 2, 3), (9, 1, 3), (0, 4, 4), (8, 3, 4)];
        let cases: &[(Files, u64, Result<Files, u64>)] = &[
            (&[], 4, Ok(&[(9, 1, 3), (8, 3, 4)])),
            (&[(8, 3, 4)], 4, Ok(&[(9, 1, 3), (0, 4, 4)])),
            (&[(9, 1, 3)], 4, Ok(&[(9, 1, 1), (1, 2, 3), (8, 3, 4)])),
            (&[(9, 1, 3), (1, 2, 3)], 4, Ok(&[(9, 1, 1), (0, 2, 2), (8, 3, 4)])),
            (
                &[(9, 1, 3), (1, 2, 3), (8, 3, 4)],
                4,
                Ok(&[(9, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4)]),
            ),
            (&[(9, 1, 3), (9, 1, 1)], 4, Err(0)),
            (&[(0, 4, 4), (8, 3, 4)], 4, Err(3)),
            (&[(9, 1, 3), (0, 2, 2)], 2, Err(1)),
            (&[(9, 1, 1)], 1, Err(0)),
        ];
        for (damaged, target, expected) in cases {
            let sound = FILES.iter().filter(|one| !damaged.contains(one));
            let files: Vec<_> = sound.map(file).collect();
            let found = plan(&files, Txid::new(*target).unwrap());
            let found = found
                .map(|files| files.into_iter().cloned().collect::<Vec<_>>())
                .map_err(|reached| reached.map_or(0, Txid::get));
            let expected = expected.map(|files| files.iter().map(file).collect::<Vec<_>>());
            assert_eq!(found, expected, "to {target} without {damaged:?}");
        }
    }

    #[test]
    fn who_follows_reads_no_base_and_little_twice() {
        let cases: &[(Files, u64, Files)] = &[
            (&[], 1, &[]),
            (&[(9, 1, 1), (0, 2, 2), (0, 3, 3)], 1, &[(0, 2, 2), (0, 3, 3)]),
            (&[(9, 1, 1), (0, 2, 2), (0, 3, 3)], 3, &[]),
            (&[(9, 1, 3), (0, 2, 2), (0, 3, 3)], 2, &[(0, 3, 3)]),
            // Of two with one end, the smaller.
            (&[(0, 3, 3), (1, 2, 3), (2, 2, 3)], 2, &[(0, 3, 3)]),
            (&[(0, 2, 2), (0, 3, 3), (1, 2, 3), (0, 4, 4)], 1, &[(1, 2, 3), (0, 4, 4)]),
            // A gap is bridged by a higher level, also by one that begins earlier.
            (&[(0, 2, 2), (0, 4, 4), (1, 2, 4)], 2, &[(1, 2, 4)]),
            (&[(0, 3, 3), (0, 5, 5), (2, 2, 5), (0, 6, 6)], 2, &[(2, 2, 5), (0, 6, 6)]),
            // Or not at all.
            (&[(0, 3, 3), (0, 5, 5)], 2, &[(0, 3, 3)]),
            (&[(9, 1, 9), (0, 10, 10)], 2, &[]),
            (&[(0, 2, 2)], 9, &[]),
        ];
        for (given, from, expected) in cases {
            let files: Vec<_> = given.iter().map(file).collect();
            let found = onward(&files, Txid::new(*from).unwrap());
            let expected: Vec<_> = expected.iter().map(file).collect();
            assert_eq!(found, expected.iter().collect::<Vec<_>>(), "{given:?} from {from}");
        }
    }

    #[test]
    fn what_no_manifest_names_is_blamed_first() {
        let files: Vec<_> = [(9, 1, 1), (0, 2, 2), (0, 3, 3)].iter().map(file).collect();
        let way: Vec<&LtxFile> = files.iter().collect();
        let cases: &[(&[usize], usize, usize)] = &[
            (&[0, 1, 2], 2, 2),
            (&[0, 1, 2], 1, 1),
            (&[1, 2], 2, 0),
            (&[0, 1], 1, 1),
            (&[0, 2], 2, 1),
            (&[2], 2, 1),
            (&[], 2, 2),
            (&[0, 1], 0, 0),
        ];
        for (vouched, at, blamed) in cases {
            let expected = vouched.iter().map(|number| {
                let key = files[*number].objects[0].key.to_string();
                (key.clone(), ObjectRef { key, size: 1, sha256: String::new() })
            });
            let found = blame(&way, *at, &expected.collect());
            assert_eq!(found, &files[*blamed], "{vouched:?} at {at}");
        }
    }

    #[test]
    fn points_are_the_ends_that_can_be_reached() {
        let files: Vec<_> =
            [(9, 1, 2), (0, 3, 3), (0, 5, 5), (8, 3, 4), (0, 9, 9)].iter().map(file).collect();
        let found: Vec<_> = points(&files).iter().map(|point| point.txid.get()).collect();
        assert_eq!(found, [2, 3, 4, 5]);
    }
}
