//! `lifeboat prune`

use std::time::Duration;

use lifeboat::{
    CompactPlan, Doomed, Error, Finding, OpenRepository, PruneOptions, PrunePlan, Pruned,
    SpaceUsed, Why, compact, plan_compact, plan_files_prune, plan_prune, prune, space_used,
};
use serde_json::{Value, json};

use super::{Session, files_prune, merges};
use crate::arguments::PruneArguments;
use crate::exit::Exit;
use crate::output::{self, chain, size};
use crate::stop;

const HOUR_S: u64 = 60 * 60;

pub(super) fn run(session: &Session, arguments: &PruneArguments) -> Result<Exit, Error> {
    let grace = Duration::from_secs(arguments.grace_hours.saturating_mul(HOUR_S));
    stop::release_locks(&session.context)?;
    session.each_repository(|opened| {
        if arguments.dry_run {
            plan(session, opened, grace)
        } else {
            prune_now(session, opened, grace)
        }
    })
}

/// Says what would be pruned.
fn plan(session: &Session, opened: &OpenRepository<'_>, grace: Duration) -> Result<Exit, Error> {
    let merging = plan_compact(opened)?;
    let options = PruneOptions { grace, ..PruneOptions::default() };
    let plan = plan_prune(opened, &options)?;
    let files = plan_files_prune(opened, &options)?;
    if session.global.json {
        let mut summary = document_of_plan(&merging, &plan);
        summary["files"] = files_prune::document_of_plan(files.as_ref());
        output::json(&summary)?;
    } else {
        show_plan(session, &merging, &plan)?;
        if let Some(sentence) = files_prune::sentence_of_plan(files.as_ref()) {
            session.say(&sentence)?;
        }
    }
    Ok(exit(&[&plan.findings]))
}

/// Merges, plans, prunes and tells.
pub(super) fn prune_now(
    session: &Session,
    opened: &OpenRepository<'_>,
    grace: Duration,
) -> Result<Exit, Error> {
    let merged = compact(opened, &plan_compact(opened)?, &session.progress)?;
    let verified = merged.verified.clone();
    let options = PruneOptions { grace, verified, ..PruneOptions::default() };
    let plan = plan_prune(opened, &options)?;
    let pruned = prune(opened, &plan, &options, &session.progress)?;
    let findings = [&merged.findings, &plan.findings, &pruned.objects.findings];
    let space = space_used(opened)?;
    if session.global.json {
        let mut summary = document(&plan, &pruned);
        summary["compact"] = merges::document(&merged);
        add_space(&mut summary, space);
        output::json(&summary)?;
    } else {
        findings.into_iter().for_each(|findings| tell_findings(findings));
        if let Some(merged) = merges::sentence(&merged) {
            session.say(&merged)?;
        }
        session.say(&sentence(&pruned, &plan))?;
        tell_files(session, &pruned)?;
        session.say(&sentence_of_space(space))?;
    }
    Ok(match exit(&findings) {
        Exit::Ok => files_prune::exit(&pruned.files),
        failed => failed,
    })
}

/// What became of files; what did not go well is told in any case.
pub(super) fn tell_files(session: &Session, pruned: &Pruned) -> Result<(), Error> {
    match (files_prune::sentence(&pruned.files), &pruned.files) {
        (Some(sentence), Some(Err(_))) => output::note(&sentence),
        (Some(sentence), _) => session.say(&sentence)?,
        (None, _) => {}
    }
    Ok(())
}

/// Damage keeps what is left of it, and is nothing to be silent about.
fn exit(findings: &[&Vec<Finding>]) -> Exit {
    if findings.iter().all(|findings| findings.is_empty()) { Exit::Ok } else { Exit::Failed }
}

/// What is used, and what prunes will free of it.
pub(super) fn sentence_of_space(space: SpaceUsed) -> String {
    let used = format!("the repository uses {}", size::bytes(space.used_bytes));
    match space.unneeded_bytes {
        0 => used,
        bytes => format!("{used}, of which prunes will free {}", size::bytes(bytes)),
    }
}

pub(super) fn add_space(document: &mut Value, space: SpaceUsed) {
    document["used_bytes"] = json!(space.used_bytes);
    document["unneeded_bytes"] = json!(space.unneeded_bytes);
}

fn tell_findings(findings: &[Finding]) {
    for finding in findings {
        output::note(&format!("left alone: {}: {}", finding.key, chain(&finding.error)));
    }
}

fn show_plan(session: &Session, merging: &CompactPlan, plan: &PrunePlan) -> Result<(), Error> {
    tell_findings(&plan.findings);
    merges::show(session, merging)?;
    let remove: Vec<&Doomed> = plan.remove().collect();
    let announce: Vec<&Doomed> = plan.announce.iter().collect();
    let waiting: Vec<&Doomed> = plan.waiting.iter().collect();
    for (what, objects) in [
        ("would remove", &remove),
        ("would announce, to be removed later", &announce),
        ("announced before, not due yet", &waiting),
    ] {
        session.say(&format!("{what}: {}", amount(objects)))?;
        if session.global.verbose {
            for object in objects {
                let (size, why) = (size::bytes(object.size), reason(object.why));
                session.say(&format!("  {size}  {why}  {}", object.key))?;
            }
        }
    }
    Ok(())
}

/// What was done.
pub(super) fn sentence(pruned: &Pruned, plan: &PrunePlan) -> String {
    let report = &pruned.objects;
    let objects =
        |number, bytes| format!("{} ({})", size::count(number, "object"), size::bytes(bytes));
    let mut text = format!("removed {}", objects(report.removed_objects, report.removed_bytes));
    if report.announced_objects > 0 {
        let announced = objects(report.announced_objects, report.announced_bytes);
        text += &format!(", announced {announced} for removal by a later prune");
    }
    if !plan.waiting.is_empty() {
        let bytes = plan.waiting.iter().map(|object| object.size).sum();
        text += &format!(", {} not due yet", objects(plan.waiting.len() as u64, bytes));
    }
    text += &files_prune::locked(report.protected_objects);
    if pruned.temporary_files > 0 {
        text += &format!(", removed {}", size::count(pruned.temporary_files, "temporary file"));
    }
    if report.busy_lineages > 0 {
        text += "; some databases were being backed up and are left for the next prune";
    }
    text
}

fn amount(objects: &[&Doomed]) -> String {
    let bytes = objects.iter().map(|object| object.size).sum();
    format!("{} ({})", size::count(objects.len() as u64, "object"), size::bytes(bytes))
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::NotNeeded => "not needed",
        Why::Superseded => "superseded",
        Why::Unfinished => "unfinished",
        Why::Forgotten => "forgotten",
    }
}

/// What a script gets to see of a prune.
pub(super) fn document(plan: &PrunePlan, pruned: &Pruned) -> Value {
    let report = &pruned.objects;
    json!({
        "message_type": "summary",
        "dry_run": false,
        "removed_objects": report.removed_objects,
        "removed_bytes": report.removed_bytes,
        "protected_objects": report.protected_objects,
        "announced_objects": report.announced_objects,
        "announced_bytes": report.announced_bytes,
        "waiting_objects": plan.waiting.len(),
        "temporary_files": pruned.temporary_files,
        "busy_lineages": report.busy_lineages,
        "verified_bytes": report.verified_bytes,
        "findings": findings(plan.findings.iter().chain(&report.findings)),
        "files": files_prune::document(&pruned.files),
    })
}

fn document_of_plan(merging: &CompactPlan, plan: &PrunePlan) -> Value {
    let list = |objects: &mut dyn Iterator<Item = &Doomed>| {
        objects
            .map(|object| {
                json!({ "object": object.key.to_string(), "size": object.size, "reason": reason(object.why) })
            })
            .collect::<Vec<_>>()
    };
    json!({
        "message_type": "summary",
        "dry_run": true,
        "merge": merges::document_of_plan(merging),
        "remove": list(&mut plan.remove()),
        "announce": list(&mut plan.announce.iter()),
        "waiting": list(&mut plan.waiting.iter()),
        "findings": findings(plan.findings.iter()),
    })
}

fn findings<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Value> {
    findings
        .map(|finding| json!({ "object": finding.key, "error": chain(&finding.error) }))
        .collect()
}
