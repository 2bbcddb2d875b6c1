//! `lifeboat ls`

use lifeboat::{
    DatabaseSource, Entry, Error, FilesSource, ListRequest, Meant, OpenRepository, RestoreProblem,
    Selection, Source, escape, list_files, meant, select,
};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::LsArguments;
use crate::exit::Exit;
use crate::output::{self, entry, size, table};

pub(super) fn run(session: &Session, arguments: &LsArguments) -> Result<Exit, Error> {
    let opened = session.open_repository()?;
    if let Some(path) = &arguments.path {
        return list(session, &opened, arguments, path);
    }
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
            Source::Files(files) => show_files(files)?,
            Source::Command(command) => output::line(&format!(
                "  {}  {}  {}",
                command.name,
                command.command,
                size::bytes(command.size_bytes)
            ))?,
            Source::Device(device) => output::line(&format!(
                "  {}  {}  {}",
                device.name,
                device.path,
                size::bytes(device.size_bytes)
            ))?,
            Source::Unknown => output::line("  a source that a newer version of Lifeboat wrote")?,
        }
    }
    for problem in &manifest.problems {
        let path = problem.path.as_ref().map(|path| format!(" {path}")).unwrap_or_default();
        output::line(&format!("  missing: {}{path}: {}", problem.source, problem.error))?;
    }
    Ok(Exit::Ok)
}

/// Lists files.
fn list(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &LsArguments,
    path: &str,
) -> Result<Exit, Error> {
    super::backup::interruptible(&session.context, session.global.json)?;
    // A path, although a source may be called the same; else a source.
    let full = session.context.environment().working_directory().join(path);
    let mut selection = Selection {
        backup: Some(arguments.backup.clone()),
        host: arguments.host.clone(),
        source: full.to_str().map(str::to_owned),
    };
    let mut found = meant(opened, &selection, &session.progress)?;
    if matches!(found, Meant::Database) {
        selection.source = Some(path.to_owned());
        found = meant(opened, &selection, &session.progress)?;
    }
    let Meant::Stored(meant) = found else {
        let (backup, _) = select(opened, &Selection { source: None, ..selection })?;
        return Err(Error::Usage {
            problem: format!("backup {} has no files at {path}", backup.id.short()),
            hint: Some(format!("`lifeboat ls {}` shows what it holds", backup.id.short())),
        });
    };
    let request = ListRequest { recursive: arguments.recursive, no_lock: arguments.lock.no_lock };
    let mut each = |one: &Entry| {
        if session.global.json {
            output::json(&entry::document(one))
        } else {
            output::line(&entry::line(one, arguments.long))
        }
    };
    let problems = list_files(opened, &meant, request, &mut each, &session.progress)?;
    tell_problems(&problems);
    Ok(if problems.is_empty() { Exit::Ok } else { Exit::Partial })
}

/// Says what could not be read.
pub(super) fn tell_problems(problems: &[RestoreProblem]) {
    for problem in problems {
        output::note(&format!("problem: {}: {}", escape(problem.path.as_os_str()), problem.error));
    }
}

pub(super) fn problems(problems: &[RestoreProblem]) -> Value {
    let problems = problems
        .iter()
        .map(|problem| json!({ "path": escape(problem.path.as_os_str()), "error": problem.error }));
    problems.collect()
}

fn show_files(files: &FilesSource) -> Result<(), Error> {
    output::line(&format!(
        "  {}  {}  {}, {}, {}, {}",
        files.name,
        files.paths.join(", "),
        size::bytes(files.size_bytes),
        size::count(files.files, "file"),
        size::plural(files.directories, "directory", "directories"),
        size::count(files.others, "other"),
    ))?;
    output::line(&format!("    snapshot {}", files.stored.snapshot.short()))?;
    let databases = files.databases.iter();
    databases
        .map(|database| format!("    {} is the database {}", database.path, database.name))
        .try_for_each(|line| output::line(&line))
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
