//! Which files of a lineage are merged: a pure function of names.

use std::collections::{BTreeSet, HashMap, HashSet};

use lifeboat_ltx::Txid;

use crate::ladder::Rung;
use crate::needed::unneeded;
use crate::plan::onward_names;
use crate::time::whole_millis;
use crate::{Ladder, LtxFile, LtxName, Point, Time, points, promised};

/// The level of merges between what backups hold.
const SPANS: u8 = 8;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Files that become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The name of what they become.
    pub name: LtxName,
    /// The files, oldest first. One that an earlier merge of the same plan makes has no objects yet.
    pub inputs: Vec<LtxFile>,
}

/// The merges that a lineage is due, in an order in which they can be done.
///
/// - For each rung but the first: the points of each window that is closed and that the rung still
///   keeps. A window is closed when a later point exists, or it ended half its length ago.
/// - Beyond the ladder: what lies between two transactions that are `wanted` (that backups hold).
///   After the last of these, what lies in one UTC day.
///
/// A group of points becomes the file from the point before it to its last one, unless one file
/// leads there already. It ends at each wanted transaction. Bases are no inputs: the chain goes on
/// beneath them, and begins at one only where nothing else leads. What has a gap is left as it is.
pub fn plan_merges(
    files: &[LtxFile],
    wanted: &BTreeSet<Txid>,
    ladder: &Ladder,
    now: Time,
) -> Vec<Merge> {
    let mut points = points(files);
    let reachable: BTreeSet<Txid> = points.iter().map(|point| point.txid).collect();
    let mut promised = promised(&points, wanted, ladder, now, false);
    promised.retain(|txid| reachable.contains(txid));
    let Some(start) = start(files, &promised) else { return Vec::new() };
    points.retain(|point| point.txid >= start);
    let mut chain = Chain::new(files);
    let mut merges = Vec::new();
    for (level, rung) in (0..).zip(ladder.rungs()).skip(1) {
        merges.extend(chain.merge(level, &windows(&points, wanted, rung, now)));
    }
    merges.extend(chain.merge(SPANS, &spans(&points, wanted, ladder, now)));
    useful(files, &promised, merges)
}

/// The merges that lead to something that is promised, and those that these take.
fn useful(files: &[LtxFile], promised: &BTreeSet<Txid>, mut merges: Vec<Merge>) -> Vec<Merge> {
    if merges.is_empty() {
        return merges;
    }
    // How large a merge will be is not known: at most as large as what it is made of, whose objects
    // stand for it here.
    let mut made: HashMap<LtxName, LtxFile> = HashMap::new();
    for Merge { name, inputs } in &merges {
        let inputs = inputs.iter().map(|input| made.get(&input.name).unwrap_or(input));
        let objects = inputs.flat_map(|input| &input.objects).cloned().collect();
        made.insert(*name, LtxFile { name: *name, objects });
    }
    let all: Vec<&LtxFile> = files.iter().chain(made.values()).collect();
    let Ok(unneeded) = unneeded(&all, promised) else { return merges };
    let mut useless: HashSet<LtxName> = unneeded.iter().map(|one| one.file.name).collect();
    merges = merges
        .into_iter()
        .rev()
        .filter(|merge| {
            let is_useful = !useless.contains(&merge.name);
            if is_useful {
                merge.inputs.iter().for_each(|input| _ = useless.remove(&input.name));
            }
            is_useful
        })
        .collect();
    merges.reverse();
    merges
}

/// Where the history that counts begins: at the newest base that is not past the first promised
/// transaction.
fn start(files: &[LtxFile], promised: &BTreeSet<Txid>) -> Option<Txid> {
    let bases = files.iter().map(|file| &file.name).filter(|name| name.range().is_base());
    let ends: BTreeSet<Txid> = bases.map(|name| name.max).collect();
    promised.iter().find_map(|first| ends.range(..=first).next_back().copied())
}

/// From one point to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Txid,
    to: Txid,
}

/// The points of each closed window of a rung.
fn windows(points: &[Point], wanted: &BTreeSet<Txid>, rung: &Rung, now: Time) -> Vec<Span> {
    let Some(newest) = points.last().and_then(|point| rung.window(point.time)) else {
        return Vec::new();
    };
    let half_ms = (rung.end_ms(0) - rung.end_ms(-1)) / 2;
    let closed = |window: i64| {
        let since_ms = now.millis().saturating_sub(rung.end_ms(window));
        since_ms >= 0 && (window < newest || since_ms >= half_ms)
    };
    let due = |window, point: &Point| closed(window) && rung.reaches(point.time, now);
    groups(points, wanted, |point| rung.window(point.time).unwrap_or_default(), due)
}

/// What lies beyond the ladder: between wanted points, and days after the last of them.
fn spans(points: &[Point], wanted: &BTreeSet<Txid>, ladder: &Ladder, now: Time) -> Vec<Span> {
    let Some(last_rung) = ladder.rungs().last() else { return Vec::new() };
    let old = points.iter().take_while(|point| !last_rung.reaches(point.time, now)).count();
    let held: Vec<usize> = (1..old).filter(|at| wanted.contains(&points[*at].txid)).collect();
    let mut spans = Vec::new();
    let mut from = 0;
    for to in held {
        spans.push(Span { from: points[from].txid, to: points[to].txid });
        from = to;
    }
    // A day that a backup follows soon becomes a part of the span to that one, once that is old.
    let next_wanted = points[from..].iter().skip(1).find(|point| wanted.contains(&point.txid));
    let horizon_ms = now.millis().saturating_sub(whole_millis(ladder.horizon()));
    let due = |day: i64, _: &Point| {
        let end_ms = (day + 1) * DAY_MS;
        let alone = next_wanted.is_none_or(|point| point.time.millis() >= end_ms + DAY_MS);
        end_ms <= horizon_ms && alone
    };
    let day = |point: &Point| point.time.millis().div_euclid(DAY_MS);
    spans.extend(groups(&points[from..old.max(from)], wanted, day, due));
    spans
}

/// Cuts points where their window changes and after each wanted one, from the second on: the first
/// is where the first group begins.
fn groups(
    points: &[Point],
    wanted: &BTreeSet<Txid>,
    window: impl Fn(&Point) -> i64,
    due: impl Fn(i64, &Point) -> bool,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let Some(mut from) = points.first().map(|point| point.txid) else { return spans };
    for (at, point) in points.iter().enumerate().skip(1) {
        let this = window(point);
        let next = points.get(at + 1).map(&window);
        if next != Some(this) || wanted.contains(&point.txid) {
            if due(this, point) {
                spans.push(Span { from, to: point.txid });
            }
            from = point.txid;
        }
    }
    spans
}

/// The files of a lineage, and those that merges will make.
struct Chain<'a> {
    files: HashMap<LtxName, &'a LtxFile>,
    /// In the order of their ends.
    names: Vec<LtxName>,
}

impl<'a> Chain<'a> {
    fn new(files: &'a [LtxFile]) -> Self {
        let mut names: Vec<LtxName> = files.iter().map(|file| file.name).collect();
        names.sort_unstable_by_key(|name| name.max);
        Self { files: files.iter().map(|file| (file.name, file)).collect(), names }
    }

    /// The merges for spans that do not overlap. Those after them can take what they make.
    fn merge(&mut self, level: u8, spans: &[Span]) -> Vec<Merge> {
        let merges: Vec<Merge> = spans.iter().filter_map(|span| self.fill(level, *span)).collect();
        self.names.extend(merges.iter().map(|merge| merge.name));
        self.names.sort_by_key(|name| name.max);
        merges
    }

    /// The merge for a span; `None` if one file fills it, or none do.
    fn fill(&self, level: u8, span: Span) -> Option<Merge> {
        let begin = self.names.partition_point(|name| name.max <= span.from);
        let end = self.names.partition_point(|name| name.max <= span.to);
        let within = &self.names[begin..end];
        let mut way = onward_names(within, span.from);
        if way.last().map(|name| name.max) != Some(span.to) {
            // A base was written where a capture is missing: what leads on begins there.
            let bases = within.iter().filter(|name| name.range().is_base());
            way = onward_names(within, bases.map(|name| name.max).max()?);
        }
        let (first, last) = (way.first()?, way.last()?);
        if last.max != span.to || way.len() == 1 {
            return None;
        }
        let name = LtxName { level, min: first.min, max: last.max, time: last.time };
        let file = |name: &LtxName| {
            let made = || LtxFile { name: *name, objects: Vec::new() };
            self.files.get(name).copied().cloned().unwrap_or_else(made)
        };
        Some(Merge { name, inputs: way.iter().map(file).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BTreeSet, Ladder, LtxFile, LtxName, Merge, plan_merges, points, promised, unneeded,
    };
    use crate::table::{files, seconds, show, show_name, txid, txids};

    fn ladder() -> Ladder {
        let rungs = ["all for 10s", "10s for 60s", "30s for 5m"].map(str::to_owned).to_vec();
        Ladder::try_from(rungs).unwrap()
    }

    fn show_merges(merges: &[Merge]) -> String {
        let show_merge =
            |merge: &Merge| format!("{} of {}", show_name(&merge.name), show(&merge.inputs));
        merges.iter().map(show_merge).collect::<Vec<_>>().join(", ")
    }

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn windows_are_merged_when_they_are_closed() {
        // Files, wanted transactions, the second; merges. Windows of 10 and of 30 seconds.
        let cases: &[(&str, &[u64], i64, &str)] = &[
            ("", &[], 100, ""),
            ("9:1-1@900", &[], 910, ""),
            // Closed by a later point, or by half its length.
            ("9:1-1@900 0:2-2@901 0:3-3@902", &[], 909, ""),
            ("9:1-1@900 0:2-2@901 0:3-3@902", &[], 914, ""),
            ("9:1-1@900 0:2-2@901 0:3-3@902", &[], 915, "1:2-3 of 0:2-2 0:3-3"),
            ("9:1-1@900 0:2-2@901 0:3-3@902 0:4-4@910", &[], 910, "1:2-3 of 0:2-2 0:3-3"),
            // The clock was set back: nothing is closed yet.
            ("9:1-1@900 0:2-2@901 0:3-3@902 0:4-4@910", &[], 905, ""),
            // A window with one file needs no copy of it; the next rung takes it as it is.
            ("9:1-1@900 0:2-2@901 0:3-3@911 0:4-4@931", &[], 931, "2:2-3 of 0:2-2 0:3-3"),
            // Level by level; what is made first is an input.
            (
                "9:1-1@900 0:2-2@901 0:3-3@902 0:4-4@911 0:5-5@912 0:6-6@930",
                &[],
                930,
                "1:2-3 of 0:2-2 0:3-3, 1:4-5 of 0:4-4 0:5-5, 2:2-5 of 1:2-3 1:4-5",
            ),
            // Once more: nothing. What is there is taken.
            (
                "9:1-1@900 0:2-2@901 0:3-3@902 1:2-3@902 0:4-4@911 0:5-5@912 0:6-6@930",
                &[],
                930,
                "1:4-5 of 0:4-4 0:5-5, 2:2-5 of 1:2-3 1:4-5",
            ),
            ("9:1-1@900 1:2-3@902 1:4-5@912 2:2-5@912 0:6-6@930", &[], 930, ""),
            // A late capture of a window that was merged.
            ("9:1-1@900 1:2-3@902 0:4-4@903 0:5-5@910", &[], 910, "1:2-4 of 1:2-3 0:4-4"),
            // Cut at what backups hold.
            (
                "9:1-1@900 0:2-2@901 0:3-3@902 0:4-4@903 0:5-5@904 0:6-6@910",
                &[3],
                910,
                "1:2-3 of 0:2-2 0:3-3, 1:4-5 of 0:4-4 0:5-5",
            ),
            ("9:1-1@900 0:2-2@901 0:3-3@902 0:4-4@910", &[2], 910, ""),
            // Too old for the first rung, young enough for the second.
            ("9:1-1@900 0:2-2@901 0:3-3@902 0:4-4@931", &[], 1000, "2:2-3 of 0:2-2 0:3-3"),
            // A gap is left alone, what is beside it is not.
            ("9:1-1@900 0:2-2@901 0:4-4@902 0:5-5@903 0:6-6@910", &[], 910, ""),
            // Overlaps: the furthest is taken, and one that begins earlier.
            ("9:1-1@900 0:2-2@901 0:2-3@902 0:3-4@903 0:5-5@910", &[], 910, "1:2-4 of 0:2-3 0:3-4"),
            ("9:1-1@900 0:2-2@895 0:2-3@902 0:4-4@903 0:5-5@910", &[], 910, "1:2-4 of 0:2-3 0:4-4"),
            // A base in between does not end a merge; where a capture is missing, it begins one.
            (
                "9:1-1@900 0:2-2@901 9:1-2@901 0:3-3@902 0:4-4@910",
                &[1],
                910,
                "1:2-3 of 0:2-2 0:3-3",
            ),
            (
                "9:1-1@900 9:1-2@901 0:3-3@902 0:4-4@903 0:5-5@910",
                &[1],
                910,
                "1:3-4 of 0:3-3 0:4-4",
            ),
            // Before the base at which what is promised begins nothing is merged.
            ("9:1-1@0 0:2-2@1 0:3-3@2 9:1-3@2 0:4-4@900", &[], 900, ""),
        ];
        for (text, wanted, now, expected) in cases {
            let merges = plan_merges(&files(text), &txids(wanted), &ladder(), seconds(*now));
            assert_eq!(show_merges(&merges), *expected, "{text} with {wanted:?} at {now}");
        }
    }

    #[test]
    fn beyond_the_ladder_backups_and_days_count() {
        let cases: &[(&str, &[u64], i64, &str)] = &[
            // Between backups one file, from the base on.
            (
                "9:1-1@0 0:2-2@1 0:3-3@2 0:4-4@3 0:5-5@4",
                &[3, 5],
                304,
                "2:4-5 of 0:4-4 0:5-5, 8:2-3 of 0:2-2 0:3-3",
            ),
            (
                "9:1-1@0 0:2-2@1 0:3-3@2 0:4-4@3 0:5-5@4",
                &[3, 5],
                305,
                "8:2-3 of 0:2-2 0:3-3, 8:4-5 of 0:4-4 0:5-5",
            ),
            // A backup that was forgotten: two spans become one.
            ("9:1-1@0 8:2-3@2 8:4-5@4", &[5], 305, "8:2-5 of 8:2-3 8:4-5"),
            ("9:1-1@0 8:2-5@4", &[5], 305, ""),
            // The same beneath a base, and from a base where a capture is missing.
            ("9:1-1@0 8:2-3@2 9:1-3@2 8:4-5@4", &[1, 5], 305, "8:2-5 of 8:2-3 8:4-5"),
            ("9:1-1@0 9:1-3@2 0:4-4@3 8:5-5@4", &[1, 5], 305, "8:4-5 of 0:4-4 8:5-5"),
        ];
        for (text, wanted, now, expected) in cases {
            let merges = plan_merges(&files(text), &txids(wanted), &ladder(), seconds(*now));
            assert_eq!(show_merges(&merges), *expected, "{text} with {wanted:?} at {now}");
        }
        // A capture every six hours: of days 1, 2, … the transactions 1 to 4, 5 to 8, …
        let mut text = format!("9:1-1@{DAY}");
        for number in 2..=40 {
            text += &format!(" 0:{number}-{number}@{}", DAY + (number - 1) * 6 * 3600);
        }
        let days = |wanted: &[u64], now: i64| {
            // The base is promised, so that history begins there.
            let wanted = txids(&[wanted, &[1]].concat());
            let merges = plan_merges(&files(&text), &wanted, &ladder(), seconds(now));
            merges.iter().map(|merge| show_name(&merge.name)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(days(&[], 3 * DAY + 299), "8:2-4");
        assert_eq!(days(&[], 3 * DAY + 301), "8:2-4 8:5-8");
        assert_eq!(days(&[], 5 * DAY + 301), "8:2-4 8:5-8 8:9-12 8:13-16");
        // Up to a backup that is old it is one span; then days.
        assert_eq!(days(&[6], 5 * DAY + 301), "8:2-6 8:7-8 8:9-12 8:13-16");
        // A day that a backup follows within another day waits for that one to get old.
        assert_eq!(days(&[20, 30], 5 * DAY + 301), "8:2-4 8:5-8 8:9-12");
        assert_eq!(days(&[20, 30], 6 * DAY), "8:2-20");
    }

    /// A day and a half of captures every second, none merged: what is due and what is needed must not
    /// take time by the square of it.
    #[test]
    fn long_histories_are_planned_at_once() {
        let mut history = files("9:1-1@0");
        for number in 2..120_000_u64 {
            let name = LtxName { min: txid(number), max: txid(number), ..history[0].name };
            let name = LtxName { level: 0, time: seconds(number.cast_signed()), ..name };
            history.push(LtxFile { name, objects: history[0].objects.clone() });
        }
        let (now, ladder) = (seconds(120_000), Ladder::default());
        let begun = std::time::Instant::now();
        let merges = plan_merges(&history, &txids(&[1, 5000]), &ladder, now);
        assert!(merges.len() > 3000, "{}", merges.len());
        let made = merges.iter().map(|merge| LtxFile { name: merge.name, objects: Vec::new() });
        history.extend(made.collect::<Vec<_>>());
        let promised = promised(&points(&history), &txids(&[1, 5000]), &ladder, now, false);
        let all: Vec<&LtxFile> = history.iter().collect();
        let needed = history.len() - unneeded(&all, &promised).unwrap().len();
        assert!(needed < 8000, "{needed}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    /// Whatever was merged and then removed: nothing is promised in vain, and nothing more is due.
    #[test]
    fn merging_comes_to_an_end() {
        let mut history: Vec<LtxFile> = files("9:1-1@0");
        for number in 2..900_u64 {
            history.extend(files(&format!("0:{number}-{number}@{}", number * 3 / 2)));
        }
        let wanted = txids(&[7, 80, 81, 400]);
        for now in [0, 500, 1000, 1350, 1400, 2000, 200_000] {
            let now = seconds(now);
            let promised = promised(&crate::points(&history), &wanted, &ladder(), now, false);
            for merge in plan_merges(&history, &wanted, &ladder(), now) {
                history.extend(files(&format!(
                    "{}@{}",
                    show_name(&merge.name),
                    merge.name.time.millis() / 1000
                )));
            }
            assert_eq!(show_merges(&plan_merges(&history, &wanted, &ladder(), now)), "");
            let needed: BTreeSet<LtxName> = promised
                .iter()
                .flat_map(|target| crate::plan(&history, *target).unwrap())
                .map(|file| file.name)
                .collect();
            history.retain(|file| needed.contains(&file.name));
            assert_eq!(show_merges(&plan_merges(&history, &wanted, &ladder(), now)), "");
        }
        assert_eq!(show(&history), "9:1-1 0:81-81 8:2-7 8:8-80 8:82-400 8:401-899");
    }
}
