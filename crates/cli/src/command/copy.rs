//! `lifeboat copy`

use lifeboat::{
    CopyFailure, CopyPlan, CopyReport, CopyRequest, Error, KeySource, Manifest, OpenRepository,
    PasswordSource, PlannedCopy, copy, plan_copy, select_copies,
};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::CopyArguments;
use crate::exit::{self, Exit};
use crate::output::{self, chain, size, table};
use crate::stop;

pub(super) fn run(session: &Session, arguments: &CopyArguments) -> Result<Exit, Error> {
    let from = session.open_repository()?;
    let key = arguments.to_password_file.clone().map(PasswordSource::File);
    let key = key.map(KeySource::Password);
    let to = session.context.open_target(&arguments.to, key, &session.progress)?;
    let request = CopyRequest {
        backups: arguments.backups.clone(),
        host: arguments.host.clone(),
        source: arguments.source.clone(),
        types: arguments.types.clone(),
        tags: arguments.tags.clone(),
        latest: arguments.latest,
    };
    let plan = select_copies(&from, &to, &request)?;
    if arguments.dry_run {
        return show_plan(session, &from, &to, &plan);
    }
    stop::release_locks(&session.context)?;
    let (there, other_host) = (plan.there, plan.other_host.clone());
    let report = copy(&from, &to, plan, &session.progress)?;
    for CopyFailure { error, .. } in &report.failures {
        output::error(error, exit::of_error(error), session.global.json);
    }
    if session.global.json {
        output::json(&document(&report, there))?;
    } else {
        show(session, &report, there, other_host.as_deref(), &to.repository().location())?;
    }
    Ok(exit_of(&report.failures))
}

fn exit_of(failures: &[CopyFailure]) -> Exit {
    if failures.is_empty() { Exit::Ok } else { Exit::Partial }
}

fn show(
    session: &Session,
    report: &CopyReport,
    there: u64,
    other_host: Option<&str>,
    location: &str,
) -> Result<(), Error> {
    for CopyFailure { backup, .. } in &report.failures {
        output::note(&format!("not copied: {}", backup.short()));
    }
    if report.cut_otherwise {
        output::note(&format!(
            "{location} cuts files at other places: what is backed up there shares little with what is copied \
             there"
        ));
    }
    if let Some(host) = other_host.filter(|_| !report.copied.is_empty()) {
        output::note(&format!(
            "the copies are signed by this host: where backups of {host} in {location} are known by another \
             key, believe it with `lifeboat key accept {host}`"
        ));
    }
    let copied = size::count(report.copied.len() as u64, "backup");
    let stored = size::bytes(report.stored_bytes());
    let mut text = format!("copied {copied} to {location}, {stored} stored");
    if there > 0 {
        text += &format!("; {} there already", size::number(there));
    }
    session.say(&text)
}

fn document(report: &CopyReport, there: u64) -> Value {
    let copied = report.copied.iter().map(|manifest| {
        let stored: u64 = manifest.sources.iter().map(lifeboat::Source::stored_bytes).sum();
        let mut document = of_backup(manifest);
        document["stored_bytes"] = json!(stored);
        document
    });
    json!({
        "message_type": "summary",
        "dry_run": false,
        "copied": copied.collect::<Vec<_>>(),
        "there": there,
        "failed": failed(&report.failures),
        "stored_bytes": report.stored_bytes(),
        "cut_otherwise": report.cut_otherwise,
    })
}

fn of_backup(manifest: &Manifest) -> Value {
    json!({ "id": manifest.id, "host": manifest.host, "started": manifest.started })
}

fn failed(failures: &[CopyFailure]) -> Vec<Value> {
    let failed = failures.iter();
    failed.map(|failure| json!({ "id": failure.backup, "error": chain(&failure.error) })).collect()
}

/// What would be copied.
fn show_plan(
    session: &Session,
    from: &OpenRepository<'_>,
    to: &OpenRepository<'_>,
    plan: &CopyPlan,
) -> Result<Exit, Error> {
    let planned = plan_copy(from, to, plan)?;
    let bytes = planned.iter().filter_map(|one| one.copy.as_ref().ok());
    let bytes = bytes.map(|copy| copy.stored_bytes).sum::<u64>();
    if session.global.json {
        output::json(&json!({
            "message_type": "summary",
            "dry_run": true,
            "copy": planned.iter().map(of_planned).collect::<Vec<_>>(),
            "there": plan.there,
            "failed": failed(&plan.unreadable),
            "bytes": bytes,
        }))?;
    } else {
        let mut rows = vec![table::heading(["ID", "TIME", "HOST", "SIZE"])];
        rows.extend(planned.iter().map(row));
        if !planned.is_empty() {
            table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
        }
        for CopyFailure { backup, error } in &plan.unreadable {
            output::note(&format!("cannot be copied: {}: {}", backup.short(), chain(error)));
        }
        let backups = size::count(planned.len() as u64, "backup");
        session.say(&format!("would copy {backups}, about {}", size::bytes(bytes)))?;
    }
    let fails = planned.iter().any(|one| one.copy.is_err()) || !plan.unreadable.is_empty();
    Ok(if fails { Exit::Partial } else { Exit::Ok })
}

fn row(one: &PlannedCopy) -> Vec<String> {
    let what = match &one.copy {
        Ok(copy) => size::bytes(copy.stored_bytes),
        Err(error) => format!("cannot be copied: {}", chain(error)),
    };
    vec![one.name.id.short(), local(one.name.started), one.name.host.clone(), what]
}

fn of_planned(one: &PlannedCopy) -> Value {
    let mut document =
        json!({ "id": one.name.id, "host": one.name.host, "started": one.name.started });
    match &one.copy {
        Ok(copy) => {
            document["ltx_files"] = json!(copy.ltx_files);
            document["blobs"] = json!(copy.blobs);
            document["bytes"] = json!(copy.stored_bytes);
        }
        Err(error) => document["error"] = json!(chain(error)),
    }
    document
}
