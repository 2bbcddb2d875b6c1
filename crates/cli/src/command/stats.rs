//! `lifeboat stats`

use lifeboat::{Error, stats};
use serde_json::json;

use super::Session;
use crate::exit::Exit;
use crate::output::{self, size, table};

pub(super) fn run(session: &Session) -> Result<Exit, Error> {
    let opened = session.context.open_repository()?;
    let stats = stats(&opened)?;
    if session.global.json {
        let databases: Vec<_> = stats
            .databases
            .iter()
            .map(|database| {
                json!({
                    "host": database.host, "name": database.name, "backups": database.backups,
                    "size_bytes": database.size_bytes, "base_bytes": database.base_bytes,
                    "history_bytes": database.history_bytes, "objects": database.objects,
                })
            })
            .collect();
        output::json(&json!({
            "repository": opened.repository().location(),
            "backups": stats.backups, "objects": stats.objects,
            "stored_bytes": stats.stored_bytes, "restorable_bytes": stats.restorable_bytes,
            "databases": databases,
        }))?;
        return Ok(Exit::Ok);
    }
    output::line(&format!(
        "{} in {}: {} stored, {} restorable",
        size::count(stats.backups, "backup"),
        opened.repository().location(),
        size::bytes(stats.stored_bytes),
        size::bytes(stats.restorable_bytes),
    ))?;
    let mut rows = vec![
        ["HOST", "DATABASE", "BACKUPS", "SIZE", "BASES", "CHANGES", "OBJECTS"]
            .map(str::to_owned)
            .to_vec(),
    ];
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
    Ok(Exit::Ok)
}
