//! Examines what backups and restores depend on, before they do.
//!
//! Everything is looked at and nothing is changed, but for one object that is written to each
//! repository, read back and removed. No repository, state directory, configuration, database or
//! password is made. With `--integrity` a private copy of a rollback-journal database is checked.

mod access;
mod clock;
mod configuration;
mod database;
mod drive;
mod engine;
mod files;
mod files_part;
mod finding;
mod history;
mod integrity;
mod journal;
mod locks;
mod modes;
mod mount;
mod patients;
mod probe;
mod repository;
mod room;
mod scratch;
mod state;
mod store;

use lifeboat_repository::Time;
use lifeboat_sqlite::JournalMode;

pub use finding::{Area, Diagnosis, Examination, Severity};

use crate::{ConfigFile, Context, Environment, Overrides, Progress, Request, Result};
use database::Patient;

/// Bytes that the state directory keeps for each page of a database, at the smallest usual page
/// size of 4 KiB: 1/128 of the database.
const PAGE_ARRAY_SHARE: u64 = 128;

/// What to examine.
#[derive(Debug, Clone, Default)]
pub struct DoctorRequest {
    /// The databases, and configured files; empty: all of the configuration.
    pub sources: Request,
    /// Whether to run SQLite's own check on each of them.
    pub integrity: bool,
}

/// Examines engine, configuration, state directory, clock, repositories, databases and configured files.
///
/// What is wrong with any of them is a finding; an error is only what keeps from examining at all.
pub fn doctor(
    environment: Environment,
    overrides: Overrides,
    request: &DoctorRequest,
    progress: &dyn Progress,
) -> Result<Vec<Examination>> {
    let loaded = ConfigFile::load(overrides.config.as_deref(), &environment);
    let configuration = configuration::examine(&loaded);
    let is_configured = loaded.is_ok();
    let context = Context::look(environment, overrides, loaded.unwrap_or_default())?;
    let now = Time::now();

    let (mut patients, mut databases) = patients::find(&context, &request.sources, progress);
    for patient in &mut patients {
        databases.push(database::examine(&context, patient, request.integrity, progress));
    }
    let mut newest = None;
    let mut repositories = Vec::new();
    // A configuration that cannot be read may name another repository than the default one.
    if is_configured {
        for chosen in context.every_chosen() {
            let (examination, found) = repository::examine(&context, chosen, &patients, now);
            repositories.push(examination);
            newest = newest.max(found);
        }
    }
    let mut examinations = vec![
        engine::examine(),
        configuration,
        state::examine(context.state_path(), state_bytes(&patients)),
        clock::examine(now, newest.as_ref()),
    ];
    examinations.extend(repositories);
    examinations.extend(databases);
    examinations.extend(files::examine(&context, &request.sources, progress));
    Ok(examinations)
}

/// What the next backup needs in the state directory: page arrays, and the largest spool.
fn state_bytes(patients: &[Patient]) -> u64 {
    let vitals = || patients.iter().filter_map(|patient| patient.vitals);
    let arrays: u64 = vitals().map(|vitals| vitals.size_bytes / PAGE_ARRAY_SHARE).sum();
    let spools = vitals().filter(|vitals| vitals.journal_mode == JournalMode::Rollback);
    arrays + spools.map(|vitals| vitals.size_bytes).max().unwrap_or(0)
}
