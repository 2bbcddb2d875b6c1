//! `lifeboat status --all-hosts`

use lifeboat::{Error, HostBackups, Interval, Time, fleet};
use serde_json::{Value, json};

use crate::command::Session;
use crate::command::backups::local;
use crate::exit::{self, Exit};
use crate::output::{self, chain, size, table};

pub(super) fn run(session: &Session, max_age: Option<Interval>) -> Result<Exit, Error> {
    let fleet = fleet(&session.context)?;
    let is_late = |host: &HostBackups| max_age.is_some_and(|age| is_older(host, age));
    let late = fleet.hosts.iter().filter(|host| is_late(host)).count() as u64;
    for unreadable in &fleet.unreadable {
        output::error(&unreadable.error, exit::of_error(&unreadable.error), session.global.json);
        if !session.global.json {
            output::note(&format!("{} could not be looked at", unreadable.repository));
        }
    }
    if session.global.json {
        let hosts: Vec<_> = fleet.hosts.iter().map(|host| document(host, is_late(host))).collect();
        let unreadable: Vec<_> = fleet
            .unreadable
            .iter()
            .map(|one| json!({ "repository": one.repository, "error": chain(&one.error) }))
            .collect();
        output::json(&json!({ "hosts": hosts, "late": late, "unreadable": unreadable }))?;
    } else {
        let mut rows = vec![
            ["HOST", "REPOSITORY", "NEWEST BACKUP", "BACKUPS", ""].map(str::to_owned).to_vec(),
        ];
        rows.extend(fleet.hosts.iter().map(|host| row(host, is_late(host))));
        table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
        let hosts = size::count(fleet.hosts.len() as u64, "host");
        let late = if late > 0 { format!(", {late} late") } else { String::new() };
        session.say(&format!("{hosts}{late}"))?;
    }
    Ok(match (fleet.unreadable.is_empty(), late) {
        (false, _) => Exit::Partial,
        (true, 0) => Exit::Ok,
        (true, _) => Exit::Missed,
    })
}

/// One without a backup is older than anything.
fn is_older(host: &HostBackups, age: Interval) -> bool {
    host.newest.is_none_or(|newest| newest.age_seconds() > age.get().as_secs())
}

fn row(host: &HostBackups, late: bool) -> Vec<String> {
    let newest = host.newest.map_or_else(|| "none".to_owned(), when);
    let repository = host.repository.clone().unwrap_or_default();
    let late = if late { "late" } else { "" };
    vec![host.host.clone(), repository, newest, size::number(host.backups), late.to_owned()]
}

fn when(time: Time) -> String {
    format!("{} ({} ago)", local(time), size::duration(time.age_seconds().saturating_mul(1000)))
}

fn document(host: &HostBackups, late: bool) -> Value {
    json!({
        "host": host.host,
        "repository": host.repository,
        "newest": host.newest,
        "age_seconds": host.newest.map(Time::age_seconds),
        "backups": host.backups,
        "late": late,
    })
}
