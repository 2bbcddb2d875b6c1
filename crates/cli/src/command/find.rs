//! `lifeboat find`

use lifeboat::{Error, FindRequest, FoundEntry, FoundWhat, find_files};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::FindArguments;
use crate::exit::Exit;
use crate::output::{self, entry, size};

pub(super) fn run(session: &Session, arguments: &FindArguments) -> Result<Exit, Error> {
    let opened = session.open_repository()?;
    super::backup::interruptible(&session.context, session.global.json)?;
    let request = FindRequest {
        patterns: arguments.patterns.clone(),
        ignore_case: arguments.ignore_case,
        backup: arguments.backup.clone(),
        host: arguments.host.clone(),
        source: arguments.source.clone(),
        no_lock: arguments.lock.no_lock,
    };
    let mut tell = |found: &FoundEntry<'_>| {
        if session.global.json {
            output::json(&document(found))
        } else {
            output::line(&line(found))
        }
    };
    let report = find_files(&opened, &request, &mut tell, &session.progress)?;
    super::ls::tell_problems(&report.problems);
    if session.global.json {
        output::json(&json!({
            "message_type": "summary",
            "backups": report.backups,
            "directories": report.directories,
            "found": report.found,
            "problems": super::ls::problems(&report.problems),
        }))?;
    } else if report.found == 0 {
        let backups = size::count(report.backups, "backup");
        session.say(&format!("nothing like that in {backups}"))?;
    }
    Ok(if report.problems.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn line(found: &FoundEntry<'_>) -> String {
    let backup = format!("{} {}", found.backup.id.short(), local(found.backup.started));
    match found.what {
        FoundWhat::Entry(found) => format!("{backup}  {}", entry::line(found, true)),
        FoundWhat::Database(database) => format!(
            "{backup}  database {} {} {}",
            database.name,
            size::bytes(database.size_bytes),
            database.path
        ),
    }
}

fn document(found: &FoundEntry<'_>) -> Value {
    let mut document = match found.what {
        FoundWhat::Entry(found) => entry::document(found),
        FoundWhat::Database(database) => json!({
            "path": database.path,
            "type": "database",
            "size": database.size_bytes,
            "mtime": database.time,
        }),
    };
    document["message_type"] = json!("match");
    document["backup_id"] = json!(found.backup.id);
    document["backup_time"] = json!(found.backup.started);
    document["source"] = json!(found.source);
    document
}
