//! `lifeboat backup`

mod elsewhere;
mod plan;

use lifeboat::{
    BackupReport, BackupRequest, CleanupReport, Context, DatabaseSource, Error, EverywhereReport,
    FilesSource, HookStatus, Hooked, OpenRepository, Request, Source, backup_everywhere, cleanup,
};
use serde_json::json;
use signal_hook::low_level::emulate_default_handler;

use super::{Session, forget, merges, prune};
use crate::arguments::BackupArguments;
use crate::exit::{self, Exit};
use crate::output::{self, size, table};
use crate::stop;

pub(super) fn run(session: &Session, arguments: &BackupArguments) -> Result<Exit, Error> {
    let sources =
        Request { sources: arguments.sources.clone(), databases_only: arguments.databases_only };
    if arguments.dry_run {
        return plan::run(session, &sources, arguments.backup_type.as_ref());
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
    interruptible(context, session.global.json)?;
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

/// The first SIGINT or SIGTERM runs what `before` hooks make necessary, gives locks back, and then ends the
/// program.
pub(super) fn interruptible(context: &Context, json: bool) -> Result<(), Error> {
    stop::ignore_hang_up()?;
    let (pending, locks) = (context.pending_hooks().clone(), context.held_locks().clone());
    stop::call_on_signal(move |signal| {
        for error in pending.interrupt() {
            output::error(&error, Exit::Interrupted, json);
        }
        locks.release();
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
    let report = backup_everywhere(&session.context, request, &session.progress)?;
    for failure in &report.backup.failures {
        output::error(&failure.error, exit::of_error(&failure.error), session.global.json);
    }
    // The backup is there whatever becomes of the cleanup; a partial one is no reason to forget.
    let clean = arguments.cleanup && !report.backup.is_partial();
    let cleaned = if clean { clean_up(session, &report) } else { Vec::new() };
    if session.global.json {
        let mut summary = summary(&report);
        elsewhere::add(&mut summary, &report, &cleaned);
        output::json(&summary)?;
    } else {
        show(session, &report.backup)?;
        elsewhere::show(session, &report)?;
        for (name, cleaned) in &cleaned {
            let several = (cleaned.is_ok() && !report.others.is_empty()).then_some(name);
            several.map_or(Ok(()), |name| session.say(&format!("{name}:")))?;
            cleaned.as_ref().map_or(Ok(()), |cleaned| show_cleanup(session, cleaned))?;
        }
    }
    elsewhere::tell_failures(session, &report);
    cleaned.into_iter().try_for_each(|(_, cleaned)| cleaned.map(drop))?;
    Ok(if report.is_complete() { Exit::Ok } else { Exit::Partial })
}

/// The cleanup of each repository that has the backup.
fn clean_up(
    session: &Session,
    report: &EverywhereReport,
) -> Vec<(String, Result<CleanupReport, Error>)> {
    let cleaned = session.context.each_repository(
        |name| report.has(name),
        |name, opened| {
            // Where this host removes nothing, another one cleans up.
            let others = opened.as_ref().is_ok_and(OpenRepository::is_append_only);
            let clean = || opened.and_then(|opened| cleanup(&opened, &session.progress));
            (!others).then(|| (name, clean()))
        },
    );
    cleaned.into_iter().flatten().collect()
}

fn show_cleanup(session: &Session, cleaned: &CleanupReport) -> Result<(), Error> {
    session.say(&forget::sentence(&cleaned.forget, Some(&cleaned.forgotten)))?;
    if let Some(merged) = merges::sentence(&cleaned.compacted) {
        session.say(&merged)?;
    }
    session.say(&prune::sentence(&cleaned.pruned, &cleaned.plan))?;
    prune::tell_files(session, &cleaned.pruned)
}

fn show(session: &Session, report: &BackupReport) -> Result<(), Error> {
    let rows: Vec<_> = report.manifest.sources.iter().map(row).collect();
    for line in table::columns(&rows) {
        session.say(&line)?;
    }
    let manifest = &report.manifest;
    let partial = if !report.is_partial() { "" } else { " (partial)" };
    let verified = if report.verified { ", restored and checked" } else { "" };
    let took = report.completed.millis().saturating_sub(manifest.started.millis());
    let label = manifest.label.as_ref().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    session.say(&format!(
        "backup {}{label} saved in {} to {}{verified}{partial}",
        manifest.id.short(),
        size::duration(took.unsigned_abs()),
        report.location,
    ))
}

/// What was done with one source.
fn row(source: &Source) -> Vec<String> {
    vec![
        source.name().cloned().unwrap_or_default(),
        size::bytes(source.size_bytes()),
        change(source),
        format!("{} stored", size::bytes(source.stored_bytes())),
        size::duration(source.duration_ms()),
    ]
}

fn change(source: &Source) -> String {
    match source {
        Source::Database(database) => change_of_database(database),
        Source::Files(files) => change_of_files(files),
        Source::Command(_) | Source::Device(_) | Source::Unknown => "all of it".to_owned(),
    }
}

fn change_of_database(database: &DatabaseSource) -> String {
    match database.changed_from {
        None => "all of it".to_owned(),
        Some(_) if database.changed_pages == 0 => "nothing changed".to_owned(),
        Some(_) => format!(
            "{} changed ({})",
            size::count(u64::from(database.changed_pages), "page"),
            size::bytes(u64::from(database.changed_pages) * u64::from(database.page_size))
        ),
    }
}

fn change_of_files(files: &FilesSource) -> String {
    let count = size::count(files.files, "file");
    let read = files.new_files + files.changed_files;
    match (read, files.unchanged_files) {
        (_, 0) => format!("all of {count}"),
        (0, _) => format!("nothing of {count} changed"),
        _ => format!("{} of {count} changed", size::number(read)),
    }
}

pub(super) fn document_of_cleanup(cleaned: &CleanupReport) -> serde_json::Value {
    json!({
        "forget": forget::document(&cleaned.forget, Some(&cleaned.forgotten)),
        "compact": merges::document(&cleaned.compacted),
        "prune": prune::document(&cleaned.plan, &cleaned.pruned),
    })
}

fn summary(report: &EverywhereReport) -> serde_json::Value {
    let complete = report.is_complete();
    let report = &report.backup;
    let manifest = &report.manifest;
    let mut sources = json!(manifest.sources);
    let list = sources.as_array_mut().into_iter().flatten();
    for source in list {
        let by = source["name"].as_str().and_then(|name| report.changed_by.get(name));
        if let Some(by) = by {
            source["changed_by"] = json!(by.as_str());
        }
    }
    json!({
        "message_type": "summary",
        "backup_id": manifest.id,
        "repository": report.location,
        "link": report.link,
        "name": manifest.label,
        "type": manifest.backup_type,
        "tags": manifest.tags,
        "started": manifest.started,
        "finished": manifest.finished,
        "verified": report.verified,
        "partial": !complete,
        "problems": manifest.problems,
        "skipped": report.skipped,
        "sources": sources,
    })
}
