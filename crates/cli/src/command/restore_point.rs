//! `lifeboat restore` and `lifeboat dump` with `--at` or `--txid`

use std::io::stdout;

use jiff::tz::TimeZone;
use lifeboat::{
    DamagedObject, Error, FoundPoint, OpenRepository, PointRestorePlan, PointRestoreReport,
    PointRestoreRequest, PointSelection, Replaced, SkippedPoint, dump_point, plan_point_restore,
    restore_point,
};
use serde_json::{Value, json};

use super::points::exact;
use super::{Session, restore};
use crate::arguments::RestoreArguments;
use crate::exit::Exit;
use crate::output;
use crate::progress::Reporter;

pub(super) fn run(
    session: &Session,
    opened: &OpenRepository<'_>,
    arguments: &RestoreArguments,
    selection: PointSelection,
) -> Result<Exit, Error> {
    let request = PointRestoreRequest {
        selection,
        target: arguments.target.clone(),
        force: arguments.force,
        no_verify: arguments.no_verify,
    };
    let plan = plan_point_restore(opened, &request, &session.progress)?;
    if session.global.json {
        output::json(&document_of_plan(&plan))?;
    } else {
        show_plan(session, &plan)?;
    }
    if arguments.dry_run {
        return Ok(exit(plan.skipped()));
    }
    let report = restore_point(opened, plan, &session.progress)?;
    if session.global.json {
        output::json(&document(&report))?;
    } else {
        let PointRestoreReport { size_bytes, duration_ms, verified, replaced, .. } = &report;
        restore::show_done(session, *size_bytes, *duration_ms, *verified, replaced)?;
        warn(session, &report.found, &report.skipped, &report.damaged);
    }
    Ok(exit(&report.skipped))
}

pub(super) fn dump(
    session: &Session,
    opened: &OpenRepository<'_>,
    selection: &PointSelection,
) -> Result<Exit, Error> {
    // The database has standard output for itself, even with --json.
    let progress = Reporter::new(false, session.global.quiet, session.global.verbose);
    let report = dump_point(opened, selection, &mut stdout().lock(), &progress)?;
    warn(session, &report.found, &report.skipped, &report.damaged);
    Ok(exit(&report.skipped))
}

/// Another point than was meant is not all that was asked for.
fn exit(skipped: &[SkippedPoint]) -> Exit {
    if skipped.is_empty() { Exit::Ok } else { Exit::Partial }
}

/// What is being restored: the first line, and again if that changes.
pub(crate) fn choice(found: &FoundPoint) -> String {
    format!("restoring {} of {}", found.database, describe(found))
}

/// `2026-11-21 14:30:05.123 (transaction 000000000000002f of lineage 3f9a0c5be1d24776 on pi)`
pub(crate) fn describe(found: &FoundPoint) -> String {
    format!(
        "{} (transaction {} of lineage {} on {})",
        exact(found.point.time, &TimeZone::system()),
        found.point.txid,
        found.lineage,
        found.host,
    )
}

fn show_plan(session: &Session, plan: &PointRestorePlan) -> Result<(), Error> {
    session.say(&choice(plan.found()))?;
    restore::show_room(
        session,
        plan.target(),
        plan.replaces(),
        (plan.sealed_bytes(), plan.files()),
        (plan.size_bytes(), plan.free_bytes()),
    )
}

/// Says what was not as it should be: at the end, where it is not overlooked.
fn warn(
    session: &Session,
    found: &FoundPoint,
    skipped: &[SkippedPoint],
    damaged: &[DamagedObject],
) {
    if session.global.quiet || skipped.is_empty() && damaged.is_empty() {
        return;
    }
    if let Some(meant) = skipped.first() {
        output::note(&format!(
            "warning: this is not the point that was meant, {}, but an older one: {}",
            describe(&meant.found),
            describe(found),
        ));
    }
    output::note("hint: `lifeboat check --read-data` says what is damaged and what to do");
}

fn document_of_plan(plan: &PointRestorePlan) -> Value {
    let mut document = json!({
        "message_type": "plan",
        "target": plan.target(),
        "replaces": plan.replaces(),
        "size_bytes": plan.size_bytes(),
        "sealed_bytes": plan.sealed_bytes(),
        "free_bytes": plan.free_bytes(),
    });
    add_point(&mut document, plan.found(), plan.skipped(), plan.damaged());
    document
}

fn document(report: &PointRestoreReport) -> Value {
    let aside = match &report.replaced {
        Replaced::Former(aside) => Some(&aside.database),
        Replaced::Nothing => None,
    };
    let mut document = json!({
        "message_type": "summary",
        "target": report.target,
        "size_bytes": report.size_bytes,
        "sealed_bytes": report.sealed_bytes,
        "verified": report.verified,
        "duration_ms": report.duration_ms,
        "former": aside,
    });
    add_point(&mut document, &report.found, &report.skipped, &report.damaged);
    document
}

/// The members of a point, and of what was gone around to restore it.
fn add_point(
    document: &mut Value,
    found: &FoundPoint,
    skipped: &[SkippedPoint],
    damaged: &[DamagedObject],
) {
    document["host"] = json!(found.host);
    document["database"] = json!(found.database);
    document["lineage"] = json!(found.lineage);
    document["txid"] = json!(found.point.txid.to_string());
    document["time"] = json!(found.point.time);
    let skipped = skipped.iter().map(|skipped| {
        let FoundPoint { lineage, point, .. } = &skipped.found;
        let txid = point.txid.to_string();
        json!({ "lineage": lineage, "txid": txid, "time": point.time, "error": skipped.reason })
    });
    document["skipped"] = skipped.collect();
    document["damaged"] = restore::damaged(damaged);
}
