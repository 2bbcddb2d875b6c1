//! `lifeboat undelete`

use lifeboat::{Error, GRACE, UndeleteRequest, Undeletion, plan_undelete, undelete};
use serde_json::{Value, json};

use super::Session;
use super::backups::local;
use crate::arguments::UndeleteArguments;
use crate::exit::{self, Exit};
use crate::output::{self, chain, size, table};
use crate::stop;

pub(super) fn run(session: &Session, arguments: &UndeleteArguments) -> Result<Exit, Error> {
    let opened = session.context.open_only_repository()?;
    let request =
        UndeleteRequest { backups: arguments.backups.clone(), host: arguments.host.clone() };
    let found = plan_undelete(&opened, &request)?;
    let lists_only = arguments.backups.is_empty() && !arguments.all;
    if lists_only || arguments.dry_run {
        show(session, &found, lists_only)?;
        return Ok(Exit::Ok);
    }
    stop::release_locks(&session.context)?;
    let mut documents = Vec::new();
    let (mut back, mut failed) = (0, 0);
    for one in found {
        let mut shown = document(&one);
        let done = undelete(&opened, one);
        shown["undeleted"] = json!(done.is_ok());
        match done {
            Ok(()) => back += 1,
            Err(error) => {
                failed += 1;
                output::error(&error, exit::of_error(&error), session.global.json);
                shown["error"] = json!(chain(&error));
            }
        }
        documents.push(shown);
    }
    if session.global.json {
        output::json(
            &json!({ "message_type": "summary", "dry_run": false, "backups": documents }),
        )?;
    } else {
        session.say(&format!("brought {} back", size::count(back, "backup")))?;
    }
    Ok(match (back, failed) {
        (_, 0) => Exit::Ok,
        (0, _) => Exit::Failed,
        _ => Exit::Partial,
    })
}

/// What can be brought back, or would be.
fn show(session: &Session, found: &[Undeletion], lists_only: bool) -> Result<(), Error> {
    if session.global.json {
        let backups: Vec<_> = found.iter().map(document).collect();
        return output::json(
            &json!({ "message_type": "summary", "dry_run": true, "backups": backups }),
        );
    }
    if found.is_empty() {
        return session.say("nothing to bring back");
    }
    let mut rows = vec![table::heading(["ID", "TIME", "HOST", "UNTIL", "SOURCES"])];
    rows.extend(found.iter().map(row));
    table::columns(&rows).iter().try_for_each(|line| output::line(line))?;
    if lists_only {
        session.say("`lifeboat undelete ID` or --all brings back; a prune after UNTIL removes")?;
    }
    Ok(())
}

fn row(one: &Undeletion) -> Vec<String> {
    let sources = match &one.back {
        Ok(back) if back.left_out.is_empty() => back.sources.join(", "),
        Ok(back) => {
            let left_out =
                format!("{} on host {} only", back.left_out.join(", "), back.manifest.host);
            let parts = [back.sources.join(", "), left_out];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
        }
        Err(error) => format!("cannot be brought back: {}", chain(error)),
    };
    let name = &one.copy.name;
    vec![
        name.id.short(),
        local(name.started),
        name.host.clone(),
        local(one.copy.until(GRACE)),
        sources,
    ]
}

fn document(one: &Undeletion) -> Value {
    let name = &one.copy.name;
    let mut document = json!({
        "id": name.id,
        "host": name.host,
        "started": name.started,
        "forgotten": one.copy.time,
        "until": one.copy.until(GRACE),
    });
    match &one.back {
        Ok(back) => {
            document["sources"] = json!(back.sources);
            document["left_out"] = json!(back.left_out);
            document["revision"] = json!(back.manifest.revision);
        }
        Err(error) => document["error"] = json!(chain(error)),
    }
    document
}
