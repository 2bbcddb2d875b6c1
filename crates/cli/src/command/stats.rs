//! `lifeboat stats`

use lifeboat::{
    DatabaseStats, Error, FORECAST_DAYS, FilesStats, FilesUsage, Forecast, Ladder, OpenRepository,
    Stats, stats,
};
use serde_json::{Value, json};

use super::Session;
use crate::exit::Exit;
use crate::output::{self, size, table};

/// How wide the words about a database are beside their headings.
const WIDTH: usize = 66;

pub(super) fn run(session: &Session) -> Result<Exit, Error> {
    session.each_repository(|opened| {
        let stats = stats(opened)?;
        if session.global.json {
            output::json(&document(opened, &stats))?;
        } else {
            show(opened, &stats)?;
        }
        Ok(Exit::Ok)
    })
}

fn show(opened: &OpenRepository<'_>, stats: &Stats) -> Result<(), Error> {
    output::line(&format!(
        "{} in {}: {} stored, {} restorable",
        size::count(stats.backups, "backup"),
        opened.repository().location(),
        size::bytes(stats.stored_bytes),
        size::bytes(stats.restorable_bytes),
    ))?;
    if stats.waiting_bytes > 0 {
        let waiting = size::bytes(stats.waiting_bytes);
        output::line(&format!("{waiting} of it nothing needs: prunes will remove it"))?;
    }
    let mut rows = vec![table::heading([
        "HOST", "DATABASE", "BACKUPS", "SIZE", "BASES", "CHANGES", "OBJECTS",
    ])];
    rows.extend(stats.databases.iter().map(|database| {
        vec![
            database.host.clone(),
            database.name.clone(),
            size::number(database.backups),
            size::bytes(database.size_bytes),
            size::bytes(database.base_bytes),
            size::bytes(database.history_bytes),
            size::number(database.objects),
        ]
    }));
    if rows.len() > 1 {
        table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
    }
    if let Some(files) = &stats.files {
        show_files(files)?;
    }
    for database in &stats.databases {
        output::line(&format!("\n{} on {}", database.name, database.host))?;
        for (heading, text) in words(database) {
            for (number, line) in table::wrap(&text, WIDTH).iter().enumerate() {
                let heading = if number == 0 { heading } else { "" };
                output::line(&format!("  {heading:<9} {line}"))?;
            }
        }
    }
    let several = stats.databases.len() > 1 || stats.files.is_some();
    if let Some(forecast) = stats.forecast.filter(|_| several) {
        output::line(&format!("\nall together: {}", foretold(forecast)))?;
    }
    Ok(())
}

/// What is said of files, command output and devices.
fn show_files(files: &FilesStats) -> Result<(), Error> {
    let mut rows = vec![table::heading([
        "HOST",
        "FILES",
        "BACKUPS",
        "SIZE",
        "ADDED",
        "A DAY (7)",
        "A DAY (30)",
    ])];
    let growth = |bytes: Option<i64>| bytes.map_or_else(|| "-".to_owned(), signed);
    rows.extend(files.sources.iter().map(|source| {
        vec![
            source.host.clone(),
            source.name.clone(),
            size::number(source.backups),
            size::bytes(source.size_bytes),
            size::bytes(source.stored_bytes),
            growth(source.growth_week),
            growth(source.growth_month),
        ]
    }));
    table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
    let FilesUsage { bytes, packs, snapshots, .. } = files.usage;
    let waiting = files.waiting_bytes.filter(|bytes| *bytes > 0);
    let waiting = waiting.map(|bytes| format!(", {} that no snapshot needs", size::bytes(bytes)));
    output::line(&format!(
        "files: {} in {} of {}{}",
        size::bytes(bytes),
        size::count(packs, "pack"),
        size::count(snapshots, "snapshot"),
        waiting.unwrap_or_default(),
    ))
}

/// What is said of a database, by headings.
fn words(database: &DatabaseStats) -> Vec<(&'static str, String)> {
    let mut words = vec![("growth", grown(database)), ("history", history(database))];
    if database.waiting_bytes > 0 {
        words
            .push(("to go", format!("{} that nothing needs", size::bytes(database.waiting_bytes))));
    }
    let unknown = || "not enough history".to_owned();
    words.push(("forecast", database.forecast.map_or_else(unknown, foretold)));
    words
}

fn grown(database: &DatabaseStats) -> String {
    let (week, month) = (database.growth_week, database.growth_month);
    let (Some(week), Some(month)) = (week, month) else {
        return "not enough history: no backups a day apart".to_owned();
    };
    let changes = database
        .change_bytes
        .map(|bytes| format!("; changes of {} a day are stored", size::bytes(bytes)));
    let (week, month) = (signed(week), signed(month));
    let changes = changes.unwrap_or_default();
    format!("{week} a day in the last 7 days, {month} in the last 30{changes}")
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "+" };
    format!("{sign}{}", size::bytes(bytes.unsigned_abs()))
}

/// What the history costs, by the rungs of the ladder.
fn history(database: &DatabaseStats) -> String {
    let mut parts: Vec<String> = database
        .level_bytes
        .iter()
        .map(|(level, bytes)| {
            format!("{} {}", label(*level, &database.ladder), size::bytes(*bytes))
        })
        .collect();
    parts.push(format!("bases {}", size::bytes(database.base_bytes)));
    parts.join(", ")
}

/// What the files of a level are for.
fn label(level: u8, ladder: &Ladder) -> String {
    match (level, ladder.rungs().get(usize::from(level))) {
        (0, _) => "captures".to_owned(),
        (8, _) => "spans between backups".to_owned(),
        (_, Some(rung)) => format!("rung \"{rung}\""),
        (level, None) => format!("level {level}"),
    }
}

fn foretold(forecast: Forecast) -> String {
    let ahead = forecast.iter().zip(FORECAST_DAYS).map(|((low, high), days)| {
        format!("{} to {} in {days} days", size::bytes(*low), size::bytes(*high))
    });
    format!("{}, if `forget` and `prune` run", ahead.collect::<Vec<_>>().join(", "))
}

fn document(opened: &OpenRepository<'_>, stats: &Stats) -> Value {
    let databases: Vec<_> = stats
        .databases
        .iter()
        .map(|database| {
            json!({
                "host": database.host, "name": database.name, "backups": database.backups,
                "size_bytes": database.size_bytes, "base_bytes": database.base_bytes,
                "history_bytes": database.history_bytes, "objects": database.objects,
                "level_bytes": database.level_bytes, "waiting_bytes": database.waiting_bytes,
                "growth_bytes_per_day": { "7": database.growth_week, "30": database.growth_month },
                "change_bytes_per_day": database.change_bytes,
                "points": database.ladder,
                "forecast": database.forecast.map(document_of_forecast),
            })
        })
        .collect();
    json!({
        "repository": opened.repository().location(),
        "backups": stats.backups, "objects": stats.objects,
        "stored_bytes": stats.stored_bytes, "restorable_bytes": stats.restorable_bytes,
        "waiting_bytes": stats.waiting_bytes,
        "forecast": stats.forecast.map(document_of_forecast),
        "databases": databases,
        "files": stats.files.as_ref().map(document_of_files),
    })
}

fn document_of_forecast(forecast: Forecast) -> Value {
    let ahead = forecast.iter().zip(FORECAST_DAYS);
    let ahead = ahead.map(
        |((low, high), days)| json!({ "days": days, "at_least_bytes": low, "at_most_bytes": high }),
    );
    ahead.collect()
}

fn document_of_files(files: &FilesStats) -> Value {
    let sources: Vec<_> = files
        .sources
        .iter()
        .map(|source| {
            json!({
                "host": source.host, "name": source.name, "backups": source.backups,
                "size_bytes": source.size_bytes, "stored_bytes": source.stored_bytes,
                "growth_bytes_per_day": { "7": source.growth_week, "30": source.growth_month },
            })
        })
        .collect();
    let usage = files.usage;
    json!({
        "stored_bytes": usage.bytes, "packs": usage.packs, "pack_bytes": usage.pack_bytes,
        "index_bytes": usage.index_bytes, "snapshots": usage.snapshots,
        "waiting_bytes": files.waiting_bytes, "stored_bytes_per_day": files.stored_per_day,
        "sources": sources,
    })
}
