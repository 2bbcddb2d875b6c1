//! `lifeboat restore` of what a command printed, and of devices.

use lifeboat::{
    Error, ImageRestorePlan, ImageRestoreReport, ImageRestoreRequest, OpenRepository, StoredSource,
    plan_image_restore, restore_image,
};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use super::restore_files::shown;
use crate::arguments::RestoreArguments;
use crate::exit::{self, Exit};
use crate::output::{self, size};
use crate::progress::rate;

pub(super) fn run(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &RestoreArguments,
    meant: StoredSource,
) -> Result<Exit, Error> {
    let request = ImageRestoreRequest {
        target: arguments.target.clone(),
        force: arguments.force,
        no_lock: arguments.lock.no_lock,
    };
    let plan = plan_image_restore(opened, meant, &request, &session.progress)?;
    if session.global.json {
        output::json(&document_of_plan(&plan))?;
    } else {
        show_plan(session, &plan)?;
    }
    if arguments.dry_run {
        return Ok(exit::of_detour(&plan.detour));
    }
    let report = restore_image(plan, &session.progress)?;
    if session.global.json {
        output::json(&document(&report))?;
    } else {
        show(session, &report)?;
    }
    super::restore::warn(session, &report.detour, &report.backup);
    Ok(exit::of_detour(&report.detour))
}

fn show_plan(session: &Session, plan: &ImageRestorePlan) -> Result<(), Error> {
    session.say(&format!(
        "restoring {} from backup {} of {}",
        plan.name,
        plan.backup.id.short(),
        local(plan.backup.started),
    ))?;
    let what = match (plan.onto_device, plan.replaces) {
        (true, _) => ", whose content is lost",
        (false, true) => ", in place of what is there",
        (false, false) => "",
    };
    session.say(&format!("  to       {}{what}", shown(&plan.target)))?;
    session.say(&format!("  has      {}", size::bytes(plan.size_bytes)))
}

fn show(session: &Session, report: &ImageRestoreReport) -> Result<(), Error> {
    session.say(&format!(
        "restored {} in {} ({}), checksum ok",
        size::bytes(report.size_bytes),
        size::duration(report.duration_ms),
        rate(report.size_bytes, report.duration_ms),
    ))?;
    match &report.moved_to {
        Some(directory) => session.say(&format!("what was there is kept in {}", shown(directory))),
        None => Ok(()),
    }
}

fn document_of_plan(plan: &ImageRestorePlan) -> Value {
    json!({
        "message_type": "plan",
        "backup_id": plan.backup.id,
        "source": plan.name,
        "target": shown(&plan.target),
        "device": plan.onto_device,
        "replaces": plan.replaces,
        "size_bytes": plan.size_bytes,
        "sha256": plan.sha256,
    })
}

fn document(report: &ImageRestoreReport) -> Value {
    let document = json!({
        "message_type": "summary",
        "backup_id": report.backup.id,
        "source": report.name,
        "target": shown(&report.target),
        "size_bytes": report.size_bytes,
        "sha256": report.sha256,
        "moved_to": report.moved_to.as_deref().map(shown),
        "duration_ms": report.duration_ms,
    });
    super::restore::with_detour(document, &report.detour)
}
