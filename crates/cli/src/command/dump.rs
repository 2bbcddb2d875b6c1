//! `lifeboat dump`

use std::io::{IsTerminal, stdout};

use lifeboat::{Error, dump};

use super::Session;
use crate::arguments::SelectArguments;
use crate::exit::Exit;

pub(super) fn run(session: &Session, arguments: &SelectArguments) -> Result<Exit, Error> {
    if stdout().is_terminal() {
        return Err(Error::Usage {
            problem: "a database is not written to a terminal".to_owned(),
            hint: Some("redirect it: lifeboat dump NAME > app.db".to_owned()),
        });
    }
    let opened = session.context.open_repository()?;
    dump(&opened, &super::selection(arguments), &mut stdout().lock(), &session.progress)?;
    Ok(Exit::Ok)
}
