//! `lifeboat ls`

use lifeboat::{DatabaseSource, Error, Selection, Source, select};
use serde_json::json;

use super::Session;
use super::backups::local;
use crate::arguments::LsArguments;
use crate::exit::Exit;
use crate::output::{self, size, table};

pub(super) fn run(session: &Session, arguments: &LsArguments) -> Result<Exit, Error> {
    let opened = session.context.open_repository()?;
    let selection = Selection {
        backup: Some(arguments.backup.clone()),
        host: arguments.host.clone(),
        source: None,
    };
    let (_, manifest) = select(&opened, &selection)?;
    if session.global.json {
        output::json(&json!(manifest))?;
        return Ok(Exit::Ok);
    }
    let label = manifest.label.as_ref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    output::line(&format!(
        "backup {}{label} of {} on {}",
        manifest.id.short(),
        manifest.host,
        local(manifest.started)
    ))?;
    for source in &manifest.sources {
        match source {
            Source::Database(database) => show(database)?,
            Source::Unknown => output::line("  a source that a newer version of Lifeboat wrote")?,
        }
    }
    for problem in &manifest.problems {
        output::line(&format!("  missing: {}: {}", problem.source, problem.error))?;
    }
    Ok(Exit::Ok)
}

fn show(database: &DatabaseSource) -> Result<(), Error> {
    output::line(&format!(
        "  {}  {}  {}, {} pages of {}, {} mode",
        database.name,
        database.path,
        size::bytes(database.size_bytes),
        size::number(u64::from(database.page_count)),
        size::bytes(u64::from(database.page_size)),
        database.journal_mode,
    ))?;
    output::line(&format!(
        "    transaction {} of lineage {}, {}",
        database.txid,
        database.lineage,
        local(database.time)
    ))?;
    let rows: Vec<Vec<String>> = database
        .tables
        .iter()
        .map(|(name, rows)| {
            let rows =
                rows.map_or_else(|| "not counted".to_owned(), |rows| size::count(rows, "row"));
            vec![name.clone(), rows]
        })
        .collect();
    table::columns(&rows).iter().try_for_each(|line| output::line(&format!("    {line}")))
}
