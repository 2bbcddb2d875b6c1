//! `lifeboat.toml`.

mod expand;
mod file;
mod hooks;
mod keys;
mod lookup;
mod parse;
mod quantity;
mod rate;
mod secret;
mod sources;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_repository::{KeepRules, Ladder};
use serde::{Deserialize, Serialize};

pub use self::file::ConfigFile;
pub use self::hooks::{CommandLine, HooksConfig};
pub use self::parse::ConfigProblem;
pub use self::quantity::{ByteLimit, Interval};
pub use self::rate::RateTable;
pub use self::secret::ConfigSecret;
pub use self::sources::{CommandConfig, DatabaseConfig, DeviceConfig, FilesConfig, Preset};
pub use self::store::{ObjectLockConfig, ObjectLockMode, StoreConfig};

use crate::credential::KeySource;
use crate::password::PasswordSource;

/// The configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The name of this host in repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Repositories by name.
    #[serde(default, rename = "repository", skip_serializing_if = "BTreeMap::is_empty")]
    pub repositories: BTreeMap<String, RepositoryConfig>,
    /// How databases are replicated.
    #[serde(default, skip_serializing_if = "ReplicateConfig::is_default")]
    pub replicate: ReplicateConfig,
    /// How long points in time stay.
    #[serde(default, skip_serializing_if = "PointsConfig::is_default")]
    pub points: PointsConfig,
    /// What is run around each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
    /// Types of backups by name.
    #[serde(default, rename = "type", skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, TypeConfig>,
    /// Databases by name.
    #[serde(default, rename = "database", skip_serializing_if = "BTreeMap::is_empty")]
    pub databases: BTreeMap<String, DatabaseConfig>,
    /// Files by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FilesConfig>,
    /// Commands by name.
    #[serde(default, rename = "command", skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<String, CommandConfig>,
    /// Devices by name.
    #[serde(default, rename = "device", skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, DeviceConfig>,
}

/// `[repository.NAME]`
///
/// Unknown keys are refused by `keys`: serde cannot, beside a flattened member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepositoryConfig {
    /// Where it is: a path, or a URL.
    pub url: String,
    /// A file that holds its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A command that prints its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_command: Option<String>,
    /// A file with the age secret key of a person who may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<PathBuf>,
    /// The age recipient that it must have; no default password is looked for then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Which backups stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// How long captures are gathered before they are stored as one; else each is stored at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Nothing in it is removed by this host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append_only: bool,
    /// How it is reached.
    #[serde(flatten)]
    pub store: StoreConfig,
}

impl RepositoryConfig {
    /// What opens it.
    pub(crate) fn key(&self) -> Option<KeySource> {
        let file = self.password_file.clone().map(PasswordSource::File);
        file.or_else(|| self.password_command.clone().map(PasswordSource::Command))
            .map(KeySource::Password)
            .or_else(|| self.identity_file.clone().map(KeySource::Identity))
    }
}

/// `[points]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PointsConfig {
    /// Unless a database says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
}

impl PointsConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[type.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TypeConfig {
    /// Which backups of this type stay; before the rules of the repository, after those of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// The sources of a backup of this type that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
}

/// `[replicate]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicateConfig {
    /// How often a database is captured, unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// After so long without a write, a database is let go of until the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Interval>,
    /// A WAL that grows beyond this is handed over to a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_limit: Option<ByteLimit>,
    /// How much of one database may wait for repositories that cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_limit: Option<ByteLimit>,
}

impl ReplicateConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
