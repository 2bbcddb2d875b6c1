//! `lifeboat dump`

use std::io::{IsTerminal, stdout};

use lifeboat::{Error, Meant, dump, dump_file, meant};

use super::Session;
use crate::arguments::DumpArguments;
use crate::exit::{self, Exit};
use crate::progress::Reporter;

pub(super) fn run(session: &Session, arguments: &DumpArguments) -> Result<Exit, Error> {
    if stdout().is_terminal() {
        return Err(Error::Usage {
            problem: "what a backup holds is not written to a terminal".to_owned(),
            hint: Some("redirect it: lifeboat dump NAME > app.db".to_owned()),
        });
    }
    let opened = session.open_repository()?;
    if let Some(point) = super::point_selection(&opened, &arguments.select)? {
        return super::restore_point::dump(session, &opened, &point);
    }
    let mut selection = super::selection(&arguments.select);
    if let Some(path) = &arguments.path {
        selection.backup = selection.source.replace(path.clone());
    }
    // What is dumped has standard output for itself, even with --json.
    let progress = Reporter::new(false, session.global.quiet, session.global.verbose);
    if let Meant::Stored(meant) = meant(&opened, &selection, &progress)? {
        super::backup::interruptible(&session.context, false)?;
        let no_lock = arguments.lock.no_lock;
        let report = dump_file(&opened, &meant, no_lock, &mut stdout().lock(), &progress)?;
        super::restore::warn(session, &report.detour, &report.backup);
        return Ok(exit::of_detour(&report.detour));
    }
    let report = dump(&opened, &selection, &mut stdout().lock(), &progress)?;
    super::restore::warn(session, &report.detour, &report.backup);
    Ok(exit::of_detour(&report.detour))
}
