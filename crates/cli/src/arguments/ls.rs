//! What to list of a backup.

use clap::Args;

use super::restore::LockArguments;

#[derive(Debug, Args)]
pub(crate) struct LsArguments {
    /// The backup: its id (or the beginning of it), its name, or latest
    #[arg(default_value = "latest", value_name = "ID|NAME|latest")]
    pub(crate) backup: String,
    /// List the files at this path, or in this directory, instead of the sources
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// The host whose backups are meant
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Show mode, owner, size and time
    #[arg(short, long, requires = "path")]
    pub(crate) long: bool,
    /// Go down into directories
    #[arg(short = 'R', long, requires = "path")]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) lock: LockArguments,
}
