//! `lifeboat restore` of files.

use std::path::Path;

use lifeboat::{
    Error, FilesRestorePlan, FilesRestoreReport, FilesRestoreRequest, OpenRepository, PlacedAction,
    PutReport, Replaced, StoredSource, escape, plan_files_restore, restore_files,
};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::RestoreArguments;
use crate::exit::Exit;
use crate::output::{self, size};

pub(super) fn run(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &RestoreArguments,
    meant: StoredSource,
) -> Result<Exit, Error> {
    let plan = plan_files_restore(opened, meant, &request(arguments), &session.progress)?;
    if session.global.json {
        output::json(&document_of_plan(&plan))?;
    } else {
        show_plan(session, &plan)?;
    }
    let report = restore_files(opened, &plan, &session.progress)?;
    if session.global.json {
        output::json(&document(&report))?;
    } else {
        show(session, &report)?;
    }
    super::restore::warn(session, &report.detour, &report.backup);
    Ok(if report.is_partial() { Exit::Partial } else { Exit::Ok })
}

fn request(arguments: &RestoreArguments) -> FilesRestoreRequest {
    let files = &arguments.files;
    FilesRestoreRequest {
        target: arguments.target.clone(),
        paths: arguments.more_paths.iter().chain(&files.paths).cloned().collect(),
        include: files.include.clone(),
        exclude: files.exclude.clone(),
        overwrite: files.overwrite.into(),
        delete: files.delete,
        numeric_owner: files.numeric_owner,
        dry_run: arguments.dry_run,
        no_lock: arguments.lock.no_lock,
        no_verify: arguments.no_verify,
    }
}

pub(super) fn shown(path: &Path) -> String {
    escape(path.as_os_str())
}

fn entries(files: u64, directories: u64, others: u64) -> String {
    let mut text = size::count(files, "file");
    text.push_str(&format!(", {}", size::plural(directories, "directory", "directories")));
    if others > 0 {
        text.push_str(&format!(", {}", size::count(others, "other")));
    }
    text
}

fn show_plan(session: &Session, plan: &FilesRestorePlan) -> Result<(), Error> {
    let label = plan.label.as_ref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    session.say(&format!(
        "restoring {} from backup {}{label} of {}",
        plan.source.name,
        plan.backup.id.short(),
        local(plan.backup.started),
    ))?;
    session.say(&format!("  to       {}", shown(&plan.directory)))?;
    let entries = entries(plan.files, plan.directories, plan.others);
    session.say(&format!("  has      {entries}, {}", size::bytes(plan.size_bytes)))?;
    session.say(&format!("  free     {}", size::bytes(plan.free_bytes)))?;
    for database in &plan.databases {
        let target = shown(&database.target);
        session.say(&match database.action {
            PlacedAction::Create => format!("  database {} to {target}", database.name),
            PlacedAction::Replace => {
                format!("  database {} to {target}, in place of what is there", database.name)
            }
            PlacedAction::Skip => {
                format!("  database {} not: {target} is there and stays", database.name)
            }
            PlacedAction::Forgotten => {
                format!("  database {} not: the backup does not hold it any more", database.name)
            }
        })?;
    }
    Ok(())
}

fn show(session: &Session, report: &FilesRestoreReport) -> Result<(), Error> {
    let put = &report.put;
    let (did, written) =
        if report.dry_run { ("would restore", "to write") } else { ("restored", "written") };
    let mut line = format!(
        "{did} {}: {} {written}",
        entries(put.files, put.directories, put.others),
        size::bytes(put.written_bytes),
    );
    if !report.dry_run {
        line.push_str(&format!(" in {}", size::duration(report.duration_ms)));
    }
    for (count, what) in [
        (put.unchanged, "unchanged"),
        (put.replaced, "replaced"),
        (put.skipped, "skipped"),
        (put.removed, "removed"),
    ] {
        if count > 0 {
            line.push_str(&format!(", {} {what}", size::number(count)));
        }
    }
    session.say(&line)?;
    for directory in &put.moved_to {
        session.say(&format!("what was there is kept in {}", shown(directory)))?;
    }
    for database in &report.databases {
        let bytes = size::bytes(database.size_bytes);
        session.say(&format!("restored database {} ({bytes})", database.name))?;
        if let Replaced::Former(aside) = &database.replaced {
            session.say(&format!("the former database is kept as {}", shown(&aside.database)))?;
        }
    }
    notes(put).iter().try_for_each(|note| session.say(note))?;
    for problem in &report.problems {
        output::note(&format!("problem: {}: {}", shown(&problem.path), problem.error));
    }
    let told = report.problems.len() as u64;
    if report.problem_count > told {
        output::note(&format!("problem: and {} more", size::number(report.problem_count - told)));
    }
    Ok(())
}

fn notes(put: &PutReport) -> Vec<String> {
    let mut notes = Vec::new();
    if put.owners_skipped > 0 {
        let count = size::plural(put.owners_skipped, "entry belongs", "entries belong");
        notes.push(format!("{count} to you: only root can give files away"));
    }
    if put.set_id_dropped > 0 {
        let count = size::plural(put.set_id_dropped, "file has", "files have");
        notes.push(format!("{count} no setuid or setgid bit, since the owner is another"));
    }
    if !put.unknown_owners.is_empty() {
        let names: Vec<&str> = put.unknown_owners.iter().map(String::as_str).collect();
        notes.push(format!("not known here, numbers were kept: {}", names.join(", ")));
    }
    notes
}

fn document_of_plan(plan: &FilesRestorePlan) -> Value {
    let databases = plan.databases.iter().map(|database| {
        json!({
            "name": database.name,
            "path": shown(&database.path),
            "target": shown(&database.target),
            "size_bytes": database.size_bytes,
            "action": action(database.action),
        })
    });
    json!({
        "message_type": "plan",
        "backup_id": plan.backup.id,
        "source": plan.source.name,
        "kind": "files",
        "target": shown(&plan.directory),
        "within": shown(&plan.within),
        "files": plan.files,
        "directories": plan.directories,
        "others": plan.others,
        "size_bytes": plan.size_bytes,
        "free_bytes": plan.free_bytes,
        "databases": databases.collect::<Value>(),
    })
}

fn action(action: PlacedAction) -> &'static str {
    match action {
        PlacedAction::Create => "create",
        PlacedAction::Replace => "replace",
        PlacedAction::Skip => "skip",
        PlacedAction::Forgotten => "forgotten",
    }
}

fn document(report: &FilesRestoreReport) -> Value {
    let put = &report.put;
    let databases = report.databases.iter().map(|database| {
        let former = match &database.replaced {
            Replaced::Former(aside) => Some(shown(&aside.database)),
            Replaced::Nothing => None,
        };
        json!({
            "name": database.name,
            "target": shown(&database.target),
            "size_bytes": database.size_bytes,
            "former": former,
        })
    });
    let problems = report
        .problems
        .iter()
        .map(|problem| json!({ "path": shown(&problem.path), "error": problem.error }));
    let moved_to = put.moved_to.iter().map(|path| shown(path));
    let document = json!({
        "message_type": "summary",
        "backup_id": report.backup.id,
        "source": report.source,
        "kind": "files",
        "target": shown(&report.directory),
        "dry_run": report.dry_run,
        "files": put.files,
        "directories": put.directories,
        "others": put.others,
        "written_bytes": put.written_bytes,
        "unchanged": put.unchanged,
        "replaced": put.replaced,
        "skipped_entries": put.skipped,
        "removed": put.removed,
        "moved_aside": put.moved_aside,
        "moved_to": moved_to.collect::<Value>(),
        "owners_skipped": put.owners_skipped,
        "set_id_dropped": put.set_id_dropped,
        "unknown_owners": put.unknown_owners,
        "databases": databases.collect::<Value>(),
        "problem_count": report.problem_count,
        "problems": problems.collect::<Value>(),
        "duration_ms": report.duration_ms,
    });
    let mut document = super::restore::with_detour(document, &report.detour);
    document["damaged"] = super::restore::damaged(&report.damaged);
    document
}
