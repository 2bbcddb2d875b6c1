//! What to look for, and what to compare.

use clap::Args;

use super::restore::LockArguments;

#[derive(Debug, Args)]
pub(crate) struct FindArguments {
    /// What to look for, as restic understands it: a pattern without / is for names, one with / for paths;
    /// one that begins with / fits from the root on
    #[arg(required = true, value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
    /// Only in this backup: its id (or the beginning of it), its name, or latest
    #[arg(short, long, value_name = "ID|NAME|latest")]
    pub(crate) backup: Option<String>,
    /// Only in backups of this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only among the files of this source
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Capital letters are small ones
    #[arg(short, long)]
    pub(crate) ignore_case: bool,
    #[command(flatten)]
    pub(crate) lock: LockArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// The older backup: its id (or the beginning of it), its name, or latest
    #[arg(value_name = "BACKUP")]
    pub(crate) from: String,
    /// The newer backup
    #[arg(value_name = "BACKUP")]
    pub(crate) to: String,
    /// Only what lies at or below this path
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<std::path::PathBuf>,
    /// The host whose backups are meant
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only this source
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) lock: LockArguments,
}
