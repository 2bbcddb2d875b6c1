use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::RemoteOptions;

/// How rclone is run.
#[derive(Clone, Debug)]
pub struct RcloneOptions {
    /// The program, looked for in `PATH` if it has no directory.
    pub program: PathBuf,
    /// Its configuration; where rclone itself looks for it if there is none.
    pub config: Option<PathBuf>,
    /// What else it is to be told: `--drive-chunk-size=64M`. Part of its argument list, which every user of the host can
    /// read: secrets belong into its configuration. What this storage depends on cannot be changed here.
    pub arguments: Vec<OsString>,
    /// How long it may take until it serves.
    pub start_timeout: Duration,
    /// Retries and limits.
    pub remote: RemoteOptions,
}

impl Default for RcloneOptions {
    /// `rclone`, with its own configuration, within a minute.
    fn default() -> Self {
        Self {
            program: PathBuf::from("rclone"),
            config: None,
            arguments: Vec::new(),
            start_timeout: Duration::from_secs(60),
            remote: RemoteOptions::default(),
        }
    }
}
