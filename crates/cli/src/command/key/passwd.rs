//! `lifeboat key passwd`

use lifeboat::{Error, KeptPassword, change_password, plan_password_change};
use serde_json::json;

use super::{ids, new_password};
use crate::arguments::KeyPasswdArguments;
use crate::command::Session;
use crate::output;

pub(super) fn run(session: &Session, arguments: &KeyPasswdArguments) -> Result<(), Error> {
    let opened = session.context.open_only_repository()?;
    opened.secrets()?;
    let new = new_password(session, &arguments.new_password)?;
    if arguments.dry_run {
        let kept = plan_password_change(&opened, &new)?;
        return if session.global.json {
            output::json(&json!({ "message_type": "dry_run", "kept": document(&kept) }))
        } else {
            session.say(&format!("would change the password; {}", describe(&kept, "would be")))
        };
    }
    let change = change_password(&opened, &new)?;
    if session.global.json {
        return output::json(&json!({
            "message_type": "password_changed", "id": change.wrapping.name.id,
            "removed": ids(&change.removed), "kept": document(&change.kept),
        }));
    }
    session.say(&format!("changed the password; {}", describe(&change.kept, "was")))
}

/// Where the old password is, and what has to be done about it.
fn describe(kept: &KeptPassword, was: &str) -> String {
    match kept {
        KeptPassword::Written(path) => {
            format!("the new one {was} written to {}: keep a copy of it elsewhere", path.display())
        }
        KeptPassword::File(path) => {
            format!("{} still holds the old one: replace it there", path.display())
        }
        KeptPassword::Command(command) => {
            format!("the command {command:?} still prints the old one: replace it there")
        }
        KeptPassword::Environment => {
            "the environment variable still holds the old one: replace it there".to_owned()
        }
    }
}

fn document(kept: &KeptPassword) -> serde_json::Value {
    match kept {
        KeptPassword::Written(path) => {
            json!({ "in": "default_file", "path": path, "replaced": true })
        }
        KeptPassword::File(path) => json!({ "in": "file", "path": path, "replaced": false }),
        KeptPassword::Command(_) => json!({ "in": "command", "replaced": false }),
        KeptPassword::Environment => json!({ "in": "environment", "replaced": false }),
    }
}
