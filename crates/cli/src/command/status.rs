//! `lifeboat status`

mod hosts;

use lifeboat::{Activity, DatabaseStatus, Error, RepositoryStatus, UpkeepStatus, status};
use serde_json::json;

use super::Session;
use crate::arguments::StatusArguments;
use crate::command::backups::local;
use crate::exit::Exit;
use crate::output::{self, size, table};

pub(super) fn run(session: &Session, arguments: &StatusArguments) -> Result<Exit, Error> {
    if arguments.all_hosts {
        return hosts::run(session, arguments.max_age);
    }
    let databases = status(&session.context)?;
    if session.global.json {
        output::json(&json!({ "databases": databases }))?;
    } else if databases.is_empty() {
        session.say("no database has been captured on this host")?;
    } else {
        databases.iter().try_for_each(show)?;
    }
    Ok(Exit::Ok)
}

fn show(database: &DatabaseStatus) -> Result<(), Error> {
    let DatabaseStatus { name, path, activity, .. } = database;
    output::line(&format!("{name} ({}): {}", path.display(), word(*activity)))?;
    if let Some(problem) = &database.problem {
        output::line(&format!("  problem   {problem}"))?;
    }
    if let (Some(txid), Some(time)) = (database.txid, database.captured) {
        output::line(&format!("  captured  {txid} at {}", local(time)))?;
    }
    output::line(&format!(
        "  wal       {}, spool {} in {}",
        size::bytes(database.wal_bytes),
        size::bytes(database.spool_bytes),
        size::count(database.spool_files, "capture"),
    ))?;
    let rows: Vec<_> = database.repositories.iter().map(row).collect();
    table::columns(&rows).iter().try_for_each(|line| output::line(&format!("  {line}")))?;
    for repository in &database.repositories {
        if let Some(problem) = &repository.problem {
            output::line(&format!("  problem   {}: {problem}", repository.location))?;
        }
        if let Some(upkeep) = &repository.upkeep {
            show_upkeep(upkeep, &repository.location)?;
        }
    }
    Ok(())
}

/// How a history is kept short, once there is something to say of it.
fn show_upkeep(upkeep: &UpkeepStatus, location: &str) -> Result<(), Error> {
    let UpkeepStatus { merges, last_pass, waiting_objects, waiting_bytes, .. } = upkeep;
    if *merges > 0 || last_pass.is_some() {
        let pass = last_pass.map(|time| {
            let (count, bytes) = (size::count(*waiting_objects, "object"), *waiting_bytes);
            let waiting = format!("{count} ({}) will be removed", size::bytes(bytes));
            format!(", looked at as a whole at {}: {waiting}", local(time))
        });
        let pass = pass.unwrap_or_default();
        output::line(&format!("  history   {location}: {}{pass}", size::count(*merges, "merge")))?;
    }
    if let Some(problem) = &upkeep.problem {
        output::line(&format!("  problem   {location}: history: {problem}"))?;
    }
    Ok(())
}

fn row(repository: &RepositoryStatus) -> Vec<String> {
    let protected = match (repository.protected_txid, repository.protected) {
        (Some(txid), Some(time)) => format!("{txid} at {}", local(time)),
        (Some(txid), None) => txid.to_string(),
        _ => "nothing yet".to_owned(),
    };
    let lag = match repository.lag_bytes {
        0 => "up to date".to_owned(),
        bytes => format!(
            "{} behind, {} waiting",
            size::duration(repository.lag_seconds * 1000),
            size::bytes(bytes)
        ),
    };
    let points = repository.points.map(|points| match repository.oldest {
        Some(oldest) => format!("{} since {}", size::count(points, "point"), local(oldest)),
        None => "no points".to_owned(),
    });
    let lease =
        repository.lease.as_ref().map(|lease| format!("lease {} {}", lease.epoch, lease.hostname));
    vec![
        "protected".to_owned(),
        protected,
        repository.location.clone(),
        lag,
        points.unwrap_or_default(),
        lease.unwrap_or_default(),
    ]
}

fn word(activity: Activity) -> &'static str {
    match activity {
        Activity::Stopped => "not replicated",
        Activity::Starting => "starting",
        Activity::Following => "following",
        Activity::Idle => "idle",
        Activity::Failing => "failing",
    }
}
