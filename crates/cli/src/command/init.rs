//! `lifeboat init`

use lifeboat::Error;
use serde_json::json;

use super::Session;
use crate::arguments::{FormArgument, InitArguments};
use crate::exit::Exit;
use crate::output;

pub(super) fn run(session: &Session, arguments: &InitArguments) -> Result<Exit, Error> {
    let context = &session.context;
    let opened = match (arguments.form, arguments.recipients.as_slice()) {
        (FormArgument::Litestream, _) => context.init_litestream(&session.progress)?,
        (FormArgument::Sealed, []) => context.init(&session.progress)?,
        (FormArgument::Sealed, recipients) => context.init_for(recipients, &session.progress)?,
    };
    let repository = opened.repository();
    let form = repository.form();
    let recipient =
        form.is_sealed().then(|| repository.recipient().map(|it| &it.recipient)).transpose()?;
    if session.global.json {
        output::json(&json!({
            "message_type": "initialized",
            "id": repository.marker().id,
            "form": form.name(),
            "repository": repository.location(),
            "recipient": recipient,
        }))?;
    } else if let (Some(recipient), false) = (recipient, arguments.recipients.is_empty()) {
        session.say("it has no password: only the holders of these keys can restore from it")?;
        for holder in &arguments.recipients {
            session.say(&format!("  {holder}"))?;
        }
        session.say(&format!("backups are sealed for\n  {recipient}"))?;
    }
    Ok(Exit::Ok)
}
