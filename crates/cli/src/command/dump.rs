//! `lifeboat dump`

use std::io::{IsTerminal, stdout};

use lifeboat::{Error, dump};

use super::Session;
use crate::arguments::SelectArguments;
use crate::exit::{self, Exit};
use crate::progress::Reporter;

pub(super) fn run(session: &Session, arguments: &SelectArguments) -> Result<Exit, Error> {
    if stdout().is_terminal() {
        return Err(Error::Usage {
            problem: "a database is not written to a terminal".to_owned(),
            hint: Some("redirect it: lifeboat dump NAME > app.db".to_owned()),
        });
    }
    let opened = session.context.open_repository()?;
    if let Some(point) = super::point_selection(&opened, arguments)? {
        return super::restore_point::dump(session, &opened, &point);
    }
    let selection = super::selection(arguments);
    // The database has standard output for itself, even with --json.
    let progress = Reporter::new(false, session.global.quiet, session.global.verbose);
    let report = dump(&opened, &selection, &mut stdout().lock(), &progress)?;
    super::restore::warn(session, &report.detour, &report.backup);
    Ok(exit::of_detour(&report.detour))
}
