//! `lifeboat key remove`

use lifeboat::{Error, plan_removal, remove_key};
use serde_json::json;

use super::list::{entry, holder};
use crate::arguments::KeyRemoveArguments;
use crate::command::Session;
use crate::output;

pub(super) fn run(session: &Session, arguments: &KeyRemoveArguments) -> Result<(), Error> {
    let opened = session.context.open_only_repository()?;
    let removal = plan_removal(&opened, &arguments.id)?;
    let key = &removal.key;
    if !arguments.dry_run {
        remove_key(&opened, &removal)?;
    }
    if session.global.json {
        let message = if arguments.dry_run { "dry_run" } else { "key_removed" };
        return output::json(&json!({ "message_type": message, "key": entry(key) }));
    }
    let (id, whose) = (key.name.id.short(), holder(&key.holder));
    if arguments.dry_run {
        return session.say(&format!("would remove key {id} ({whose})"));
    }
    session.say(&format!("removed key {id} ({whose})"))?;
    session.say("who has used it can still read what is stored: `lifeboat key rotate` ends that for what comes")
}
