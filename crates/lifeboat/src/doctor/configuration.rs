//! The configuration file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::access::{Exposure, exposure};
use super::finding::{Area, Diagnosis, Examination};
use crate::{Config, ConfigFile, Error, Result, size};

pub(super) fn examine(loaded: &Result<ConfigFile>) -> Examination {
    let path = match loaded {
        Ok(file) => file.path.as_deref(),
        Err(Error::Config { path, .. } | Error::File { path, .. }) => Some(path.as_path()),
        Err(_) => None,
    };
    let subject = path.map(|path| path.display().to_string()).unwrap_or_default();
    let mut examination = Examination::new(Area::Configuration, subject);
    examination.add([match loaded {
        Ok(ConfigFile { path: Some(_), config }) => Diagnosis::ok("content", contents(config)),
        Ok(_) => Diagnosis::ok("content", "none; everything is at its default"),
        Err(error) => Diagnosis::problem(
            "content",
            problem_of(error),
            "mend the file; until then nothing that it names is examined",
        ),
    }]);
    examination.add(path.and_then(judge_mode));
    examination
}

fn contents(config: &Config) -> String {
    let repositories = size::plural(config.repositories.len() as u64, "repository", "repositories");
    let databases = size::count(config.databases.len() as u64, "database");
    let others = config.files.len() + config.commands.len() + config.devices.len();
    if others == 0 {
        return format!("{repositories}, {databases}");
    }
    let others = size::count(others as u64, "other source");
    format!("{repositories}, {databases}, {others}")
}

/// Without the path, which stands above.
fn problem_of(error: &Error) -> String {
    match error {
        Error::Config { problem, .. } => problem.clone(),
        error => crate::error::chain(error),
    }
}

/// Whoever can change it decides where backups go, and which command prints the password. Who can
/// read it learns where they are.
fn judge_mode(path: &Path) -> Option<Diagnosis> {
    let mode = path.metadata().ok()?.mode() & 0o7777;
    let remedy = format!("chmod 600 {}", path.display());
    match exposure(mode) {
        Exposure::Private => Some(Diagnosis::ok("file mode", format!("private ({mode:04o})"))),
        Exposure::Readable => {
            let found = format!("others can read it (mode {mode:04o})");
            Some(Diagnosis::warning("file mode", found, remedy))
        }
        Exposure::Writable => {
            let found = format!(
                "others can change it (mode {mode:04o}), and with it where backups go and which \
                 commands run"
            );
            Some(Diagnosis::problem("file mode", found, remedy))
        }
    }
}
