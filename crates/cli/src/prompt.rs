//! Asks for a new password on the terminal.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use lifeboat::{Error, SecretString};
use lifeboat_storage::secrecy::ExposeSecret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Asks twice; `None` where there is no terminal.
pub(crate) fn new_password() -> Result<Option<SecretString>, Error> {
    let Ok(terminal) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return Ok(None);
    };
    let Ok(hidden) = Hidden::begin(&terminal) else { return Ok(None) };
    let first = ask(&terminal, "new password: ")?;
    let second = ask(&terminal, "once more: ")?;
    drop(hidden);
    if first.expose_secret() != second.expose_secret() {
        let problem = "the two passwords are not the same".to_owned();
        return Err(Error::Usage { problem, hint: None });
    }
    Ok(Some(first))
}

fn ask(mut terminal: &File, question: &str) -> Result<SecretString, Error> {
    let failed = |operation| {
        move |source| Error::File { operation, path: Path::new("/dev/tty").to_owned(), source }
    };
    write!(terminal, "{question}").map_err(failed("write to"))?;
    let mut line = String::new();
    BufReader::new(terminal).read_line(&mut line).map_err(failed("read from"))?;
    writeln!(terminal).map_err(failed("write to"))?;
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(SecretString::from(line))
}

/// What is typed is not shown until this is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    fn begin(terminal: &'a File) -> rustix::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
