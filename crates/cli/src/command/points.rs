//! `lifeboat points`

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use lifeboat::{
    BackupId, DatabasePoints, Error, LineagePoints, Point, PointRange, PointsRequest, Time, Txid,
    points, ranges,
};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::PointsArguments;
use crate::exit::Exit;
use crate::output::timeline::{Marks, Timeline};
use crate::output::{self, size, table, terminal};

/// How many ranges of a lineage are shown without `--all`.
const RANGES: usize = 12;

pub(super) fn run(session: &Session, arguments: &PointsArguments) -> Result<Exit, Error> {
    let opened = session.open_repository()?;
    let request = PointsRequest {
        source: arguments.source.clone(),
        host: arguments.host.clone(),
        lineage: arguments.lineage.clone(),
    };
    let databases = points(&opened, &request)?;
    let damaged = databases
        .iter()
        .any(|database| database.lineages.iter().any(|lineage| lineage.unreachable.is_some()));
    if session.global.json {
        let documents = databases.iter().map(|database| document(database, arguments.all));
        output::json(&Value::Array(documents.collect()))?;
    } else {
        let (zone, now) = (TimeZone::system(), Time::now());
        let marks = if terminal::is_utf8() { Marks::UNICODE } else { Marks::ASCII };
        for (number, database) in databases.iter().enumerate() {
            if number > 0 {
                output::line("")?;
            }
            let table = lines(database, arguments.all, &zone);
            let timeline = timeline(database, now, terminal::width(), marks, &zone);
            table.iter().chain(&timeline).try_for_each(|line| output::line(line))?;
        }
    }
    Ok(if damaged { Exit::Failed } else { Exit::Ok })
}

fn lines(database: &DatabasePoints, all: bool, zone: &TimeZone) -> Vec<String> {
    let mut lines = vec![format!("{} on {}", database.name, database.host)];
    for lineage in &database.lineages {
        lines.extend(lines_of_lineage(lineage, all, zone));
    }
    if database.lineages.is_empty() {
        lines.push("no points".to_owned());
    }
    lines
}

fn lines_of_lineage(lineage: &LineagePoints, all: bool, zone: &TimeZone) -> Vec<String> {
    let count = size::count(lineage.points.len() as u64, "point");
    let closed = if lineage.closed { ", closed: another host took over" } else { "" };
    let mut lines = vec![format!("lineage {}: {count}{closed}", lineage.id)];
    if let Some(end) = lineage.unreachable {
        lines.push(format!(
            "warning: what leads to transaction {} of {} is missing",
            short(end.txid),
            exact(end.time, zone)
        ));
    }
    let mut found = ranges(&lineage.points);
    let shown = if all { found.len() } else { found.len().min(RANGES) };
    let older = found.len() - shown;
    let hidden: Vec<PointRange> = found.drain(..older).collect();
    if !found.is_empty() {
        let mut rows = vec![table::heading(["FROM", "TO", "POINTS", "GAP", "TXID", "BACKUPS"])];
        rows.extend(found.iter().rev().map(|range| row(range, lineage, zone)));
        lines.extend(table::columns(&rows));
    }
    if let Some(oldest) = hidden.first() {
        let points: usize = hidden.iter().map(|range| range.count).sum();
        lines.push(format!(
            "and {} from {} on: {} (--all shows them)",
            size::count(hidden.len() as u64, "range"),
            exact(oldest.from.time, zone),
            size::count(points as u64, "point")
        ));
    }
    lines
}

fn row(range: &PointRange, lineage: &LineagePoints, zone: &TimeZone) -> Vec<String> {
    let PointRange { from, to, count, largest_gap_ms } = *range;
    let several = count > 1;
    let when_several = |text: String| if several { text } else { String::new() };
    let txids = format!("{}{}", short(from.txid), when_several(format!("-{}", short(to.txid))));
    vec![
        exact(from.time, zone),
        when_several(without_common(&exact(from.time, zone), &exact(to.time, zone))),
        size::number(count as u64),
        when_several(gap(largest_gap_ms)),
        txids,
        backups(lineage, from.txid, to.txid),
    ]
}

/// The backup that keeps a point of a range; of several, the newest and how many more.
fn backups(lineage: &LineagePoints, from: Txid, to: Txid) -> String {
    let mut within = lineage.pins.iter().filter(|(txid, _)| (from..=to).contains(txid)).rev();
    let Some((_, newest)) = within.next() else { return String::new() };
    match within.count() {
        0 => newest.short(),
        more => format!("{} +{}", newest.short(), size::number(more as u64)),
    }
}

/// A transaction number without leading zeros, as `--txid` takes it.
fn short(txid: Txid) -> String {
    format!("{:x}", txid.get())
}

/// A local time to the millisecond: `--at` takes it for this very point.
pub(crate) fn exact(time: Time, zone: &TimeZone) -> String {
    time.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// The end of a range without the day, or the year, that it has in common with the beginning.
fn without_common(from: &str, to: &str) -> String {
    const DAY: usize = "2026-11-21 ".len();
    const YEAR: usize = "2026-".len();
    let common = [DAY, YEAR].into_iter().find(|length| from.get(..*length) == to.get(..*length));
    to[common.unwrap_or(0)..].to_owned()
}

/// `350 ms`, `5 s`, `10 min`
fn gap(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{} s", millis.div_ceil(1_000)),
        _ => format!("{} min", millis.div_ceil(60_000)),
    }
}

/// All lineages as one: what matters is how far back one can go.
fn timeline(
    database: &DatabasePoints,
    now: Time,
    width: usize,
    marks: Marks,
    zone: &TimeZone,
) -> Vec<String> {
    let mut timeline = Timeline::default();
    for lineage in &database.lineages {
        let pinned: HashSet<Txid> = lineage.pins.iter().map(|(txid, _)| *txid).collect();
        for point in &lineage.points {
            timeline.add(point.time, pinned.contains(&point.txid));
        }
    }
    let mut lines = timeline.draw(now, width, marks, zone);
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn document(database: &DatabasePoints, all: bool) -> Value {
    let lineages = database.lineages.iter().map(|lineage| lineage_document(lineage, all));
    json!({
        "host": database.host,
        "database": database.name,
        "lineages": lineages.collect::<Value>(),
    })
}

fn lineage_document(lineage: &LineagePoints, all: bool) -> Value {
    let ranges = ranges(&lineage.points);
    let ranges = ranges.iter().rev().map(|range| {
        json!({
            "from": point(range.from),
            "to": point(range.to),
            "count": range.count,
            "largest_gap_ms": range.largest_gap_ms,
        })
    });
    let mut document = json!({
        "lineage": lineage.id,
        "closed": lineage.closed,
        "count": lineage.points.len(),
        "first": lineage.points.first().copied().map(point),
        "last": lineage.points.last().copied().map(point),
        "unreachable": lineage.unreachable.map(point),
        "ranges": ranges.collect::<Value>(),
        "backups": pins(lineage),
    });
    if all {
        document["points"] = lineage.points.iter().rev().copied().map(point).collect();
    }
    document
}

/// The points that backups keep, newest first.
fn pins(lineage: &LineagePoints) -> Value {
    let mut ids: HashMap<Txid, Vec<BackupId>> = HashMap::new();
    for (txid, backup) in &lineage.pins {
        ids.entry(*txid).or_default().push(*backup);
    }
    let kept = lineage.points.iter().rev().filter_map(|one| {
        let ids = ids.get(&one.txid)?;
        let mut document = point(*one);
        document["backup_ids"] = json!(ids);
        Some(document)
    });
    kept.collect()
}

fn point(point: Point) -> Value {
    json!({ "txid": point.txid.to_string(), "time": point.time })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use lifeboat::{DatabasePoints, LineagePoints, Point, Time, Txid};

    use super::{gap, lines, timeline, without_common};
    use crate::output::timeline::Marks;

    const NOW: i64 = 1_795_271_405_123; // 2026-11-21 14:30:05.123 UTC

    /// Points so many seconds before now.
    fn lineage(
        id: &str,
        seconds_ago: impl Iterator<Item = i64>,
        pins: &[(u64, &str)],
    ) -> LineagePoints {
        let point = |(number, ago): (u64, i64)| Point {
            time: Time::from_millis(NOW - ago * 1000),
            txid: Txid::new(number).unwrap(),
        };
        let pin = |(txid, id): &(u64, &str)| (Txid::new(*txid).unwrap(), id.parse().unwrap());
        LineagePoints {
            id: id.parse().unwrap(),
            points: (1..).zip(seconds_ago).map(point).collect(),
            pins: pins.iter().map(pin).collect(),
            closed: false,
            unreachable: None,
        }
    }

    /// Backups of a month, a week of a point each five minutes, a day of one each thirty seconds and
    /// an hour of one a second; before that another lineage with two backups.
    fn database() -> DatabasePoints {
        let backups = (8..30).rev().map(|day| day * 86_400);
        let week = (289..2016).rev().map(|number| number * 300);
        let day = (121..2880).rev().map(|number| number * 30);
        let hour = (0..3600).rev();
        let points = backups.chain(week).chain(day).chain(hour);
        let pins: Vec<_> = (1..=22).map(|txid| (txid, "4f5a6b7c00000000")).collect();
        let pins =
            [pins.as_slice(), &[(5000, "77aa0000bb000000"), (8000, "2aa01b3c00000000")]].concat();
        let mut newest = lineage("3f9a0c5be1d24776", points, &pins);
        newest.unreachable =
            Some(Point { time: Time::from_millis(NOW), txid: Txid::new(0x3000).unwrap() });
        let old = [100, 95].map(|day| day * 86_400).into_iter();
        let mut old = lineage("0123456789abcdef", old, &[(2, "1100000000000000")]);
        old.closed = true;
        DatabasePoints { host: "pi".into(), name: "app".into(), lineages: vec![newest, old] }
    }

    fn text(lines: &[String]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn a_table_as_people_see_it() {
        let lines = lines(&database(), false, &TimeZone::UTC);
        assert_eq!(text(&lines), include_str!("points/table.txt"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    }

    #[test]
    fn a_timeline_as_people_see_it() {
        let now = Time::from_millis(NOW);
        let drawn = |width, marks| {
            let lines = timeline(&database(), now, width, marks, &TimeZone::UTC);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
            text(&lines)
        };
        assert_eq!(drawn(80, Marks::UNICODE), include_str!("points/timeline.txt"));
        assert_eq!(drawn(60, Marks::ASCII), include_str!("points/timeline-ascii.txt"));
    }

    #[test]
    fn what_ends_of_ranges_have_in_common_is_said_once() {
        let from = "2026-11-20 13:00:00.000";
        for (to, short) in [
            ("2026-11-20 14:00:00.000", "14:00:00.000"),
            ("2026-11-21 13:00:00.000", "11-21 13:00:00.000"),
            ("2027-11-20 13:00:00.000", "2027-11-20 13:00:00.000"),
        ] {
            assert_eq!(without_common(from, to), short);
        }
    }

    #[test]
    fn gaps_are_not_understated() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (1_001, "2 s"),
            (119_999, "120 s"),
            (299_001, "5 min"),
            (300_001, "6 min"),
        ] {
            assert_eq!(gap(millis), text);
        }
    }
}
