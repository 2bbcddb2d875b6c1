//! `lifeboat restore`

use lifeboat::{
    Error, Replaced, RestorePlan, RestoreReport, RestoreRequest, plan_restore, restore,
};
use serde_json::json;

use super::Session;
use super::backups::local;
use crate::arguments::RestoreArguments;
use crate::exit::Exit;
use crate::output::{self, size};
use crate::progress::rate;

pub(super) fn run(session: &Session, arguments: &RestoreArguments) -> Result<Exit, Error> {
    let opened = session.context.open_repository()?;
    let request = RestoreRequest {
        selection: super::selection(&arguments.select),
        target: arguments.target.clone(),
        force: arguments.force,
        no_verify: arguments.no_verify,
    };
    let plan = plan_restore(&opened, &request, &session.progress)?;
    if session.global.json {
        output::json(&document_of_plan(&plan))?;
    } else {
        show_plan(session, &plan)?;
    }
    if arguments.dry_run {
        return Ok(Exit::Ok);
    }
    let report = restore(&opened, plan, &session.progress)?;
    if session.global.json {
        output::json(&document(&report))?;
    } else {
        show(session, &report)?;
    }
    Ok(Exit::Ok)
}

fn show_plan(session: &Session, plan: &RestorePlan) -> Result<(), Error> {
    let database = plan.database();
    let label = plan.label().map(|label| format!(" \"{label}\"")).unwrap_or_default();
    session.say(&format!(
        "restoring {} from backup {}{label} of {} (transaction {} of {})",
        database.name,
        plan.backup().id.short(),
        local(plan.backup().started),
        database.txid,
        local(database.time),
    ))?;
    let replaces = if plan.replaces { ", in place of what is there" } else { "" };
    session.say(&format!("  to       {}{replaces}", plan.target.display()))?;
    session.say(&format!(
        "  reads    {} in {}",
        size::bytes(plan.sealed_bytes),
        size::count(plan.files() as u64, "file")
    ))?;
    session.say(&format!(
        "  needs    {}, {} free",
        size::bytes(database.size_bytes),
        size::bytes(plan.free_bytes)
    ))
}

fn show(session: &Session, report: &RestoreReport) -> Result<(), Error> {
    let checked = if report.verified { "checksums and integrity check ok" } else { "checksums ok" };
    session.say(&format!(
        "restored {} in {} ({}), {checked}",
        size::bytes(report.size_bytes),
        size::duration(report.duration_ms),
        rate(report.size_bytes, report.duration_ms),
    ))?;
    if let Replaced::Former(aside) = &report.replaced {
        session.say(&format!("the former database is kept as {}", aside.database.display()))?;
    }
    Ok(())
}

fn document_of_plan(plan: &RestorePlan) -> serde_json::Value {
    json!({
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
    })
}

fn document(report: &RestoreReport) -> serde_json::Value {
    let aside = match &report.replaced {
        Replaced::Former(aside) => Some(&aside.database),
        Replaced::Nothing => None,
    };
    json!({
        "message_type": "summary",
        "target": report.target,
        "size_bytes": report.size_bytes,
        "sealed_bytes": report.sealed_bytes,
        "verified": report.verified,
        "duration_ms": report.duration_ms,
        "former": aside,
    })
}
