//! Which files of a lineage are merged: a pure function of names.

use std::collections::{BTreeSet, HashMap};

use lifeboat_ltx::Txid;

use crate::ladder::Rung;
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
    let Some(start) = start(files, &promised(&points, wanted, ladder, now, false)) else {
        return Vec::new();
    };
    points.retain(|point| point.txid >= start);
    let mut chain = Chain::new(files);
    let mut merges = Vec::new();
    for (level, rung) in (0..).zip(ladder.rungs()).skip(1) {
        merges.extend(chain.merge(level, &windows(&points, wanted, rung, now)));
    }
    merges.extend(chain.merge(SPANS, &spans(&points, wanted, ladder, now)));
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
