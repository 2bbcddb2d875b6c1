//! The file of a configuration: which it is, and whether it may be believed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Config, ConfigProblem};
use crate::{Environment, Error, Result};

/// A configuration and where it came from.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// The file; `None` where there is none and everything is at its default.
    pub path: Option<PathBuf>,
    /// What it says.
    pub config: Config,
}

impl ConfigFile {
    /// Reads `given`, else the first candidate that exists, else takes the defaults.
    pub fn load(given: Option<&Path>, environment: &Environment) -> Result<Self> {
        let given = given.map(Path::to_owned).or_else(|| environment.path("LIFEBOAT_CONFIG"));
        let path = match given {
            Some(path) => path,
            None => {
                let mut candidates = environment.config_candidates().into_iter();
                let Some(path) = candidates.find(|path| path.exists()) else {
                    return Ok(Self::default());
                };
                require_trusted(&path)?;
                path
            }
        };
        let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let config = Config::parse(&text, environment).map_err(|error| {
            let ConfigProblem { line, problem } = error;
            Error::Config { path: path.clone(), line, problem }
        })?;
        Ok(Self { path: Some(path), config })
    }
}

/// Refuses a configuration that was only found, and that somebody else has written: it may name commands
/// to run.
fn require_trusted(path: &Path) -> Result<()> {
    let file = path.metadata().map_err(Error::file("look at", path))?;
    let is_own = file.uid() == 0 || file.uid() == rustix::process::geteuid().as_raw();
    let problem = match (is_own, file.mode() & 0o002 == 0) {
        (true, true) => return Ok(()),
        (false, _) => format!("it belongs to another user (uid {}), who", file.uid()),
        (true, false) => "everybody may write to it, and so whoever wants to".to_owned(),
    };
    let problem = format!(
        "{problem} can have commands run here; if it is the right one, give it with --config"
    );
    Err(Error::Config { path: path.to_owned(), line: None, problem })
}
