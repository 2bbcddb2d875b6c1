//! `lifeboat key`

mod accept;
mod add;
mod list;
mod passwd;
mod remove;
mod rotate;

use lifeboat::{Error, PasswordSource, SecretString, WrappingName};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::{KeyCommand, NewPassword};
use crate::exit::Exit;
use crate::prompt;

pub(super) fn run(session: &Session, command: &KeyCommand) -> Result<Exit, Error> {
    match command {
        KeyCommand::List => list::run(session)?,
        KeyCommand::Add(arguments) => add::run(session, arguments)?,
        KeyCommand::Remove(arguments) => remove::run(session, arguments)?,
        KeyCommand::Passwd(arguments) => passwd::run(session, arguments)?,
        KeyCommand::Rotate(arguments) => rotate::run(session, arguments)?,
        KeyCommand::Accept(arguments) => accept::run(session, arguments)?,
    }
    Ok(Exit::Ok)
}

/// The new password: from the command line's source, else the environment's, else the terminal.
fn new_password(session: &Session, arguments: &NewPassword) -> Result<SecretString, Error> {
    let NewPassword { new_password_file: file, new_password_command: command } = arguments;
    let source = file
        .clone()
        .map(PasswordSource::File)
        .or_else(|| command.clone().map(PasswordSource::Command))
        .or_else(|| PasswordSource::of_variables(session.context.environment(), "LIFEBOAT_NEW"));
    if let Some(source) = source {
        return source.get();
    }
    prompt::new_password()?.ok_or_else(|| Error::Usage {
        problem: "no new password, and no terminal to ask for it".to_owned(),
        hint: Some(
            "give it with --new-password-file, --new-password-command or LIFEBOAT_NEW_PASSWORD"
                .to_owned(),
        ),
    })
}

fn ids(names: &[WrappingName]) -> Value {
    json!(names.iter().map(|name| name.id).collect::<Vec<_>>())
}
