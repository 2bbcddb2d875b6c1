//! The process environment: variables and standard directories.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Environment variables, taken once, so that tests can give their own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    working_directory: PathBuf,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        let working_directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Self { variables, working_directory }
    }

    /// An environment of these variables.
    pub fn of<N: Into<String>, V: Into<OsString>>(
        variables: impl IntoIterator<Item = (N, V)>,
        working_directory: impl Into<PathBuf>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect(), working_directory: working_directory.into() }
    }

    /// The same with another variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Where the process was started.
    pub fn working_directory(&self) -> &Path {
        &self.working_directory
    }

    /// A variable that is set and not empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// A variable that is set, not empty, and text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// `LIFEBOAT_<name>`, else `RESTIC_<name>`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.text(&format!("LIFEBOAT_{name}")).or_else(|| self.text(&format!("RESTIC_{name}")))
    }

    /// The user's home directory.
    pub fn home(&self) -> PathBuf {
        self.path("HOME").unwrap_or_else(|| PathBuf::from("/root"))
    }

    fn xdg(&self, variable: &str, default: &str) -> PathBuf {
        self.path(variable)
            .filter(|path| path.is_absolute())
            .unwrap_or_else(|| self.home().join(default))
            .join("lifeboat")
    }

    /// `$XDG_CONFIG_HOME/lifeboat`.
    pub fn config_directory(&self) -> PathBuf {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// `$XDG_DATA_HOME/lifeboat`.
    pub fn data_directory(&self) -> PathBuf {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }

    /// `$LIFEBOAT_STATE_DIR`, else `$XDG_STATE_HOME/lifeboat`.
    pub fn state_directory(&self) -> PathBuf {
        self.path("LIFEBOAT_STATE_DIR")
            .unwrap_or_else(|| self.xdg("XDG_STATE_HOME", ".local/state"))
    }

    /// Where the configuration is looked for, in this order.
    pub fn config_candidates(&self) -> Vec<PathBuf> {
        vec![
            self.working_directory.join("lifeboat.toml"),
            self.config_directory().join("lifeboat.toml"),
            PathBuf::from("/etc/lifeboat/lifeboat.toml"),
        ]
    }
}
