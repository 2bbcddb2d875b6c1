//! `lifeboat init`

use lifeboat::Error;
use serde_json::json;

use super::Session;
use crate::exit::Exit;
use crate::output;

pub(super) fn run(session: &Session) -> Result<Exit, Error> {
    let opened = session.context.init(&session.progress)?;
    if session.global.json {
        output::json(&json!({
            "message_type": "initialized",
            "id": opened.repository().marker().id,
            "repository": opened.repository().location(),
        }))?;
    }
    Ok(Exit::Ok)
}
