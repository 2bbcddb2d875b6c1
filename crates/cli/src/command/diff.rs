//! `lifeboat diff`

use lifeboat::{
    DatabaseDifference, DiffItem, DiffReport, DiffRequest, Difference, Error, Selection, Source,
    diff, escape,
};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::DiffArguments;
use crate::exit::Exit;
use crate::output::{self, size};

pub(super) fn run(session: &Session, arguments: &DiffArguments) -> Result<Exit, Error> {
    let opened = session.open_repository()?;
    super::backup::interruptible(&session.context, session.global.json)?;
    let selection = |backup: &String| Selection {
        backup: Some(backup.clone()),
        host: arguments.host.clone(),
        source: None,
    };
    let directory = session.context.environment().working_directory();
    let request = DiffRequest {
        from: selection(&arguments.from),
        to: selection(&arguments.to),
        source: arguments.source.clone(),
        path: arguments.path.as_ref().map(|path| directory.join(path)),
        no_lock: arguments.lock.no_lock,
    };
    let mut tell = |item: &DiffItem<'_>| {
        if session.global.json { output::json(&document(item)) } else { show(item) }
    };
    let (from, to, report) = diff(&opened, &request, &mut tell, &session.progress)?;
    super::ls::tell_problems(&report.problems);
    if session.global.json {
        let mut summary = summary(&report);
        summary["from"] = json!(from.id);
        summary["to"] = json!(to.id);
        output::json(&summary)?;
    } else {
        session.say(&sentence(&report))?;
    }
    Ok(if report.problems.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn show(item: &DiffItem<'_>) -> Result<(), Error> {
    match item {
        DiffItem::SourceAdded(source) => output::line(&format!("+ source {}", name(source))),
        DiffItem::SourceRemoved(source) => output::line(&format!("- source {}", name(source))),
        DiffItem::SourceModified(source) => output::line(&format!("M source {}", name(source))),
        DiffItem::Entry { difference, .. } => {
            output::line(&format!("{} {}", difference.change.letter(), path(difference)))
        }
        DiffItem::Database(database) => show_database(database),
    }
}

fn name(source: &Source) -> &str {
    source.name().map_or("", String::as_str)
}

/// Directories end with a slash.
fn path(difference: &Difference) -> String {
    let slash = if difference.directory { "/" } else { "" };
    format!("{}{slash}", escape(difference.path.as_os_str()))
}

fn show_database(database: &DatabaseDifference) -> Result<(), Error> {
    let lineage = if database.same_lineage { "" } else { ", of another lineage" };
    output::line(&format!(
        "M database {}: transaction {} to {}{lineage}, {} to {}",
        database.name,
        database.from,
        database.to,
        size::bytes(database.size_bytes.0),
        size::bytes(database.size_bytes.1),
    ))?;
    for (table, rows) in &database.tables {
        output::line(&format!("    {table}  {}", rows_changed(*rows)))?;
    }
    Ok(())
}

fn rows_changed(rows: (Option<u64>, Option<u64>)) -> String {
    match rows {
        (Some(from), Some(to)) if to >= from => {
            format!("+{} ({})", size::number(to - from), size::count(to, "row"))
        }
        (Some(from), Some(to)) => {
            format!("-{} ({})", size::number(from - to), size::count(to, "row"))
        }
        (None, Some(to)) => format!("now {}", size::count(to, "row")),
        (Some(from), None) => format!("was {}", size::count(from, "row")),
        (None, None) => "not counted".to_owned(),
    }
}

fn sentence(report: &DiffReport) -> String {
    let mut parts = Vec::new();
    for (count, what, bytes) in [
        (report.added, "added", report.added_bytes),
        (report.removed, "removed", report.removed_bytes),
        (report.modified, "modified", report.modified_bytes),
        (report.metadata, "with other metadata", 0),
        (report.retyped, "of another type", 0),
    ] {
        if count > 0 {
            let bytes =
                if bytes > 0 { format!(" ({})", size::bytes(bytes)) } else { String::new() };
            parts.push(format!("{} {what}{bytes}", size::number(count)));
        }
    }
    if report.databases > 0 {
        parts.push(format!("{} changed", size::count(report.databases, "database")));
    }
    if parts.is_empty() {
        "no difference among files and databases".to_owned()
    } else {
        parts.join(", ")
    }
}

fn document(item: &DiffItem<'_>) -> Value {
    let of_source = |source: &Source, change: &str| json!({ "message_type": "source", "source": name(source), "change": change });
    match item {
        DiffItem::SourceAdded(source) => of_source(source, "+"),
        DiffItem::SourceRemoved(source) => of_source(source, "-"),
        DiffItem::SourceModified(source) => of_source(source, "M"),
        DiffItem::Entry { source, difference } => json!({
            "message_type": "change",
            "source": source,
            "path": escape(difference.path.as_os_str()),
            "change": difference.change.letter().to_string(),
            "directory": difference.directory,
            "from_bytes": difference.from_bytes,
            "to_bytes": difference.to_bytes,
        }),
        DiffItem::Database(database) => {
            let tables = database.tables.iter().map(|(table, (from, to))| {
                (table.clone(), json!({ "from_rows": from, "to_rows": to }))
            });
            json!({
                "message_type": "database",
                "source": database.name,
                "from_txid": database.from.to_string(),
                "to_txid": database.to.to_string(),
                "same_lineage": database.same_lineage,
                "from_bytes": database.size_bytes.0,
                "to_bytes": database.size_bytes.1,
                "tables": tables.collect::<serde_json::Map<_, _>>(),
            })
        }
    }
}

fn summary(report: &DiffReport) -> Value {
    json!({
        "message_type": "summary",
        "added": report.added,
        "removed": report.removed,
        "modified": report.modified,
        "metadata": report.metadata,
        "retyped": report.retyped,
        "added_bytes": report.added_bytes,
        "removed_bytes": report.removed_bytes,
        "modified_bytes": report.modified_bytes,
        "databases": report.databases,
        "problems": super::ls::problems(&report.problems),
    })
}
