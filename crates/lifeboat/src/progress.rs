//! What is told while work goes on.

use std::path::PathBuf;

use lifeboat_ltx::Txid;
use lifeboat_repository::{BackupName, DatabaseSource};

use crate::{BackupEvent, ChangedBy, DamagedObject, FoundPoint, SkippedBackup, SkippedPoint};

/// Receives the progress of long work. All methods do nothing by default.
pub trait Progress: Sync {
    /// A stage of work begins: `what` is being done, to `total` bytes if that is known.
    fn begin(&self, _what: &str, _total: Option<u64>) {}

    /// So many bytes of the stage are done.
    fn advance(&self, _bytes: u64) {}

    /// The stage is over.
    fn end(&self) {}

    /// Something happened that the user should know.
    fn note(&self, _note: &Note) {}

    /// Something happened to a backup.
    fn event(&self, _event: &BackupEvent<'_>) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// What a user should know although the work goes on.
#[derive(Debug)]
pub enum Note {
    /// The default repository was made.
    RepositoryMade {
        /// Where.
        location: String,
    },
    /// The repository is not encrypted; told when it is made and when this host first writes to it.
    NotEncrypted {
        /// Where.
        location: String,
    },
    /// A password was generated. Without it nothing can be restored.
    PasswordMade {
        /// The file that holds it.
        path: PathBuf,
    },
    /// A database is stored as a whole, and why.
    WholeDatabase {
        /// Its name.
        source: String,
        /// Why it is not only what changed.
        reason: String,
    },
    /// How it was found out what changed in a database; not told where it is stored as a whole.
    ChangedBy {
        /// Its name.
        source: String,
        /// How.
        by: ChangedBy,
        /// Why all of it was read.
        reason: Option<String>,
    },
    /// What this host knew of a database was lost, and was made anew from the repository.
    StateRebuilt {
        /// The database's name.
        source: String,
        /// What was wrong with it.
        reason: String,
        /// The transaction that was found, after which the lineage goes on.
        txid: Txid,
    },
    /// Another host held the lease of the database, and has lost it to this one.
    TakenOver {
        /// The database's name.
        source: String,
        /// What the other host calls itself.
        from: String,
    },
    /// The `before` hook of a source said that now is no time for it.
    SkippedSource {
        /// The source's name.
        source: String,
    },
    /// The database could not be read in place; a private copy was made, nothing was changed.
    PrivateCopy {
        /// The database's name.
        source: String,
    },
    /// There is no room for a spool: the application's writers wait until the database is stored.
    NoRoomToSpool {
        /// The database's name.
        source: String,
    },
    /// Something of a source of files is left out.
    LeftOut {
        /// What.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Something of a source of files could not be read.
    Unreadable {
        /// What, and why.
        problem: String,
    },
    /// A path was found twice, by another name or link.
    SameDatabase {
        /// The path that is left out.
        path: PathBuf,
        /// The path that stands for it.
        other: PathBuf,
    },
    /// An object turned out to be damaged or gone; a way around it is looked for.
    DamagedObject {
        /// Which, and why.
        object: DamagedObject,
    },
    /// A backup was passed over, because it cannot be restored.
    SkippedBackup {
        /// Which, and why.
        backup: SkippedBackup,
    },
    /// Another backup is restored than was said before.
    OtherBackup {
        /// Which.
        name: BackupName,
        /// The name given to it.
        label: Option<String>,
        /// The database in it.
        database: Box<DatabaseSource>,
    },
    /// A point was passed over, because it cannot be restored.
    SkippedPoint {
        /// Which, and why.
        skipped: SkippedPoint,
    },
    /// Another point is restored than was said before.
    OtherPoint {
        /// Which.
        found: FoundPoint,
    },
    /// A host's key was seen for the first time; from now on no other is taken for it.
    HostPinned {
        /// The host, as it stands in keys.
        host: String,
        /// The public key.
        key: String,
    },
    /// Files are read without a lock, because nothing can be written to the repository.
    NotLocked {
        /// Where it is.
        location: String,
    },
    /// Verification was switched off.
    NotVerified,
    /// Files of a restore that was killed were removed.
    SweptStage {
        /// The file.
        path: PathBuf,
    },
}
