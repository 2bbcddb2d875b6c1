//! Backup and restore of running applications and their SQLite databases.
//!
//! This is the application without its command line: it reads the configuration, finds databases,
//! captures them into a repository and puts them back. It never prints; what happens while it works
//! is told to a [`Progress`].
//!
//! An application that keeps its own backups needs [`DatabaseBackups`] and little else:
//!
//! ```
//! use lifeboat::{BackupsOptions, DatabaseBackups, PasswordSource};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = |name: &str| directory.path().join(name);
//! # let database = path("app.db");
//! # rusqlite::Connection::open(&database)?.execute_batch("CREATE TABLE notes(text); INSERT INTO notes VALUES ('x')")?;
//! # let environment = Some(lifeboat::Environment::of([("HOME", directory.path())], directory.path()));
//!
//! let backups = DatabaseBackups::open_or_init(&BackupsOptions {
//!     repository: Some(path("backups").display().to_string()),
//!     password: Some(PasswordSource::Given("correct horse battery staple".into())),
//!     state_directory: Some(path("state")),
//!     retention_days: 30,
//! #   environment,
//!     ..BackupsOptions::default()
//! })?;
//!
//! let backup = backups.create(&database, Some("before_migration_v2"))?;
//! assert_eq!(backup.tables["notes"], Some(1));
//! backups.verify("before_migration_v2")?;
//!
//! std::fs::remove_file(&database)?;
//! backups.restore("latest", None, true)?;
//! assert!(database.exists());
//!
//! assert_eq!(backups.list()?.backups[0], backup);
//! assert_eq!(backups.cleanup()?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! [`backup()`], [`restore()`] and the other functions are what it is made of: they take a [`Context`],
//! tell progress, and can do more.

mod append_only;
mod auth;
mod backoff;
mod backup;
mod backup_event;
mod backups;
mod capture;
mod changed_by;
mod check;
mod config;
mod context;
mod copy;
mod credential;
mod database_backups;
mod databases_meant;
mod destination;
mod detour;
mod discover;
mod doctor;
mod dump;
mod environment;
mod error;
mod everywhere;
mod files;
mod fill;
mod fleet;
mod follow;
mod forget;
mod held_locks;
mod hooks;
mod key;
mod ladders;
mod lease;
mod location;
mod mount;
mod names;
mod opened;
mod password;
mod pins;
mod plan_backup;
mod point_choice;
mod point_search;
mod points;
mod prefixed;
mod progress;
mod prune;
mod ranges;
mod renew;
mod replicate;
mod restore;
mod restore_point;
mod search;
mod select;
mod selected;
pub mod size;
mod sources;
mod space;
mod staging;
mod state;
mod stats;
mod status;
mod threads;
mod tidy;
mod undelete;
mod unlock;
mod verify;
mod vouch;
mod way;
mod when;

pub use lifeboat_files::{Entry, FileTime, Kind, Metadata, Overwrite, PutReport};
pub use lifeboat_ltx::Txid;
pub use lifeboat_repository::{
    Age, BackupCopy, BackupId, BackupName, BackupType, CheckOptions, CheckReport, CommandSource,
    CompactPlan, CompactReport, DatabaseSource, DeviceSource, Doomed, FilesPrunePlan, FilesPruned,
    FilesSource, FilesUsage, Finding, ForgetReport, Forgotten, Form, GRACE, KeepRules, KeyEntry,
    KeyHolder, KeyId, Ladder, Limit, LineageId, LostSource, LtxFile, Manifest, Merge, ObjectRef,
    Person, PlacedDatabase, Point, Problem, PruneOptions, PrunePlan, PruneReport, Reason,
    Recipient, Returning, Source, StoredTree, Subset, Time, Undeletion, Why, Wrapping,
    WrappingName, fingerprint,
};
pub use lifeboat_restic::{Lock, LostPath, LostRoot, Unlock, Unlocked, escape, is_stale};
pub use lifeboat_sqlite::{Replaced, check_engine};
pub use lifeboat_storage::{Authorization as DriveAuthorization, TokenFile as DriveTokens};

pub use auth::{
    DriveClient, DriveGrant, begin_drive_authorization, import_drive_authorization,
    keep_drive_authorization,
};
pub use backup::{BackupReport, BackupRequest, SourceReport, backup};
pub use backup_event::BackupEvent;
pub use backups::{BackupEntry, backup_names, backups};
pub use changed_by::ChangedBy;
pub use check::{check, check_without_lock};
pub use config::{
    ByteLimit, CommandConfig, CommandLine, Config, ConfigFile, ConfigProblem, ConfigSecret,
    DatabaseConfig, DeviceConfig, FilesConfig, HooksConfig, Interval, ObjectLockConfig,
    ObjectLockMode, PointsConfig, Preset, RateTable, ReplicateConfig, RepositoryConfig,
    StoreConfig, TypeConfig,
};
pub use context::{Context, Overrides};
pub use copy::{
    CopyFailure, CopyPlan, CopyReport, CopyRequest, PlannedCopy, copy, plan_copy, select_copies,
};
pub use credential::KeySource;
pub use database_backups::{
    BackupList, BackupsOptions, BackupsStats, DatabaseBackup, DatabaseBackups, RETENTION_DAYS,
    Verified,
};
pub use detour::{DamagedObject, Detour, SkippedBackup};
pub use discover::{DatabaseTarget, Request, discover, path_of_url};
pub use doctor::{Area, Diagnosis, DoctorRequest, Examination, Severity, doctor};
pub use dump::{DumpReport, PointDumpReport, dump, dump_point};
pub use environment::Environment;
pub use error::{Error, Result};
pub use everywhere::{Brought, Elsewhere, EverywhereReport, backup_everywhere};
pub use files::{
    Change, DatabaseDifference, DiffItem, DiffReport, DiffRequest, Difference, FileDumpReport,
    FilesRestorePlan, FilesRestoreReport, FilesRestoreRequest, FindReport, FindRequest, FoundEntry,
    FoundWhat, ImageRestorePlan, ImageRestoreReport, ImageRestoreRequest, ListRequest, Meant,
    PlacedAction, PlacedPlan, RestoreProblem, RestoredDatabase, StoredSource, diff, dump_file,
    find_files, kind_name, list_files, meant, plan_files_prune, plan_files_restore,
    plan_image_restore, restore_files, restore_image,
};
pub use fleet::{Fleet, HostBackups, UnreadableRepository, fleet};
pub use follow::{
    FollowEnd, FollowEvent, FollowPoint, FollowReport, FollowRequest, Rewrite, follow,
};
pub use forget::{ForgetGroup, ForgetPlan, ForgetRequest, ForgetVerdict, forget, plan_forget};
pub use held_locks::HeldLocks;
pub use hooks::{HookStatus, Hooked, PendingHooks};
pub use key::{
    Acceptable, Acceptance, ChangedHost, ChangedRecipient, KeptPassword, KeyList, NewKey,
    PasswordChange, PinnedHost, Removal, Rotation, accept, add_key, change_password, keys,
    plan_acceptance, plan_addition, plan_password_change, plan_removal, plan_rotation, remove_key,
    rotate,
};
pub use opened::OpenRepository;
pub use password::{PasswordSource, SecretString};
pub use plan_backup::{BackupPlan, PlannedFiles, plan_backup};
pub use point_choice::{FoundPoint, PointChoice, PointSelection, parse_txid};
pub use point_search::SkippedPoint;
pub use points::{DatabasePoints, LineagePoints, PointsRequest, points};
pub use progress::{Note, Progress, Silent};
pub use prune::{
    CleanupReport, Pruned, SpaceUsed, cleanup, compact, plan_compact, plan_prune, prune, space_used,
};
pub use ranges::{PointRange, ranges};
pub use renew::{Renewed, renew_bases};
pub use replicate::{
    Activity, DatabaseStatus, Event, Events, LeaseStatus, ReplicateReport, ReplicateRequest,
    RepositoryStatus, Stop, UpkeepStatus, replicate, yield_databases,
};
pub use restore::{RestorePlan, RestoreReport, RestoreRequest, plan_restore, restore};
pub use restore_point::{
    PointRestorePlan, PointRestoreReport, PointRestoreRequest, plan_point_restore, restore_point,
};
pub use select::{Selection, select};
pub use sources::{CommandTarget, DeviceTarget, FilesTarget, Sources, sources};
pub use stats::{
    DatabaseStats, FORECAST_DAYS, FilesStats, Forecast, Stats, StoredSourceStats, stats,
};
pub use status::status;
pub use undelete::{UndeleteRequest, plan_undelete, undelete};
pub use unlock::unlock;
pub use when::parse_time;
