//! `lifeboat key accept`

use lifeboat::{Acceptable, Acceptance, Error, accept, fingerprint, plan_acceptance};
use serde_json::json;

use super::super::backups::local;
use crate::arguments::KeyAcceptArguments;
use crate::command::Session;
use crate::output::{self, size};

pub(super) fn run(session: &Session, arguments: &KeyAcceptArguments) -> Result<(), Error> {
    let opened = session.context.open_only_repository()?;
    let wanted = Acceptable { recipient: arguments.recipient, hosts: arguments.hosts.clone() };
    let plan = plan_acceptance(&opened, &wanted)?;
    if !arguments.dry_run {
        accept(&opened, &plan)?;
    }
    if session.global.json {
        let message = if arguments.dry_run { "dry_run" } else { "accepted" };
        return output::json(&document(&plan, message));
    }
    show(session, &plan, if arguments.dry_run { "would accept" } else { "accepted" })?;
    if !opened.can_read() && !arguments.recipient {
        session.say("keys of hosts were not compared: neither password nor --identity is given")?;
    }
    Ok(())
}

fn show(session: &Session, plan: &Acceptance, accepted: &str) -> Result<(), Error> {
    if let Some(recipient) = &plan.recipient {
        let expected = recipient.expected.as_deref().unwrap_or("none");
        session
            .say(&format!("{accepted} recipient {}\n  in place of {expected}", recipient.found))?;
    }
    for host in &plan.hosts {
        let expected: Vec<&str> = host.expected.iter().map(|key| fingerprint(key)).collect();
        session.say(&format!(
            "{accepted} key {} of host {}, beside {}\n  it signed {}, the newest on {}",
            fingerprint(&host.found),
            host.host,
            expected.join(" and "),
            size::count(host.backups, "backup"),
            local(host.newest),
        ))?;
    }
    if plan.recipient.is_none() && plan.hosts.is_empty() {
        session.say("nothing has changed")?;
    }
    Ok(())
}

fn document(plan: &Acceptance, message: &str) -> serde_json::Value {
    let hosts: Vec<_> = plan
        .hosts
        .iter()
        .map(|host| {
            json!({
                "host": host.host, "expected": host.expected, "found": host.found,
                "backups": host.backups, "newest": host.newest,
            })
        })
        .collect();
    let recipient = plan.recipient.as_ref();
    json!({
        "message_type": message,
        "recipient": recipient.map(|changed| {
            json!({ "expected": changed.expected, "found": changed.found })
        }),
        "hosts": hosts,
    })
}
