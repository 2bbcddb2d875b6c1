//! `lifeboat backup`

use lifeboat::{
    BackupReport, BackupRequest, CleanupReport, DatabaseSource, Error, HookStatus, Hooked,
    PendingHooks, Request, backup, cleanup, discover,
};
use serde_json::json;
use signal_hook::low_level::emulate_default_handler;

use super::{Session, forget, merges, prune};
use crate::arguments::BackupArguments;
use crate::exit::{self, Exit};
use crate::output::{self, size, table};
use crate::stop;

pub(super) fn run(session: &Session, arguments: &BackupArguments) -> Result<Exit, Error> {
    let sources = Request { sources: arguments.sources.clone() };
    if arguments.dry_run {
        return dry_run(session, &sources);
    }
    let request = BackupRequest {
        sources,
        label: arguments.name.clone(),
        backup_type: arguments.backup_type.clone(),
        tags: arguments.tags.clone(),
        base: arguments.base,
        verify: arguments.verify,
        rescan: arguments.rescan,
        take_over: arguments.take_over,
    };
    let context = &session.context;
    if !context.config().hooks_are_none() {
        interruptible(context.pending_hooks().clone(), session.global.json)?;
    }
    let Some(hooked) = Hooked::backup(context)? else { return skipped(session) };
    let done = work(session, arguments, &request);
    let (status, error) = match &done {
        Ok(Exit::Ok) => (HookStatus::Success, None),
        Ok(_) => (HookStatus::Partial, None),
        Err(Error::Skipped) => (HookStatus::Success, None),
        Err(error) => (HookStatus::Failed, Some(error)),
    };
    let failed = hooked.end(status, error);
    for error in &failed {
        output::error(error, exit::of_error(error), session.global.json);
    }
    match done {
        Err(Error::Skipped) => skipped(session),
        Ok(Exit::Ok) if !failed.is_empty() => Ok(Exit::Partial),
        done => done,
    }
}

/// The first SIGINT or SIGTERM runs what `before` hooks make necessary, and then ends the program.
fn interruptible(pending: PendingHooks, json: bool) -> Result<(), Error> {
    stop::call_on_signal(move |signal| {
        for error in pending.interrupt() {
            output::error(&error, Exit::Interrupted, json);
        }
        drop(emulate_default_handler(signal));
    })
}

fn skipped(session: &Session) -> Result<Exit, Error> {
    if session.global.json {
        output::json(&json!({ "message_type": "skipped" }))?;
    } else {
        session.say("nothing was backed up: the before hook said that now is no time for it")?;
    }
    Ok(Exit::Ok)
}

/// The backup and, if it is asked for, the cleanup.
fn work(
    session: &Session,
    arguments: &BackupArguments,
    request: &BackupRequest,
) -> Result<Exit, Error> {
    let report = backup(&session.context, request, &session.progress)?;
    for failure in &report.failures {
        output::error(&failure.error, exit::of_error(&failure.error), session.global.json);
    }
    // The backup is there whatever becomes of the cleanup; a partial one is no reason to forget.
    let cleaned = (arguments.cleanup && report.failures.is_empty()).then(|| {
        session.context.open_repository().and_then(|opened| cleanup(&opened, &session.progress))
    });
    if session.global.json {
        let mut summary = summary(&report);
        if let Some(Ok(cleaned)) = &cleaned {
            summary["cleanup"] = document_of_cleanup(cleaned);
        }
        output::json(&summary)?;
    } else {
        show(session, &report)?;
        if let Some(Ok(cleaned)) = &cleaned {
            session.say(&forget::sentence(&cleaned.forgotten, false))?;
            if let Some(merged) = merges::sentence(&cleaned.compacted) {
                session.say(&merged)?;
            }
            session.say(&prune::sentence(&cleaned.pruned, &cleaned.plan))?;
        }
    }
    cleaned.transpose()?;
    Ok(if report.failures.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn dry_run(session: &Session, sources: &Request) -> Result<Exit, Error> {
    let targets = discover(&session.context, sources, &session.progress)?;
    if session.global.json {
        let list: Vec<_> = targets
            .iter()
            .map(|target| json!({ "name": target.name, "path": target.path }))
            .collect();
        output::json(&json!({ "message_type": "dry_run", "databases": list }))?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = targets
        .iter()
        .map(|target| {
            let bytes = target.path.metadata().map_or(0, |file| file.len());
            vec![target.name.clone(), size::bytes(bytes), target.path.display().to_string()]
        })
        .collect();
    session.say("would back up:")?;
    for line in table::columns(&rows) {
        session.say(&format!("  {line}"))?;
    }
    Ok(Exit::Ok)
}

fn show(session: &Session, report: &BackupReport) -> Result<(), Error> {
    let rows: Vec<_> = report.databases().map(row).collect();
    for line in table::columns(&rows) {
        session.say(&line)?;
    }
    let manifest = &report.manifest;
    let partial = if report.failures.is_empty() { "" } else { " (partial)" };
    let verified = if report.verified { ", restored and checked" } else { "" };
    let took = manifest.finished.millis().saturating_sub(manifest.started.millis());
    let label = manifest.label.as_ref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    session.say(&format!(
        "backup {}{label} saved in {} to {}{verified}{partial}",
        manifest.id.short(),
        size::duration(took.unsigned_abs()),
        report.location,
    ))
}

/// What was done with one database.
fn row(database: &DatabaseSource) -> Vec<String> {
    let changed = match database.changed_from {
        None => "all of it".to_owned(),
        Some(_) if database.changed_pages == 0 => "nothing changed".to_owned(),
        Some(_) => format!(
            "{} changed ({})",
            size::count(u64::from(database.changed_pages), "page"),
            size::bytes(u64::from(database.changed_pages) * u64::from(database.page_size))
        ),
    };
    vec![
        database.name.clone(),
        size::bytes(database.size_bytes),
        changed,
        format!("{} stored", size::bytes(database.stored_bytes)),
        size::duration(database.duration_ms),
    ]
}

fn document_of_cleanup(cleaned: &CleanupReport) -> serde_json::Value {
    json!({
        "forget": forget::document(&cleaned.forgotten, false),
        "compact": merges::document(&cleaned.compacted),
        "prune": prune::document(&cleaned.plan, &cleaned.pruned),
    })
}

fn summary(report: &BackupReport) -> serde_json::Value {
    let manifest = &report.manifest;
    let mut sources = json!(manifest.sources);
    let list = sources.as_array_mut().into_iter().flatten();
    for (source, by) in list.zip(&report.changed_by) {
        source["changed_by"] = json!(by.as_str());
    }
    json!({
        "message_type": "summary",
        "backup_id": manifest.id,
        "repository": report.location,
        "name": manifest.label,
        "type": manifest.backup_type,
        "tags": manifest.tags,
        "started": manifest.started,
        "finished": manifest.finished,
        "verified": report.verified,
        "partial": !report.failures.is_empty(),
        "problems": manifest.problems,
        "skipped": report.skipped,
        "sources": sources,
    })
}
