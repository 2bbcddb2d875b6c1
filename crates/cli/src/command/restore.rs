//! `lifeboat restore`

use std::path::Path;

use lifeboat::{
    BackupName, DamagedObject, DatabaseSource, Detour, Error, Meant, OpenRepository, Replaced,
    RestorePlan, RestoreReport, RestoreRequest, Source, meant, plan_restore, restore,
};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::RestoreArguments;
use crate::exit::{self, Exit};
use crate::output::{self, size};
use crate::progress::rate;

pub(super) fn run(session: &Session, arguments: &RestoreArguments) -> Result<Exit, Error> {
    let opened = session.open_repository()?;
    if let Some(point) = super::point_selection(&opened, &arguments.select)? {
        return super::restore_point::run(session, &opened, arguments, point);
    }
    super::backup::interruptible(&session.context, session.global.json)?;
    if arguments.all {
        return super::restore_all::run(session, &opened, arguments);
    }
    let selection = super::selection(&arguments.select);
    if let Meant::Stored(meant) = meant(&opened, &selection, &session.progress)? {
        return match meant.source {
            Source::Files(_) => super::restore_files::run(session, &opened, arguments, *meant),
            _ => super::restore_image::run(session, &opened, arguments, *meant),
        };
    }
    must_be_of_database(arguments)?;
    let request = RestoreRequest {
        selection,
        target: arguments.target.clone(),
        force: arguments.force,
        no_verify: arguments.no_verify,
    };
    database(session, &opened, &request, arguments.dry_run)
}

/// What is said of files has no meaning for a database, and was meant otherwise.
fn must_be_of_database(arguments: &RestoreArguments) -> Result<(), Error> {
    let files = &arguments.files;
    let lists = [files.include.is_empty(), files.exclude.is_empty(), files.paths.is_empty()];
    if lists.contains(&false) || files.delete || !arguments.more_paths.is_empty() {
        return Err(Error::Usage {
            problem: "paths, patterns and --delete are for files, not for a database".to_owned(),
            hint: Some(
                "name a source of files; `lifeboat ls` shows what a backup holds".to_owned(),
            ),
        });
    }
    Ok(())
}

pub(super) fn database(
    session: &Session,
    opened: &OpenRepository<'_>,
    request: &RestoreRequest,
    dry_run: bool,
) -> Result<Exit, Error> {
    let plan = plan_restore(opened, request, &session.progress)?;
    if session.global.json {
        output::json(&document_of_plan(&plan))?;
    } else {
        show_plan(session, &plan)?;
    }
    if dry_run {
        return Ok(exit::of_detour(plan.detour()));
    }
    let report = restore(opened, plan, &session.progress)?;
    if session.global.json {
        output::json(&document(&report))?;
    } else {
        show(session, &report)?;
    }
    Ok(exit::of_detour(&report.detour))
}

/// What is being restored: the first line, and again if that changes.
pub(crate) fn choice(name: &BackupName, label: Option<&str>, database: &DatabaseSource) -> String {
    let label = label.map(|label| format!(" \"{label}\"")).unwrap_or_default();
    format!(
        "restoring {} from backup {}{label} of {} (transaction {} of {})",
        database.name,
        name.id.short(),
        local(name.started),
        database.txid,
        local(database.time),
    )
}

fn show_plan(session: &Session, plan: &RestorePlan) -> Result<(), Error> {
    let database = plan.database();
    session.say(&choice(plan.backup(), plan.label(), database))?;
    let reads = (plan.sealed_bytes, plan.files());
    let needs = (database.size_bytes, plan.free_bytes);
    show_room(session, &plan.target, plan.replaces, reads, needs)
}

/// Where to; what is read, in bytes and files; what is needed and what is free, in bytes.
pub(super) fn show_room(
    session: &Session,
    target: &Path,
    replaces: bool,
    (sealed_bytes, files): (u64, usize),
    (size_bytes, free_bytes): (u64, u64),
) -> Result<(), Error> {
    let replaces = if replaces { ", in place of what is there" } else { "" };
    session.say(&format!("  to       {}{replaces}", target.display()))?;
    let files = size::count(files as u64, "file");
    session.say(&format!("  reads    {} in {files}", size::bytes(sealed_bytes)))?;
    let (needed, free) = (size::bytes(size_bytes), size::bytes(free_bytes));
    session.say(&format!("  needs    {needed}, {free} free"))
}

fn show(session: &Session, report: &RestoreReport) -> Result<(), Error> {
    let RestoreReport { size_bytes, duration_ms, verified, replaced, .. } = report;
    show_done(session, *size_bytes, *duration_ms, *verified, replaced)?;
    warn(session, &report.detour, &report.backup);
    Ok(())
}

pub(super) fn show_done(
    session: &Session,
    size_bytes: u64,
    duration_ms: u64,
    verified: bool,
    replaced: &Replaced,
) -> Result<(), Error> {
    let checked = if verified { "checksums and integrity check ok" } else { "checksums ok" };
    session.say(&format!(
        "restored {} in {} ({}), {checked}",
        size::bytes(size_bytes),
        size::duration(duration_ms),
        rate(size_bytes, duration_ms),
    ))?;
    if let Replaced::Former(aside) = replaced {
        session.say(&format!("the former database is kept as {}", aside.database.display()))?;
    }
    Ok(())
}

/// Says what was not as it should be: at the end, where it is not overlooked.
pub(super) fn warn(session: &Session, detour: &Detour, backup: &BackupName) {
    if session.global.quiet || detour.skipped.is_empty() && detour.damaged.is_empty() {
        return;
    }
    if !detour.skipped.is_empty() {
        output::note(&format!(
            "warning: this is not the newest backup but {} of {}: {} newer cannot be restored",
            backup.id.short(),
            local(backup.started),
            detour.skipped.len(),
        ));
    }
    output::note("hint: `lifeboat check --read-data` says what is damaged and what to do");
}

/// Members of what was gone around.
pub(super) fn with_detour(mut document: Value, detour: &Detour) -> Value {
    let skipped = detour.skipped.iter().map(|backup| {
        json!({ "backup_id": backup.name.id, "started": backup.name.started, "error": backup.reason })
    });
    document["skipped"] = skipped.collect();
    document["damaged"] = damaged(&detour.damaged);
    document
}

pub(super) fn damaged(objects: &[DamagedObject]) -> Value {
    objects.iter().map(|one| json!({ "object": one.key, "error": one.reason })).collect()
}

fn document_of_plan(plan: &RestorePlan) -> Value {
    let document = json!({
        "message_type": "plan",
        "backup_id": plan.backup().id,
        "database": plan.database().name,
        "txid": plan.database().txid.to_string(),
        "time": plan.database().time,
        "target": plan.target,
        "replaces": plan.replaces,
        "size_bytes": plan.database().size_bytes,
        "sealed_bytes": plan.sealed_bytes,
        "free_bytes": plan.free_bytes,
    });
    with_detour(document, plan.detour())
}

fn document(report: &RestoreReport) -> Value {
    let aside = match &report.replaced {
        Replaced::Former(aside) => Some(&aside.database),
        Replaced::Nothing => None,
    };
    let document = json!({
        "message_type": "summary",
        "backup_id": report.backup.id,
        "database": report.database.name,
        "txid": report.database.txid.to_string(),
        "time": report.database.time,
        "target": report.target,
        "size_bytes": report.size_bytes,
        "sealed_bytes": report.sealed_bytes,
        "verified": report.verified,
        "duration_ms": report.duration_ms,
        "former": aside,
    });
    with_detour(document, &report.detour)
}
