//! What to restore, and where to.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lifeboat::Overwrite;

use super::PointArguments;

#[derive(Debug, Args)]
pub(crate) struct SelectArguments {
    /// The source: its name, or the path of a database or of something among files; may be left out if the
    /// backup holds one only
    pub(crate) source: Option<String>,
    /// The backup: its id (or the beginning of it), its name, or latest
    #[arg(short, long, value_name = "ID|NAME|latest")]
    pub(crate) backup: Option<String>,
    /// The host whose backups are meant
    #[arg(long)]
    pub(crate) host: Option<String>,
    #[command(flatten)]
    pub(crate) point: PointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Of files, only what lies at or below these paths of the backup
    #[arg(value_name = "PATH", conflicts_with_all = ["at", "txid"])]
    pub(crate) more_paths: Vec<PathBuf>,
    /// Where to; without it, where it came from. For files, the directory that stands for /
    #[arg(short, long, value_name = "PATH")]
    pub(crate) target: Option<PathBuf>,
    /// Every source of the backup, below --target; with `--target /`, everything where it came from
    #[arg(long, requires = "target", conflicts_with_all = ["source", "point"])]
    pub(crate) all: bool,
    /// Replace what is there: a file is moved aside, not deleted; what is on a device is lost. Files need no
    /// --force: see --overwrite
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave out SQLite's integrity check (checksums are always verified)
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Only show what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) files: FilesArguments,
    #[command(flatten)]
    pub(crate) lock: LockArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct FilesArguments {
    /// Only what lies at or below this path of the backup; may be repeated
    #[arg(long = "path", value_name = "PATH", conflicts_with = "point")]
    pub(crate) paths: Vec<PathBuf>,
    /// Only what fits this pattern, as restic understands it; may be repeated
    #[arg(short, long, value_name = "PATTERN", conflicts_with = "point")]
    pub(crate) include: Vec<String>,
    /// Nothing that fits this pattern; may be repeated
    #[arg(short, long, value_name = "PATTERN", conflicts_with = "point")]
    pub(crate) exclude: Vec<String>,
    /// What becomes of files that are there. What is replaced is moved to a directory
    /// .lifeboat-before-restore-TIME in the target
    #[arg(long, value_enum, default_value_t)]
    pub(crate) overwrite: OverwriteArgument,
    /// Move what is not in the backup aside, too
    #[arg(long, conflicts_with = "point")]
    pub(crate) delete: bool,
    /// Keep the numbers of owners, whatever they are called on this host
    #[arg(long)]
    pub(crate) numeric_owner: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LockArguments {
    /// Read files without a lock, as is done by itself where nothing can be written; what a prune removes
    /// meanwhile shows as damage
    #[arg(long)]
    pub(crate) no_lock: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverwriteArgument {
    /// Replaced, unless their content is the same
    #[default]
    Always,
    /// As always, but files of the same size and time are taken to be the same
    IfChanged,
    /// As always where the backup has the later time
    IfNewer,
    /// They stay
    Never,
}

impl From<OverwriteArgument> for Overwrite {
    fn from(argument: OverwriteArgument) -> Self {
        match argument {
            OverwriteArgument::Always => Self::Always,
            OverwriteArgument::IfChanged => Self::IfChanged,
            OverwriteArgument::IfNewer => Self::IfNewer,
            OverwriteArgument::Never => Self::Never,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DumpArguments {
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// A file among those of the backup; the first argument is the backup then
    #[arg(value_name = "PATH", conflicts_with_all = ["backup", "point"])]
    pub(crate) path: Option<String>,
    #[command(flatten)]
    pub(crate) lock: LockArguments,
}
