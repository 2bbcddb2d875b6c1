//! `lifeboat key rotate`

use lifeboat::{Error, Rotation, plan_rotation, rotate};
use serde_json::json;

use super::list::{entry, holder};
use crate::arguments::KeyRotateArguments;
use crate::command::Session;
use crate::output;

pub(super) fn run(session: &Session, arguments: &KeyRotateArguments) -> Result<(), Error> {
    let opened = session.context.open_only_repository()?;
    let rotation = plan_rotation(&opened)?;
    if arguments.dry_run {
        return tell(session, &rotation, None);
    }
    let recipient = rotate(&opened, &rotation)?;
    tell(session, &rotation, Some(&recipient.recipient))
}

/// What was done; without a recipient, what would be.
fn tell(session: &Session, rotation: &Rotation, recipient: Option<&str>) -> Result<(), Error> {
    let plan = &rotation.plan;
    if session.global.json {
        let persons: Vec<_> = plan
            .persons
            .iter()
            .map(|person| json!({ "label": person.label, "recipient": person.recipient }))
            .collect();
        return output::json(&json!({
            "message_type": if recipient.is_some() { "rotated" } else { "dry_run" },
            "generation": plan.generation,
            "recipient": recipient,
            "password": plan.password,
            "persons": persons,
            "left_behind": plan.left_behind.iter().map(entry).collect::<Vec<_>>(),
        }));
    }
    let (began, opens) = match recipient {
        Some(_) => ("began", "opens"),
        None => ("would begin", "would open"),
    };
    session.say(&format!("{began} generation {}, which {opens} with", plan.generation))?;
    if let Some(label) = &plan.password {
        session.say(&format!("  the password in use  {label}"))?;
    }
    for person in &plan.persons {
        session.say(&format!("  {}  {}", person.recipient, person.label))?;
    }
    if !plan.left_behind.is_empty() {
        session.say(
            "not with these, which keep what they open; add them anew with `lifeboat key add`",
        )?;
        for key in &plan.left_behind {
            session.say(&format!("  {}  {}", key.name.id.short(), holder(&key.holder)))?;
        }
    }
    if let Some(recipient) = recipient {
        session.say(&format!("backups are sealed for {recipient} from now on"))?;
        session.say(
            "hosts without a password refuse it until `lifeboat key accept --recipient` is run there, \
             or `recipient` is changed in their configuration",
        )?;
    }
    Ok(())
}
