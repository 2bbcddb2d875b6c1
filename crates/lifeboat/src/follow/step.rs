//! What a standby does next: decided from names alone.

use lifeboat_ltx::Txid;
use lifeboat_repository::{LtxFile, Point, onward, points};

/// The next step of a standby.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It holds what there is.
    Nothing,
    /// These files lead on, in this order.
    Onward(Vec<LtxFile>),
    /// Only the way from a base leads to what is newest.
    Anew(Point),
    /// There is more, but no way to it.
    Stuck(String),
}

/// The next step of a standby that holds transaction `from` of a lineage. `files` are those that can be
/// used; `last` is the highest transaction of all.
pub(super) fn step(files: &[LtxFile], last: Option<Txid>, from: Option<Txid>) -> Step {
    let newest = points(files).pop();
    let anew = |otherwise: String| newest.map_or(Step::Stuck(otherwise), Step::Anew);
    let Some(from) = from else { return anew("no file leads to a database".to_owned()) };
    if last < Some(from) {
        // It holds what does not count any more: a lease has closed the lineage, or the repository
        // was set back.
        return anew(format!("the repository holds less than transaction {from}"));
    }
    let way: Vec<LtxFile> = onward(files, from).into_iter().cloned().collect();
    let reached = way.last().map_or(from, |file| file.name.max);
    match newest {
        Some(newest) if newest.txid > reached => Step::Anew(newest),
        _ if !way.is_empty() => Step::Onward(way),
        _ => match last {
            Some(last) if last > from => Step::Stuck(format!(
                "no sound file leads on from {from}, there is more up to {last}"
            )),
            _ => Step::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lifeboat_ltx::Txid;
    use lifeboat_repository::{LtxFile, LtxName, Time};
    use lifeboat_storage::Entry;

    use super::{Step, step};

    fn file(&(level, min, max): &(u8, u64, u64)) -> LtxFile {
        let txid = |number| Txid::new(number).expect("not zero");
        let name = LtxName { level, min: txid(min), max: txid(max), time: Time::from_millis(0) };
        let key = format!("{level}/{min}-{max}").parse().expect("a key");
        LtxFile { name, objects: vec![Entry { key, size: 1, modified: SystemTime::UNIX_EPOCH }] }
    }

    #[test]
    fn the_next_step() {
        type Case = (&'static [(u8, u64, u64)], &'static [(u8, u64, u64)], u64, &'static str);
        const FILES: &[(u8, u64, u64)] = &[(9, 1, 1), (0, 2, 2), (0, 3, 3), (1, 2, 3)];
        // Files, those of them that are damaged, what the standby holds.
        let cases: &[Case] = &[
            (&[], &[], 0, "stuck"),
            (FILES, &[], 0, "anew 3"),
            (FILES, &[], 1, "1/2-3"),
            (FILES, &[], 2, "0/3-3"),
            (FILES, &[], 3, "nothing"),
            (FILES, &[], 4, "anew 3"),
            (&[], &[], 4, "stuck"),
            (FILES, &[(1, 2, 3)], 1, "0/2-2 0/3-3"),
            (FILES, &[(1, 2, 3), (0, 3, 3)], 2, "stuck"),
            (FILES, &[(1, 2, 3), (0, 3, 3)], 1, "0/2-2"),
            // A base bridges a gap, but is not read for what deltas bring.
            (&[(9, 1, 1), (9, 1, 5), (0, 6, 6)], &[], 2, "anew 6"),
            (&[(9, 1, 1), (9, 1, 3), (0, 3, 3)], &[], 2, "0/3-3"),
            (&[(9, 1, 1), (9, 1, 5)], &[], 5, "nothing"),
            // Without any base at all, what continues is still good.
            (&[(0, 3, 3)], &[], 2, "0/3-3"),
            (&[(0, 4, 4)], &[], 2, "stuck"),
        ];
        for (files, damaged, from, expected) in cases {
            let all: Vec<_> = files.iter().map(file).collect();
            let last = all.iter().map(|file| file.name.max).max();
            let sound = files.iter().filter(|one| !damaged.contains(one));
            let sound: Vec<_> = sound.map(file).collect();
            let found = match step(&sound, last, Txid::new(*from)) {
                Step::Nothing => "nothing".to_owned(),
                Step::Stuck(_) => "stuck".to_owned(),
                Step::Anew(point) => format!("anew {}", point.txid.get()),
                Step::Onward(way) => {
                    let keys: Vec<_> = way.iter().map(|file| file.first_key().as_str()).collect();
                    keys.join(" ")
                }
            };
            assert_eq!(found, *expected, "{files:?} without {damaged:?} from {from}");
        }
    }
}
