//! How backups are kept.

use std::path::PathBuf;

use lifeboat_repository::{Age, KeepRules};

use crate::{Context, Environment, KeySource, Overrides, PasswordSource, Result};

/// How long backups stay where nothing else is said.
pub const RETENTION_DAYS: u32 = 30;

/// Where backups are kept, and how long.
#[derive(Debug, Clone)]
pub struct BackupsOptions {
    /// A path or URL, or a name of the configuration. `None`: what the command line would use.
    pub repository: Option<String>,
    /// Where the password comes from. `None`: what the command line would use.
    pub password: Option<PasswordSource>,
    /// A directory of this program's own, in which it remembers what the databases were. Without it
    /// the next backup stores everything again. `None`: what the command line would use.
    pub state_directory: Option<PathBuf>,
    /// Backups older than this many days before the newest go at a cleanup; 0: none do.
    pub retention_days: u32,
    /// Other rules instead.
    pub keep: Option<KeepRules>,
    /// The variables and the working directory; `None`: those of the process.
    pub environment: Option<Environment>,
}

impl Default for BackupsOptions {
    fn default() -> Self {
        Self {
            repository: None,
            password: None,
            state_directory: None,
            retention_days: RETENTION_DAYS,
            keep: None,
            environment: None,
        }
    }
}

impl BackupsOptions {
    pub(super) fn context(&self) -> Result<Context> {
        let mut environment = self.environment.clone().unwrap_or_else(Environment::of_process);
        if let Some(directory) = &self.state_directory {
            environment = environment.with("LIFEBOAT_STATE_DIR", directory);
        }
        let overrides = Overrides {
            repository: self.repository.clone(),
            key: self.password.clone().map(KeySource::Password),
            ..Overrides::default()
        };
        Context::load(environment, overrides)
    }

    pub(super) fn rules(&self) -> KeepRules {
        let within = Age::of_days(self.retention_days);
        self.keep.clone().unwrap_or(KeepRules { within, ..KeepRules::default() })
    }
}
