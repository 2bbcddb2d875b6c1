//! `lifeboat backup --dry-run`

use lifeboat::{BackupPlan, BackupType, Error, PlannedFiles, Request, plan_backup};
use serde_json::{Value, json};

use crate::command::Session;
use crate::exit::{self, Exit};
use crate::output::{self, size, table};

pub(super) fn run(
    session: &Session,
    request: &Request,
    backup_type: Option<&BackupType>,
) -> Result<Exit, Error> {
    let plan = plan_backup(&session.context, request, backup_type, &session.progress)?;
    for failure in &plan.failures {
        output::error(&failure.error, exit::of_error(&failure.error), session.global.json);
    }
    if session.global.json {
        output::json(&document(&plan))?;
    } else {
        session.say("would back up:")?;
        for line in table::columns(&rows(&plan)) {
            session.say(&format!("  {line}"))?;
        }
    }
    let partial = !plan.failures.is_empty() || plan.files.iter().any(|files| files.problems > 0);
    Ok(if partial { Exit::Partial } else { Exit::Ok })
}

fn rows(plan: &BackupPlan) -> Vec<Vec<String>> {
    let databases = plan.databases.iter().map(|one| {
        let bytes = one.path.metadata().map_or(0, |file| file.len());
        vec![one.name.clone(), size::bytes(bytes), one.path.display().to_string()]
    });
    let files = plan.files.iter().map(|one| {
        let paths: Vec<_> = one.paths.iter().map(|path| path.display().to_string()).collect();
        vec![one.name.clone(), size::bytes(one.size_bytes), paths.join(", "), counts(one)]
    });
    let commands = plan
        .commands
        .iter()
        .map(|one| vec![one.name.clone(), String::new(), one.config.run.to_string()]);
    let devices = plan
        .devices
        .iter()
        .map(|one| vec![one.name.clone(), String::new(), one.path.display().to_string()]);
    databases.chain(files).chain(commands).chain(devices).collect()
}

fn counts(files: &PlannedFiles) -> String {
    let mut text = vec![size::count(files.files, "file")];
    if files.excluded > 0 {
        text.push(format!("{} left out", size::number(files.excluded)));
    }
    if files.problems > 0 {
        text.push(format!("{} cannot be read", size::number(files.problems)));
    }
    text.join(", ")
}

fn document(plan: &BackupPlan) -> Value {
    let path_of = |name: &str, path: &std::path::Path| json!({ "name": name, "path": path.display().to_string() });
    let files = plan.files.iter().map(|one| {
        let paths: Vec<_> = one.paths.iter().map(|path| path.display().to_string()).collect();
        json!({
            "name": one.name, "paths": paths, "files": one.files, "size_bytes": one.size_bytes,
            "excluded": one.excluded, "problem_count": one.problems, "databases": one.databases,
        })
    });
    let commands = plan
        .commands
        .iter()
        .map(|one| json!({ "name": one.name, "command": one.config.run.to_string() }));
    json!({
        "message_type": "dry_run",
        "databases": plan.databases.iter().map(|one| path_of(&one.name, &one.path)).collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
        "commands": commands.collect::<Vec<_>>(),
        "devices": plan.devices.iter().map(|one| path_of(&one.name, &one.path)).collect::<Vec<_>>(),
    })
}
