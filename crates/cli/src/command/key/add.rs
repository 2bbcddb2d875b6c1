//! `lifeboat key add`

use lifeboat::{Error, NewKey, add_key, plan_addition};
use serde_json::json;

use super::new_password;
use crate::arguments::KeyAddArguments;
use crate::command::Session;
use crate::output;

pub(super) fn run(session: &Session, arguments: &KeyAddArguments) -> Result<(), Error> {
    let opened = session.context.open_only_repository()?;
    // Nobody types a password twice for a repository that does not open.
    opened.secrets()?;
    let key = match &arguments.recipient {
        Some(recipient) => NewKey::Person(recipient.clone()),
        None => NewKey::Password(new_password(session, &arguments.new_password)?),
    };
    let whom = match &key {
        NewKey::Person(recipient) => recipient.as_str(),
        NewKey::Password(_) => "a password",
    };
    if arguments.dry_run {
        plan_addition(&opened, &key)?;
        return if session.global.json {
            output::json(&json!({ "message_type": "dry_run", "recipient": arguments.recipient }))
        } else {
            session.say(&format!("would add a key for {whom}"))
        };
    }
    let wrapping = add_key(&opened, &key, arguments.label.as_deref())?;
    if session.global.json {
        return output::json(&json!({
            "message_type": "key_added", "id": wrapping.name.id,
            "generation": wrapping.name.generation, "label": wrapping.label,
            "recipient": wrapping.recipient,
        }));
    }
    session.say(&format!("added key {} for {whom}", wrapping.name.id.short()))
}
