//! Backup and restore of running applications and their SQLite databases.
//!
//! This is the application without its command line: it reads the configuration, finds databases,
//! captures them into a repository and puts them back. It never prints; what happens while it works
//! is told to a [`Progress`].

mod backup;
mod backups;
mod capture;
mod check;
mod config;
mod context;
mod discover;
mod dump;
mod environment;
mod error;
mod fill;
mod location;
mod names;
mod opened;
mod password;
mod progress;
mod restore;
mod select;
mod space;
mod staging;
mod state;
mod stats;
mod verify;

pub use lifeboat_repository::{
    BackupId, BackupName, CheckOptions, CheckReport, DatabaseSource, Finding, Manifest, ObjectRef,
    Problem, Source, Time,
};
pub use lifeboat_sqlite::{Replaced, check_engine};

pub use backup::{BackupReport, BackupRequest, SourceReport, backup};
pub use backups::{BackupEntry, backups};
pub use check::check;
pub use config::{Config, ConfigFile, DatabaseConfig, RepositoryConfig};
pub use context::{Context, Overrides};
pub use discover::{DatabaseTarget, Request, discover, path_of_url};
pub use dump::dump;
pub use environment::Environment;
pub use error::{Error, Result};
pub use opened::OpenRepository;
pub use password::{PasswordSource, SecretString};
pub use progress::{Note, Progress, Silent};
pub use restore::{RestorePlan, RestoreReport, RestoreRequest, plan_restore, restore};
pub use select::{Selection, select};
pub use stats::{DatabaseStats, Stats, stats};
