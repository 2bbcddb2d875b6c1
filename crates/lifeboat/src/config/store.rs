//! How a repository over a network is reached: keys of `[repository.NAME]` beside its URL.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigSecret, Interval, RateTable};

/// How a repository over a network is reached. What is left out is looked up in the environment, by the names
/// that other programs use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StoreConfig {
    /// A URL or host that is asked instead of the store's usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Where a bucket is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether a bucket is named in the path of a request, or in the name of its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// The profile of Amazon's files that has the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The id of a key: of S3, GCS or B2; the name of an account of Azure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<ConfigSecret>,
    /// What temporary credentials have besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<ConfigSecret>,
    /// The class of what is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// How long nobody can remove what is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_lock: Option<ObjectLockConfig>,
    /// Certificates that are trusted besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The private key for SSH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key: Option<PathBuf>,
    /// The host keys that SSH believes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<PathBuf>,
    /// What is run in the place of `ssh`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_command: Option<Vec<String>>,
    /// The password for WebDAV.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webdav_password: Option<ConfigSecret>,
    /// The program `rclone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rclone: Option<PathBuf>,
    /// Its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rclone_config: Option<PathBuf>,
    /// The file in which `lifeboat auth gdrive` keeps the permission to use Google Drive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The id of a shared drive of Google, in place of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_drive: Option<String>,
    /// How much may be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<RateTable>,
    /// How much may be received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_limit: Option<RateTable>,
    /// How long what fails is tried again before it is given up for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Interval>,
}

/// `object-lock = { mode = "compliance", days = 30 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ObjectLockConfig {
    /// Who may shorten it.
    pub mode: ObjectLockMode,
    /// From when the object is stored.
    pub days: u32,
}

/// Who may shorten a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectLockMode {
    /// Those with a permission for it.
    Governance,
    /// Nobody.
    Compliance,
}
