//! Bringing back what was forgotten.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct UndeleteArguments {
    /// Backups that come back: ids or beginnings of them
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub(crate) backups: Vec<String>,
    /// Bring everything back that can be
    #[arg(long)]
    pub(crate) all: bool,
    /// Only backups of this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only show what would come back
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}
