//! The operations that an application wants of its own backups, in one place.

mod options;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lifeboat_repository::{
    BackupId, BackupName, DatabaseSource, KeepRules, Manifest, Source, Time, usage,
};

pub use self::options::{BackupsOptions, RETENTION_DAYS};
use crate::prune::forget_and_prune;
use crate::verify::{verify, verify_selection};
use crate::{
    BackupRequest, Context, Error, ForgetRequest, Request, RestoreReport, RestoreRequest, Result,
    Selection, Silent, backup, backups, plan_restore, restore,
};

/// The backups of an application's databases in one repository.
///
/// It works as the command line does, with the same repository, password, configuration and state
/// where the options do not say otherwise; both may be used in turns. Nothing is printed. Sizes are
/// in bytes.
///
/// `latest`, an id (or the beginning of one) or a name tells which backup is meant; a [`Selection`]
/// says more where a repository holds several databases or hosts.
#[derive(Debug)]
pub struct DatabaseBackups {
    context: Context,
    rules: KeepRules,
}

/// A database in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseBackup {
    /// The backup; several databases may be in one.
    pub id: BackupId,
    /// The key of its manifest: the backup's path in the repository.
    pub path: String,
    /// A name for a file of it, which sorts by time: `app_20261121_024900.db`.
    pub file_name: String,
    /// The name given to the backup.
    pub name: Option<String>,
    /// When it was begun.
    pub created: Time,
    /// The database.
    pub database: String,
    /// Where the database was.
    pub source_path: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// Bytes that this backup added to the repository.
    pub stored_bytes: u64,
    /// The database's checksum, 16 hex digits.
    pub checksum: String,
    /// Rows by table; `None` where they could not be counted.
    pub tables: BTreeMap<String, Option<u64>>,
}

/// What [`DatabaseBackups::list`] found.
#[derive(Debug, Default)]
pub struct BackupList {
    /// What can be read, newest first.
    pub backups: Vec<DatabaseBackup>,
    /// Backups of which nobody knows what they hold, newest first, and why.
    pub unreadable: Vec<(BackupId, Error)>,
}

/// What [`DatabaseBackups::verify_all`] found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Backups that were restored and are sound, newest first.
    pub valid: Vec<BackupId>,
    /// Backups that cannot be restored, newest first, and why.
    pub invalid: Vec<(BackupId, Error)>,
}

/// What [`DatabaseBackups::stats`] adds up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupsStats {
    /// Backups.
    pub total_backups: u64,
    /// Bytes of the repository.
    pub total_size_bytes: u64,
    /// When the newest was begun.
    pub newest: Option<Time>,
    /// When the oldest was begun.
    pub oldest: Option<Time>,
}

impl DatabaseBackups {
    /// Opens a repository, which must be there unless it is the default one.
    pub fn open(options: &BackupsOptions) -> Result<Self> {
        let backups = Self { context: options.context()?, rules: options.rules() };
        backups.context.open_or_make_repository(&Silent)?;
        Ok(backups)
    }

    /// Opens a repository, and makes it where there is none. If no password is given or configured,
    /// one is made in the default password file: without a copy of it, the backups are of no use.
    pub fn open_or_init(options: &BackupsOptions) -> Result<Self> {
        let backups = Self { context: options.context()?, rules: options.rules() };
        match backups.context.open_repository() {
            Err(Error::Repository(lifeboat_repository::Error::NoRepository { .. })) => {
                backups.context.init(&Silent)?;
            }
            opened => drop(opened?),
        }
        Ok(backups)
    }

    /// What the operations of this crate work with.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Backs a database up, while it is in use; `name` is one to find the backup by. What it says
    /// is in the repository when this returns.
    pub fn create(&self, database: impl AsRef<Path>, name: Option<&str>) -> Result<DatabaseBackup> {
        let path = database.as_ref();
        // A path, whatever it looks like: not a name of the configuration, nor a URL.
        let path = std::path::absolute(path).map_err(Error::file("resolve", path))?;
        let Some(text) = path.to_str().filter(|_| !path.is_dir()) else {
            return Err(lifeboat_sqlite::Error::NotADatabase { path }.into());
        };
        let sources = vec![text.to_owned()];
        let request = BackupRequest {
            sources: Request::databases(sources),
            label: name.map(str::to_owned),
            ..BackupRequest::default()
        };
        let report = backup(&self.context, &request, &Silent)?;
        // A backup of one database without it is none: then there was an error.
        databases_of(&report.name, &report.manifest)?
            .pop()
            .ok_or_else(|| lifeboat_sqlite::Error::Missing { path }.into())
    }

    /// Puts a database back: to `target`, else where it came from. It is staged, compared with its
    /// checksums, and only then swapped in; `verify` adds SQLite's own integrity check.
    ///
    /// What was there is moved aside, and [`RestoreReport::replaced`] says where it is.
    pub fn restore(
        &self,
        which: impl Into<Selection>,
        target: Option<&Path>,
        verify: bool,
    ) -> Result<RestoreReport> {
        let opened = self.context.open_repository()?;
        let request = RestoreRequest {
            selection: which.into(),
            target: target.map(Path::to_owned),
            force: true,
            no_verify: !verify,
        };
        let plan = plan_restore(&opened, &request, &Silent)?;
        restore(&opened, plan, &Silent)
    }

    /// Restores a backup to a scratch file and checks it to the last byte; the error says what is
    /// wrong with it.
    pub fn verify(&self, which: impl Into<Selection>) -> Result<()> {
        let opened = self.context.open_repository()?;
        verify_selection(&opened, &which.into(), &Silent)
    }

    /// Verifies all backups. Fails where it cannot be told whether one is sound.
    pub fn verify_all(&self) -> Result<Verified> {
        let opened = self.context.open_repository()?;
        let mut verified = Verified::default();
        for entry in backups(&opened)? {
            let id = entry.name.id;
            match entry.manifest.and_then(|manifest| verify(&opened, &manifest, &Silent)) {
                Ok(()) => verified.valid.push(id),
                Err(error) if is_invalid(&error) => verified.invalid.push((id, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(verified)
    }

    /// All databases of all backups, newest first.
    pub fn list(&self) -> Result<BackupList> {
        let opened = self.context.open_repository()?;
        let mut list = BackupList::default();
        for entry in backups(&opened)? {
            match entry.manifest {
                Ok(manifest) => list.backups.extend(databases_of(&entry.name, &manifest)?),
                Err(error) => list.unreadable.push((entry.name.id, error)),
            }
        }
        Ok(list)
    }

    /// Forgets what is older than the retention, or what the rules of the options do not keep, of
    /// this host's backups; returns how many backups went. Bytes that nothing needs any more are
    /// announced, and go with a cleanup at least a day later.
    ///
    /// The newest stays, whatever its age, and so do backups with the tag `safety`. Ages count back
    /// from the newest, so that nothing goes while no backups are made.
    pub fn cleanup(&self) -> Result<u64> {
        let opened = self.context.open_repository()?;
        let request = ForgetRequest {
            rules: Some(self.rules.clone()),
            host: Some(self.context.host_name()),
            ..ForgetRequest::default()
        };
        let cleaned = forget_and_prune(&opened, &request, &Silent)?;
        Ok(cleaned.forget.gone(&cleaned.forgotten).count() as u64)
    }

    /// Adds up what is in the repository.
    pub fn stats(&self) -> Result<BackupsStats> {
        let opened = self.context.open_repository()?;
        let names = opened.repository().backups()?;
        Ok(BackupsStats {
            total_backups: names.len() as u64,
            total_size_bytes: usage(opened.repository())?.bytes,
            newest: names.first().map(|name| name.started),
            oldest: names.last().map(|name| name.started),
        })
    }
}

/// Whether an error says that a backup is unsound, and not that it could not be looked at.
fn is_invalid(error: &Error) -> bool {
    use lifeboat_sqlite::Error as Database;
    error.is_damage()
        || matches!(
            error,
            Error::Database(
                Database::Corrupt { .. }
                    | Database::NotADatabase { .. }
                    | Database::Ltx { .. }
                    | Database::Discontinuous { .. }
                    | Database::Integrity { .. }
            )
        )
}

fn databases_of(name: &BackupName, manifest: &Manifest) -> Result<Vec<DatabaseBackup>> {
    let databases = manifest.sources.iter().filter_map(Source::database);
    databases.map(|database| describe(name, manifest, database)).collect()
}

fn describe(
    name: &BackupName,
    manifest: &Manifest,
    database: &DatabaseSource,
) -> Result<DatabaseBackup> {
    let time = manifest.started.timestamp().strftime("%Y%m%d_%H%M%S");
    Ok(DatabaseBackup {
        id: manifest.id,
        path: name.key()?.to_string(),
        file_name: format!("{}_{time}.db", database.name),
        name: manifest.label.clone(),
        created: manifest.started,
        database: database.name.clone(),
        source_path: PathBuf::from(&database.path),
        size_bytes: database.size_bytes,
        stored_bytes: database.stored_bytes,
        checksum: database.checksum.to_string(),
        tables: database.tables.clone(),
    })
}
