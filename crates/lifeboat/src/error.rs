//! What can go wrong in the application.

use std::io;
use std::path::{Path, PathBuf};

use lifeboat_repository::{BackupId, BackupName, LineageId, Point, Time};
use lifeboat_storage::Key;

/// The result of an operation of the application.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A database could not be read or put back.
    #[error(transparent)]
    Database(#[from] lifeboat_sqlite::Error),
    /// A repository could not be used.
    #[error(transparent)]
    Repository(#[from] lifeboat_repository::Error),
    /// The paths of a source make no sense.
    #[error(transparent)]
    Files(lifeboat_files::Error),
    /// A directory to restore to could not be used.
    #[error(transparent)]
    Put(lifeboat_files::Problem),
    /// What was named is not among the files of a source.
    #[error("no {} in source {source_name} of backup {}", path.display(), backup.short())]
    NoPath {
        /// The path.
        path: PathBuf,
        /// The source.
        source_name: String,
        /// The backup.
        backup: BackupId,
    },
    /// Something of a backup cannot be read back.
    #[error("{} of source {source_name} cannot be read back", path.display())]
    NotReadable {
        /// What.
        path: PathBuf,
        /// The source.
        source_name: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// What a command prints could not be backed up.
    #[error("the command of {name} failed: {command:?}: {problem}")]
    Command {
        /// The source.
        name: String,
        /// The command as configured.
        command: String,
        /// What happened.
        problem: String,
    },
    /// Several sources failed for this one reason.
    #[error(transparent)]
    Shared(std::sync::Arc<Error>),
    /// A file or directory of ours could not be used.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file of the state directory is damaged.
    #[error("state file {} is damaged: {detail}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The configuration is wrong.
    #[error("{}: {}{problem}", path.display(), line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Config {
        /// The file.
        path: PathBuf,
        /// The line, where it is known.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// The request makes no sense.
    #[error("{problem}")]
    Usage {
        /// Why.
        problem: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The file of a person's key is unusable.
    #[error("identity file {}: {detail}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no key that fits the request.
    #[error("no key {wanted} in {location}")]
    NoKey {
        /// What was asked for.
        wanted: String,
        /// Where.
        location: String,
    },
    /// The key that opened the repository cannot be removed.
    #[error("cannot remove key {id}: it opened the repository just now")]
    KeyInUse {
        /// The beginning of its id.
        id: String,
    },
    /// Without this key nobody could open what is stored from now on.
    #[error("cannot remove key {id}: no other key opens generation {generation}")]
    LastKey {
        /// The beginning of its id.
        id: String,
        /// The generation in use.
        generation: u32,
    },
    /// A password is needed and none was given.
    #[error("no password for repository {location}")]
    NoPassword {
        /// Which repository.
        location: String,
    },
    /// The program that should print the password failed.
    #[error("password command {command:?} failed: {problem}")]
    PasswordCommand {
        /// The command as configured.
        command: String,
        /// What happened.
        problem: String,
    },
    /// A command that is to be run around a backup failed.
    #[error("the {hook} failed: {command:?}: {problem}")]
    Hook {
        /// Which.
        hook: String,
        /// The command as configured.
        command: String,
        /// What happened.
        problem: String,
    },
    /// The `before` hook of every source said that now is no time for a backup of it.
    #[error("nothing was backed up: hooks said that now is no time for it")]
    Skipped,
    /// Locks were given back, because the program was asked to end: none is taken any more.
    #[error("interrupted")]
    Interrupted,
    /// A password was given for a repository that is not encrypted.
    #[error("repository {location} is not encrypted (form litestream), but a password was given")]
    NotEncrypted {
        /// Which repository.
        location: String,
    },
    /// Where a host has kept an encrypted repository, there is one that is not.
    #[error("repository {location} is not encrypted (form litestream), the one there before was")]
    NoLongerEncrypted {
        /// Where.
        location: String,
    },
    /// Litestream cannot restore a database without a page, so none is stored for it.
    #[error("{} is empty, which a repository of form litestream cannot hold", path.display())]
    EmptyDatabase {
        /// The database.
        path: PathBuf,
    },
    /// Another process of Lifeboat is at work on the same database.
    #[error("database {name} is being backed up by another process")]
    Busy {
        /// The database.
        name: String,
    },
    /// Another host writes to the database's replica.
    #[error("database {name} is written by host {hostname:?}, last heard of at {last_upload}")]
    LeaseHeld {
        /// The database.
        name: String,
        /// What the other host calls itself.
        hostname: String,
        /// Its last sign of life.
        last_upload: Time,
        /// When it will have been silent for long enough to take over.
        until: Time,
    },
    /// There was nobody to let go of a database, or it could not.
    #[error("cannot let go of {name}: {problem}")]
    Yield {
        /// The database.
        name: String,
        /// What was said.
        problem: String,
    },
    /// The replication of a database could not do what was asked of it.
    #[error("the replication of {name} could not capture it: {problem}")]
    Replication {
        /// The database.
        name: String,
        /// What it said.
        problem: String,
    },
    /// There is no repository where backups were to be copied to.
    #[error("no repository at {location} to copy to")]
    NoTarget {
        /// Where it was looked for.
        location: String,
    },
    /// Backups of another host would be signed by this one.
    #[error("backup {} is of host {host}, and its copy would be signed by this host", backup.short())]
    OtherHostsCopy {
        /// The backup.
        backup: BackupId,
        /// Its host, as it stands in keys.
        host: String,
    },
    /// There is no backup that fits the request.
    #[error("no backup {wanted} in {location}")]
    NoBackup {
        /// What was asked for.
        wanted: String,
        /// Where.
        location: String,
    },
    /// There is no database that fits the request.
    #[error("no database{wanted} in {location}")]
    NoDatabase {
        /// What was asked for, after a blank.
        wanted: String,
        /// Where.
        location: String,
    },
    /// There is no lineage that fits the request.
    #[error("no lineage {wanted} in {location}")]
    NoLineage {
        /// What was asked for.
        wanted: String,
        /// Where.
        location: String,
    },
    /// There is no point that fits the request.
    #[error("no point {wanted} in {location}")]
    NoPoint {
        /// What was asked for, and of which database.
        wanted: String,
        /// Where.
        location: String,
        /// The oldest and the newest point that there is.
        between: Option<(Point, Point)>,
    },
    /// A point cannot be restored, because of what is damaged or gone.
    #[error("transaction {} of lineage {lineage} cannot be restored", point.txid)]
    PointUnrestorable {
        /// The lineage.
        lineage: LineageId,
        /// The point: the one that was named, else the newest of those that were meant.
        point: Point,
        /// The newest before it that can, by what is known.
        earlier: Option<Point>,
        /// What stands in the way.
        #[source]
        source: Box<Error>,
    },
    /// The request fits several.
    #[error("{wanted:?} could be any of {}", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// What it fits.
        candidates: Vec<String>,
    },
    /// Rules would forget every backup of a source.
    #[error("refusing to forget every backup of {source_name} on {host}")]
    KeepsNothing {
        /// The host.
        host: String,
        /// The source.
        source_name: String,
    },
    /// No such backup was forgotten, or it has been pruned since.
    #[error("no forgotten backup {wanted} in {location}")]
    NotForgotten {
        /// What was asked for.
        wanted: String,
        /// Where.
        location: String,
    },
    /// Sources can only be put back into a backup by its own host, which signs it.
    #[error("only host {host} can put {} back into backup {}", sources.join(", "), backup.short())]
    OtherHost {
        /// The backup.
        backup: BackupId,
        /// Its host.
        host: String,
        /// The names of the sources.
        sources: Vec<String>,
    },
    /// This host removes nothing from the repository.
    #[error("{location} is append-only for this host")]
    AppendOnly {
        /// Where.
        location: String,
    },
    /// There is not enough room.
    #[error("not enough room in {}: {needed} bytes needed, {free} free", path.display())]
    Space {
        /// The directory.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// A backup cannot be restored, because of what is damaged or gone.
    #[error("backup {} cannot be restored", backup.id.short())]
    Unrestorable {
        /// The backup: the one that was named, else the newest.
        backup: BackupName,
        /// The newest others of the same database that can, by what is known.
        others: Vec<BackupName>,
        /// What stands in the way.
        #[source]
        source: Box<Error>,
    },
    /// Output could not be written.
    #[error("cannot write the output")]
    Output {
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether it speaks of what a repository holds: other backups may still be whole.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Repository(error) if error.is_damage())
    }

    /// Whether there is no repository at the place.
    pub(crate) fn is_no_repository(&self) -> bool {
        matches!(self, Self::Repository(lifeboat_repository::Error::NoRepository { .. }))
    }

    /// Whether it speaks of a repository, so that another one may do.
    pub(crate) fn is_of_repository(&self) -> bool {
        match self {
            Self::Shared(error) => error.is_of_repository(),
            Self::Repository(_)
            | Self::NoPassword { .. }
            | Self::NotEncrypted { .. }
            | Self::NoLongerEncrypted { .. } => true,
            _ => false,
        }
    }

    /// Whether a storage failed: it may do so with everything else, too.
    pub(crate) fn is_of_storage(&self) -> bool {
        matches!(self, Self::Repository(lifeboat_repository::Error::Storage(_)))
    }

    /// Whether the storage at a location failed.
    pub(crate) fn is_of_storage_at(&self, location: &str) -> bool {
        self.storage().is_some_and(|storage| storage.location() == Some(location))
    }

    /// Whether the storage at a location takes nothing at all for now.
    pub(crate) fn is_of_all_at(&self, location: &str) -> bool {
        let takes_nothing = lifeboat_storage::Error::takes_nothing;
        self.is_of_storage_at(location) && self.storage().is_some_and(takes_nothing)
    }

    fn storage(&self) -> Option<&lifeboat_storage::Error> {
        use lifeboat_repository::Error as Repository;
        match self {
            Self::Shared(error) => error.storage(),
            Self::Repository(Repository::Storage(error))
            | Self::Repository(Repository::Files(lifeboat_restic::Error::Storage(error))) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// Whether other bytes have the name of an object that was to be written.
    pub(crate) fn is_taken_name(&self) -> bool {
        let Self::Repository(lifeboat_repository::Error::Storage(error)) = self else {
            return false;
        };
        matches!(error, lifeboat_storage::Error::Exists { .. })
    }

    /// Whether the files part cannot be opened because of what is stored.
    pub(crate) fn is_damaged_files(&self) -> bool {
        use lifeboat_restic::Error as Restic;
        matches!(
            self,
            Self::Repository(lifeboat_repository::Error::Files(
                Restic::WrongKey { .. } | Restic::UnknownVersion { .. } | Restic::Corrupt { .. }
            ))
        )
    }

    /// The lock of the files part that is in the way, and how many seconds ago it was taken or renewed.
    pub fn locked_by(&self) -> Option<(&lifeboat_restic::Lock, u64)> {
        match self {
            Self::Repository(lifeboat_repository::Error::Files(
                lifeboat_restic::Error::Locked { lock, age_seconds, .. },
            )) => Some((lock, *age_seconds)),
            Self::Shared(error) => error.locked_by(),
            _ => None,
        }
    }

    /// The object that is damaged, if one is.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Repository(error) => error.key(),
            _ => None,
        }
    }

    /// What was wrong with the source itself, if it was that: nothing was stored.
    pub(crate) fn of_source(&self) -> Option<String> {
        match self {
            Self::Repository(lifeboat_repository::Error::Files(
                lifeboat_restic::Error::Source { source },
            )) => Some(source.to_string()),
            _ => None,
        }
    }

    pub(crate) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { operation, path: path.to_owned(), source }
    }

    pub(crate) fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: Some(hint.into()) }
    }
}

impl From<lifeboat_storage::Error> for Error {
    fn from(error: lifeboat_storage::Error) -> Self {
        Self::Repository(error.into())
    }
}

impl From<lifeboat_restic::Error> for Error {
    fn from(error: lifeboat_restic::Error) -> Self {
        Self::Repository(error.into())
    }
}

/// An error and all that is behind it, as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
