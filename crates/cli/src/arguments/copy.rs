//! Copying backups.

use std::path::PathBuf;

use clap::Args;
use lifeboat::BackupType;

#[derive(Debug, Args)]
pub(crate) struct CopyArguments {
    /// The repository to copy to: a path, or a name of the configuration
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// File whose first line is the password of that repository [default: as configured, else that of the
    /// repository that is copied from]
    #[arg(long, value_name = "FILE")]
    pub(crate) to_password_file: Option<PathBuf>,
    /// Backups that are copied, and no others: ids or beginnings of them
    #[arg(value_name = "ID")]
    pub(crate) backups: Vec<String>,
    /// Backups of this host instead of this one's; this host signs the copies, which readers must accept
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only backups that hold this source
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// Only backups of this type; may be repeated for others
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<BackupType>,
    /// Only backups with all of these tags; may be repeated for others
    #[arg(long = "tag", value_name = "TAG[,TAG]")]
    pub(crate) tags: Vec<String>,
    /// Only the newest N of these
    #[arg(long, value_name = "N")]
    pub(crate) latest: Option<usize>,
    /// Only show what would be copied
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}
