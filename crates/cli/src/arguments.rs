//! The command line.

mod auth;
mod copy;
mod find;
mod follow;
mod ls;
mod points;
mod replicate;
mod restore;
mod s3;
mod undelete;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lifeboat::{Age, BackupType, Interval, KeepRules, Limit, Subset};

pub(crate) use auth::{AuthCommand, GdriveArguments};
pub(crate) use copy::CopyArguments;
pub(crate) use find::{DiffArguments, FindArguments};
pub(crate) use follow::FollowArguments;
pub(crate) use ls::LsArguments;
pub(crate) use points::{PointArguments, PointsArguments};
pub(crate) use replicate::ReplicateArguments;
pub(crate) use restore::{DumpArguments, RestoreArguments, SelectArguments};
pub(crate) use s3::S3Arguments;
pub(crate) use undelete::UndeleteArguments;

/// Backs up running applications: their SQLite databases page by page, while they are written to.
///
/// Without any configuration, `lifeboat backup app.db` makes an encrypted repository in
/// $XDG_DATA_HOME/lifeboat/repository and a password in $XDG_CONFIG_HOME/lifeboat/password.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 partial, 10 no repository, 11 locked,\n\
    12 wrong password, 21 an objective is missed, 22 a source is corrupt, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// Show the newest backup of every host, of the repository or of all repositories directly below its URL;
    /// needs no password
    #[arg(long)]
    pub(crate) all_hosts: bool,
    /// With --all-hosts: count a host whose newest backup is older as late (exit code 21): 26h, 2d
    #[arg(long, value_name = "AGE", requires = "all_hosts")]
    pub(crate) max_age: Option<Interval>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Repository: a path, a URL (s3:, gcs:, b2:, azblob:, sftp:, webdavs:, gdrive:, rclone:), or a name of the
    /// configuration [env: LIFEBOAT_REPOSITORY]
    #[arg(short, long, global = true, value_name = "URL")]
    pub(crate) repository: Option<String>,
    /// File whose first line is the password [env: LIFEBOAT_PASSWORD_FILE]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Command that prints the password [env: LIFEBOAT_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", conflicts_with = "password_file")]
    pub(crate) password_command: Option<String>,
    /// File with the age secret key of a person who may read, instead of a password
    /// [env: LIFEBOAT_IDENTITY_FILE]
    #[arg(
        long, global = true, value_name = "FILE",
        conflicts_with_all = ["password_file", "password_command"]
    )]
    pub(crate) identity: Option<PathBuf>,
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
    #[command(flatten)]
    pub(crate) s3: S3Arguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a repository
    Init(InitArguments),
    /// Back up databases, files, the output of commands, and devices
    ///
    /// Databases stay in use meanwhile, in WAL and in rollback-journal mode, and are not written to; the
    /// second backup of one stores the pages that changed. They are found among files by their content.
    /// Of files, those are read that changed since the backup before.
    Backup(BackupArguments),
    /// List backups, newest first
    #[command(visible_aliases = ["snapshots", "list"])]
    Backups(BackupsArguments),
    /// List the points in time that databases can be restored to
    ///
    /// Points that lie close together are one range. Names alone are read: no password is needed.
    /// Ends with 1 if files are there that nothing leads to any more.
    Points(PointsArguments),
    /// Put databases, files, the output of commands, and devices back
    ///
    /// Files are compared with what is there, and what differs is replaced; what was there is moved aside,
    /// never lost, and databases among them are restored with them. Nothing is written outside the target.
    /// Ends with 3 if something of it could not be restored; all the rest was.
    ///
    /// A database comes from a backup, the newest unless another is named; or as it was at a point in time, whether a
    /// backup names that or not: --at, --txid. If the repository is a directory that Litestream
    /// replicates to by itself, its newest point. It is staged beside its target, verified, and swapped in; what was there is moved aside.
    Restore(Box<RestoreArguments>),
    /// Write a database of a backup, or of a point, a file, the output of a command, or a device to standard
    /// output
    ///
    /// `dump SOURCE`, `dump /a/file`, or with the backup first: `dump latest /a/file`. A database is verified
    /// as a whole before its first byte is written, anything else piece by piece.
    Dump(DumpArguments),
    /// Protect databases continuously, to any point in time
    ///
    /// Follows the WAL of each database, captures what was committed every second, and stores it in every
    /// repository that is configured. Nothing is written to the databases, and nothing is open while they
    /// are not written to. Runs until it is stopped.
    #[command(alias = "sync")]
    Replicate(ReplicateArguments),
    /// Show how far every database is protected, and where
    Status(StatusArguments),
    /// Keep a copy of a database that follows the repository
    ///
    /// It can be read all the time, and always is a state that was captured. Nobody else may write to
    /// it: what they write is undone.
    Follow(FollowArguments),
    /// List what a backup holds
    ///
    /// Its sources; with a path, the files that are there. Names that cannot be printed are escaped.
    Ls(LsArguments),
    /// Look for files in all backups
    Find(FindArguments),
    /// Show what differs between two backups
    ///
    /// Files: + added, - removed, M modified, U only metadata (owner, permissions, times), T of another type.
    /// Databases: their transactions, and how many rows tables gained or lost.
    Diff(DiffArguments),
    /// Copy backups to another repository, where they keep their ids
    ///
    /// Those that are not there yet, or those that are named. Points in time, TXIDs, names, tags and the trees
    /// of files stay the same; what is stored there already is not stored twice. The repository must be
    /// there (`lifeboat init -r REPOSITORY`). What was interrupted is completed by the next copy. Ends with 3
    /// if a backup could not be copied.
    Copy(CopyArguments),
    /// Drop backups by rules, or by id
    ///
    /// Without rules and ids, the rules of the configuration apply (`keep = { daily = 7 }` or "7/4/12"; of
    /// the source, else of the type, else of the repository), else 7 daily, 4 weekly, 12 monthly. Rules mean
    /// what restic's mean and are counted for each host, set of sources and type. Backups tagged `safety`
    /// and the newest that passed a drill go only by id. For a day at least, `undelete` brings back what
    /// was forgotten.
    Forget(Box<ForgetArguments>),
    /// Bring forgotten backups back
    ///
    /// Without arguments, lists what can be brought back, and until when: as long as a `prune` leaves it,
    /// which is at least a day.
    Undelete(UndeleteArguments),
    /// Merge the history that need not be held apart, and remove what nothing needs any more
    ///
    /// Points in time get fewer with age, as `[points] ladder` says; what lies between the kept ones is
    /// merged. What is not needed then is announced first, and removed by a prune at least a day later;
    /// until then `undelete` brings forgotten backups back.
    Prune(PruneArguments),
    /// Verify the repository; changes nothing
    Check(CheckArguments),
    /// Remove locks of the files in the repository that were left behind, and list the others
    ///
    /// A lock was left behind if it is older than half an hour, or its process is not on this host any
    /// more, where it was. restic has the same locks, and the same rule.
    Unlock(UnlockArguments),
    /// Show what the repository takes up
    Stats,
    /// Examine what backups and restores depend on
    ///
    /// Looks at the configuration, the state directory, the clock, every repository and every
    /// database, and says what to do about what it finds. Nothing is changed, but for one object
    /// that is written to each repository, read back and removed. Ends with 0 if there is no
    /// problem (there may be warnings), 1 if there is one, 22 if a database is corrupt. With --quiet,
    /// only what is not as it should be is shown.
    Doctor(DoctorArguments),
    /// Manage who can open the repository, and whose backups are believed
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Get the permission to use a store that asks its owner for it
    Auth {
        #[command(subcommand)]
        command: AuthCommand,
    },
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
pub(crate) struct InitArguments {
    /// Make it for the holder of this age key, without any password; may be repeated
    #[arg(long = "recipient", value_name = "AGE1", conflicts_with = "form")]
    pub(crate) recipients: Vec<String>,
    /// How it stores: encrypted, or so that Litestream can read the databases
    #[arg(long, value_enum, default_value_t)]
    pub(crate) form: FormArgument,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum FormArgument {
    /// Compressed and encrypted
    #[default]
    Sealed,
    /// Each database as a replica that Litestream 0.5.17 and newer reads; NOT encrypted
    Litestream,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// Databases, files, directories, devices, sqlite:/// URLs, or names of the configuration;
    /// none: all of the configuration, or what belongs to the type
    #[arg(value_name = "SOURCE")]
    pub(crate) sources: Vec<String>,
    /// Of directories, take the SQLite databases in them and nothing else
    #[arg(long)]
    pub(crate) databases_only: bool,
    /// A name to find the backup by
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What kind of backup it is: full, incremental, config or any other word; rules count each type
    /// by itself
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) backup_type: Option<BackupType>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Store the whole database again: this backup and the next ones need none of the files before
    /// (for a repository in which `check` has found damage)
    #[arg(long, alias = "full")]
    pub(crate) base: bool,
    /// Read the backup back, databases into a temporary file, and check it before reporting success
    #[arg(long, visible_alias = "validate")]
    pub(crate) verify: bool,
    /// Refuse to write unless the repository is sealed for this age recipient
    #[arg(long, value_name = "AGE1")]
    pub(crate) recipient: Option<String>,
    /// Afterwards, if all went well, forget by the configured rules, and prune
    #[arg(long)]
    pub(crate) cleanup: bool,
    /// Read every page, even where the WAL or the file shows that it did not change
    #[arg(long)]
    pub(crate) rescan: bool,
    /// Another host that wrote to the same database's backups is gone: take over at once
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Only show what would be backed up (with --verbose, also what is left out, and why)
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArguments {
    /// Backups that go, and no others: ids or beginnings of them
    #[arg(value_name = "ID")]
    pub(crate) backups: Vec<String>,
    #[command(flatten)]
    pub(crate) keep: KeepArguments,
    /// Only backups of this host
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Only backups of this type; may be repeated for others
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<BackupType>,
    /// Only backups with all of these tags; may be repeated for others
    #[arg(long = "tag", value_name = "TAG[,TAG]")]
    pub(crate) tags: Vec<String>,
    /// Prune afterwards
    #[arg(long)]
    pub(crate) prune: bool,
    /// Only show what would be forgotten, and why the rest stays
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub(crate) struct KeepArguments {
    /// All rules in one: "last 5" (the newest 5), "30 days" (all that are not older, counted from the
    /// newest), "7/4/12" (the newest of each of 7 days, 4 weeks and 12 months), "all"
    #[arg(long, value_name = "RULES")]
    pub(crate) keep: Option<KeepRules>,
    /// Keep the newest N backups ("unlimited": all)
    #[arg(short = 'l', long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(crate) keep_last: Limit,
    /// Keep the newest of each of the newest N hours
    #[arg(short = 'H', long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(crate) keep_hourly: Limit,
    /// Keep the newest of each of the newest N days
    #[arg(short = 'd', long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(crate) keep_daily: Limit,
    /// Keep the newest of each of the newest N weeks
    #[arg(short = 'w', long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(crate) keep_weekly: Limit,
    /// Keep the newest of each of the newest N months
    #[arg(short = 'm', long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(crate) keep_monthly: Limit,
    /// Keep the newest of each of the newest N years
    #[arg(short = 'y', long, value_name = "N", default_value = "0", hide_default_value = true)]
    pub(crate) keep_yearly: Limit,
    /// Keep what is not older than this, counted from the newest backup, as in 1y2m3d4h
    #[arg(long, value_name = "AGE")]
    pub(crate) keep_within: Option<Age>,
    /// Keep the newest of every hour that are not older
    #[arg(long, value_name = "AGE")]
    pub(crate) keep_within_hourly: Option<Age>,
    /// Keep the newest of every day that are not older
    #[arg(long, value_name = "AGE")]
    pub(crate) keep_within_daily: Option<Age>,
    /// Keep the newest of every week that are not older
    #[arg(long, value_name = "AGE")]
    pub(crate) keep_within_weekly: Option<Age>,
    /// Keep the newest of every month that are not older
    #[arg(long, value_name = "AGE")]
    pub(crate) keep_within_monthly: Option<Age>,
    /// Keep the newest of every year that are not older
    #[arg(long, value_name = "AGE")]
    pub(crate) keep_within_yearly: Option<Age>,
    /// Keep backups with all of these tags; may be repeated for others
    #[arg(long = "keep-tag", value_name = "TAG[,TAG]")]
    pub(crate) keep_tags: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArguments {
    /// Hours between announcing an object and removing it, and for which files of forgotten backups
    /// stay; fewer than 24 only while nothing else uses the repository
    #[arg(long = "grace", value_name = "HOURS", default_value_t = 24)]
    pub(crate) grace_hours: u64,
    /// Only show what would be merged, removed and announced (with --verbose, each object)
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
    /// Only backups of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) backup_type: Option<BackupType>,
    /// Only backups with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only the newest N
    #[arg(long, value_name = "N")]
    pub(crate) latest: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Read every object to its end and verify its content
    #[arg(long)]
    pub(crate) read_data: bool,
    /// Read a part of them: "1/7" (the first of seven parts, always the same ones), "5%" or "1G" (others
    /// each time)
    #[arg(long, value_name = "PART", conflicts_with = "read_data")]
    pub(crate) read_data_subset: Option<Subset>,
    /// Do not keep others from removing files meanwhile: what they remove is told as lost
    #[arg(long)]
    pub(crate) no_lock: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnlockArguments {
    /// Remove those too whose holders may be at work: only if they are known not to be
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Databases, directories with databases, sqlite:/// URLs, or names of the configuration;
    /// none: all databases of the configuration
    #[arg(value_name = "DATABASE")]
    pub(crate) databases: Vec<String>,
    /// Run SQLite's integrity and foreign key checks on the live databases: in place in WAL mode,
    /// on a private copy otherwise, so that writers do not wait
    #[arg(long)]
    pub(crate) integrity: bool,
}

#[derive(Debug, Clone, Copy, Subcommand, ValueEnum)]
pub(crate) enum ConfigCommand {
    /// Print the configuration in use, and the paths
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List keys, and the hosts whose signatures are known
    ///
    /// A star marks the key that opened the repository. What a key is called is known to whoever
    /// opens it only.
    List,
    /// Let one more password, or person, open the repository
    Add(KeyAddArguments),
    /// Take a key away
    ///
    /// Who has copied the secrets before can still read what was stored up to then: `rotate` makes
    /// new ones.
    Remove(KeyRemoveArguments),
    /// Change the password that opened the repository
    Passwd(KeyPasswdArguments),
    /// Make new secrets for everything that is stored from now on
    ///
    /// They are given to the key in use and to every person. Other passwords keep what they open,
    /// and must be added anew.
    Rotate(KeyRotateArguments),
    /// Believe what has changed: whom the repository is sealed for, with which keys hosts sign
    ///
    /// Without arguments, all of it.
    Accept(KeyAcceptArguments),
}

#[derive(Debug, Args)]
pub(crate) struct NewPassword {
    /// File whose first line is the new password [env: LIFEBOAT_NEW_PASSWORD_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,
    /// Command that prints the new password [env: LIFEBOAT_NEW_PASSWORD_COMMAND]
    #[arg(long, value_name = "COMMAND", conflicts_with = "new_password_file")]
    pub(crate) new_password_command: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KeyAddArguments {
    #[command(flatten)]
    pub(crate) new_password: NewPassword,
    /// The holder of this age key, instead of a password
    #[arg(
        long, value_name = "AGE1",
        conflicts_with_all = ["new_password_file", "new_password_command"]
    )]
    pub(crate) recipient: Option<String>,
    /// What to call it in listings
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Only check that it could be added
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRemoveArguments {
    /// The key: its id, or the beginning of it
    pub(crate) id: String,
    /// Only show which one would be removed
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyPasswdArguments {
    #[command(flatten)]
    pub(crate) new_password: NewPassword,
    /// Only check that it could be changed
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyRotateArguments {
    /// Only show who would keep access
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyAcceptArguments {
    /// Only whom the repository is sealed for
    #[arg(long)]
    pub(crate) recipient: bool,
    /// Only the keys of these hosts
    #[arg(value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// Only show what would be accepted
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}
