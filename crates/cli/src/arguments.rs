//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Backs up running applications: their SQLite databases page by page, while they are written to.
///
/// Without any configuration, `lifeboat backup app.db` makes an encrypted repository in
/// $XDG_DATA_HOME/lifeboat/repository and a password in $XDG_CONFIG_HOME/lifeboat/password.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 partial, 10 no repository, 11 locked,\n\
    12 wrong password, 22 a source is corrupt, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Repository: a path, or a name of the configuration [env: LIFEBOAT_REPOSITORY]
    #[arg(short, long, global = true, value_name = "URL")]
    pub(crate) repository: Option<String>,
    /// File whose first line is the password [env: LIFEBOAT_PASSWORD_FILE]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Command that prints the password [env: LIFEBOAT_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with = "password_file")]
    pub(crate) password_command: Option<String>,
    /// Configuration file [env: LIFEBOAT_CONFIG]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON: one document, or a line each with a message_type for long work
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a repository
    Init,
    /// Back up databases
    ///
    /// The databases stay in use meanwhile, in WAL and in rollback-journal mode, and are not written
    /// to. The second backup of a database stores the pages that changed.
    Backup(BackupArguments),
    /// List backups, newest first
    #[command(visible_aliases = ["snapshots", "list"])]
    Backups(BackupsArguments),
    /// Put a database back
    ///
    /// It is staged beside its target, verified, and swapped in; what was there is moved aside.
    Restore(RestoreArguments),
    /// Write a database of a backup to standard output
    Dump(SelectArguments),
    /// List what a backup holds
    Ls(LsArguments),
    /// Verify the repository; changes nothing
    Check(CheckArguments),
    /// Show what the repository takes up
    Stats,
    /// Show the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// Databases, directories with databases, sqlite:/// URLs, or names of the configuration;
    /// none: all databases of the configuration
    #[arg(value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    /// A name to find the backup by
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Restore the backup to a temporary file and check it before reporting success
    #[arg(long)]
    pub(crate) verify: bool,
    /// Only show what would be backed up
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BackupsArguments {
    /// Only backups of this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only backups that hold this database
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// Only backups with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only the newest N
    #[arg(long, value_name = "N")]
    pub(crate) latest: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct SelectArguments {
    /// The database: its name or path; may be left out if the backup holds one only
    pub(crate) source: Option<String>,
    /// The backup: its id (or the beginning of it), its name, or latest
    #[arg(short, long, value_name = "ID|NAME|latest")]
    pub(crate) backup: Option<String>,
    /// The host whose backups are meant
    #[arg(long)]
    pub(crate) host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    pub(crate) select: SelectArguments,
    /// Where to; without it, where the database came from
    #[arg(short, long, value_name = "PATH")]
    pub(crate) target: Option<PathBuf>,
    /// Replace what is there; it is moved aside, not deleted
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave out SQLite's integrity check (checksums are always verified)
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Only show what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LsArguments {
    /// The backup: its id (or the beginning of it), its name, or latest
    #[arg(default_value = "latest", value_name = "ID|NAME|latest")]
    pub(crate) backup: String,
    /// The host whose backups are meant
    #[arg(long)]
    pub(crate) host: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Read every object to its end and verify its content
    #[arg(long)]
    pub(crate) read_data: bool,
}

#[derive(Debug, Clone, Copy, Subcommand, ValueEnum)]
pub(crate) enum ConfigCommand {
    /// Print the configuration in use, and the paths
    Show,
}
