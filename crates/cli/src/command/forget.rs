//! `lifeboat forget`

use lifeboat::{
    Error, ForgetGroup, ForgetPlan, ForgetReport, ForgetRequest, ForgetVerdict, KeepRules,
    OpenRepository, forget, plan_forget, space_used,
};
use serde_json::{Value, json};

use super::backups::local;
use super::{Session, files_prune, prune};
use crate::arguments::{ForgetArguments, KeepArguments};
use crate::exit::Exit;
use crate::output::{self, size, table};
use crate::stop;

pub(super) fn run(session: &Session, arguments: &ForgetArguments) -> Result<Exit, Error> {
    let rules = rules(&arguments.keep)?;
    if !arguments.backups.is_empty() && rules.is_some() {
        return Err(Error::Usage {
            problem: "backups are named, and rules are given".to_owned(),
            hint: Some("name the backups that go, or give rules with --keep-*".to_owned()),
        });
    }
    let request = ForgetRequest {
        backups: arguments.backups.clone(),
        rules,
        host: arguments.host.clone(),
        types: arguments.types.clone(),
        tags: arguments.tags.clone(),
    };
    if arguments.prune && !arguments.dry_run {
        stop::release_locks(&session.context)?;
    }
    session.each_repository(|opened| forget_in(session, arguments, opened, &request))
}

fn forget_in(
    session: &Session,
    arguments: &ForgetArguments,
    opened: &OpenRepository<'_>,
    request: &ForgetRequest,
) -> Result<Exit, Error> {
    let plan = plan_forget(opened, request)?;
    let (mut space, mut done) = (None, None);
    if !arguments.dry_run {
        done = Some(forget(opened, &plan)?);
        space = plan.undelete_until().map(|_| space_used(opened)).transpose()?;
    }
    if session.global.json {
        let mut summary = document(&plan, done.as_ref());
        if let Some(space) = space {
            prune::add_space(&mut summary, space);
        }
        output::json(&summary)?;
    } else {
        show(session, &plan, done.as_ref())?;
        if let Some(space) = space {
            session.say(&prune::sentence_of_space(space))?;
        }
    }
    if arguments.prune && !arguments.dry_run {
        prune::prune_now(session, opened, lifeboat::GRACE)?;
    }
    Ok(if plan.unreadable.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// The rules that are given, if there are any.
fn rules(arguments: &KeepArguments) -> Result<Option<KeepRules>, Error> {
    let rules = KeepRules {
        last: arguments.keep_last,
        hourly: arguments.keep_hourly,
        daily: arguments.keep_daily,
        weekly: arguments.keep_weekly,
        monthly: arguments.keep_monthly,
        yearly: arguments.keep_yearly,
        within: arguments.keep_within.unwrap_or_default(),
        within_hourly: arguments.keep_within_hourly.unwrap_or_default(),
        within_daily: arguments.keep_within_daily.unwrap_or_default(),
        within_weekly: arguments.keep_within_weekly.unwrap_or_default(),
        within_monthly: arguments.keep_within_monthly.unwrap_or_default(),
        within_yearly: arguments.keep_within_yearly.unwrap_or_default(),
        tags: arguments.keep_tags.clone(),
    };
    match &arguments.keep {
        None => Ok((!rules.is_empty()).then_some(rules)),
        Some(_) if !rules.is_empty() => Err(Error::Usage {
            problem: "rules are given both with --keep and with --keep-*".to_owned(),
            hint: Some("say it in one way: --keep 7/4/12 is -d 7 -w 4 -m 12".to_owned()),
        }),
        Some(preset) => Ok(Some(preset.clone())),
    }
}

fn show(session: &Session, plan: &ForgetPlan, done: Option<&ForgetReport>) -> Result<(), Error> {
    for group in &plan.groups {
        let of_type = group.backup_type.iter().map(|name| format!(", type {name}"));
        let of_type: String = of_type.collect();
        session.say(&format!("{} on {}{of_type}", group.sources.join(", "), group.host))?;
        let rows: Vec<_> = group.backups.iter().map(row).collect();
        for line in table::columns(&rows) {
            session.say(&format!("  {line}"))?;
        }
    }
    for name in &plan.unreadable {
        output::note(&format!(
            "backup {} of {} cannot be read and stays",
            name.id.short(),
            local(name.started)
        ));
    }
    let forgot = |done| plan.gone(done).next().is_some() || !plan.revise.is_empty();
    let until = plan.undelete_until().filter(|_| done.is_some_and(forgot));
    let hint = until.map_or("", |_| "; `lifeboat prune` frees what nothing else needs");
    session.say(&format!("{}{hint}", sentence(plan, done)))?;
    let Some(until) = until else { return Ok(()) };
    session.say(&format!("`lifeboat undelete` brings it back, until {} at least", local(until)))
}

/// What was done, or would be.
pub(super) fn sentence(plan: &ForgetPlan, done: Option<&ForgetReport>) -> String {
    let (would, count) = match done {
        None => ("would forget", plan.forget.len()),
        Some(done) => ("forgot", plan.gone(done).count()),
    };
    let mut text = format!("{would} {}", size::count(count as u64, "backup"));
    if !plan.revise.is_empty() {
        let revised = size::count(plan.revise.len() as u64, "other");
        text += &format!(", and sources of {revised}");
    }
    let Some(done) = done else { return text };
    text += &files_prune::locked(done.protected_objects);
    text += &match plan.locked(done).count() as u64 {
        0 => String::new(),
        1 => "; 1 backup stays because of that".to_owned(),
        stay => format!("; {} stay because of that", size::count(stay, "backup")),
    };
    text
}

fn row(verdict: &ForgetVerdict) -> Vec<String> {
    let action = if verdict.stays() { "keep" } else { "forget" };
    let mut note = verdict.reasons().join(", ");
    if verdict.stays() && !verdict.forget.is_empty() {
        note += &format!("; without {}", verdict.forget.join(", "));
    }
    let mut marks: Vec<String> = verdict.label.iter().map(|label| format!("\"{label}\"")).collect();
    marks.extend(verdict.tags.iter().map(|tag| format!("#{tag}")));
    vec![
        action.to_owned(),
        verdict.name.id.short(),
        local(verdict.name.started),
        note,
        marks.join(" "),
    ]
}

/// What a script gets to see of a forget.
pub(super) fn document(plan: &ForgetPlan, done: Option<&ForgetReport>) -> Value {
    let ids = |names: &[lifeboat::BackupName]| names.iter().map(|name| name.id).collect::<Vec<_>>();
    let nothing = ForgetReport::default();
    let report = done.unwrap_or(&nothing);
    let revised: Vec<_> = plan
        .revise
        .iter()
        .map(|(name, sources)| json!({ "id": name.id, "sources": sources }))
        .collect();
    json!({
        "message_type": "summary",
        "dry_run": done.is_none(),
        "groups": plan.groups.iter().map(document_of_group).collect::<Vec<_>>(),
        "forgotten": plan.gone(report).map(|name| name.id).collect::<Vec<_>>(),
        "protected": plan.locked(report).map(|name| name.id).collect::<Vec<_>>(),
        "protected_objects": report.protected_objects,
        "revised": revised,
        "unreadable": ids(&plan.unreadable),
        "undelete_until": plan.undelete_until().filter(|_| done.is_some()),
    })
}

fn document_of_group(group: &ForgetGroup) -> Value {
    let backups: Vec<_> = group
        .backups
        .iter()
        .map(|verdict| {
            json!({
                "id": verdict.name.id,
                "started": verdict.name.started,
                "name": verdict.label,
                "tags": verdict.tags,
                "keep": verdict.stays(),
                "reasons": verdict.reasons(),
                "forget_sources": verdict.forget,
            })
        })
        .collect();
    json!({
        "host": group.host, "type": group.backup_type, "sources": group.sources, "backups": backups,
    })
}
