//! `[database.NAME]`, `[files.NAME]`, `[command.NAME]`, `[device.NAME]`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lifeboat_repository::{KeepRules, Ladder};
use serde::{Deserialize, Serialize};

use super::{ByteLimit, CommandLine, HooksConfig, Interval};

/// How long a command may take, where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// For how long a source must be quiet before a change of it is backed up.
const DEBOUNCE: Duration = Duration::from_secs(5);

/// `[database.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Its file, or a `sqlite:///` URL.
    pub path: String,
    /// How often it is captured while it is replicated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicate: Option<Interval>,
    /// How long its points in time stay, in the place of `[points] ladder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<Ladder>,
    /// In which backups it stays; before the rules of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// What is run around its part of each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
}

/// `[files.NAME]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FilesConfig {
    /// Files and directories; these themselves are never left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// In the place of `paths`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Patterns of what is left out, as restic's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// The same, for which upper and lower case are one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iexclude: Vec<String>,
    /// Files with a pattern in each line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_file: Vec<PathBuf>,
    /// Whether to leave out what is in directories that say that they are caches; else `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_caches: Option<bool>,
    /// Names of files in whose presence the rest of their directory is left out: `NAME`, `NAME:HEADER`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_if_present: Vec<String>,
    /// Larger files are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_larger_than: Option<ByteLimit>,
    /// Whether other file systems that are mounted below are left out; else `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_file_system: bool,
    /// Whether to leave out what editors and downloads leave behind; else `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_excludes: Option<bool>,
    /// Whether SQLite databases among the files are backed up as databases; else `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub databases: Option<bool>,
    /// Whether `replicate` makes a backup of type `config` when something of it has changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_change: bool,
    /// For how long nothing may change before that; else five seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Interval>,
    /// In which backups it stays; before the rules of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// What is run around its part of each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
}

/// A choice of paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// All of `/`, but for what is made anew at each start, mounted, or passing.
    System,
}

/// `[command.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandConfig {
    /// What prints it.
    pub run: CommandLine,
    /// What the file is called; else the name of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// How long it may take; else an hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Interval>,
    /// Variables for it, beside those there are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// In which backups it stays; before the rules of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// What is run around its part of each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
}

/// `[device.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceConfig {
    /// A block device, or a file that is an image of one.
    pub path: PathBuf,
    /// In which backups it stays; before the rules of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// What is run around its part of each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
}

impl FilesConfig {
    /// Of paths alone, with everything else as it is by default.
    pub(crate) fn of(paths: Vec<PathBuf>) -> Self {
        Self { paths, ..Self::default() }
    }

    pub(crate) fn debounce(&self) -> Duration {
        self.debounce.map_or(DEBOUNCE, Interval::get)
    }

    /// What is wrong with it, if something is.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (self.paths.is_empty(), self.preset) {
            (true, None) => Some("it needs `paths` or a `preset`"),
            (false, Some(_)) => Some("`paths` and `preset` exclude each other"),
            _ => None,
        }
    }
}

impl CommandConfig {
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.map_or(TIMEOUT, Interval::get)
    }
}
