//! An application that keeps its own backups.
//!
//! `cargo run -p lifeboat --example embed -- app.db backups` backs `app.db` up to the directory
//! `backups` (made if it is not there), verifies everything, restores the newest to
//! `app.db.restored`, and forgets what is older than 30 days.

#![allow(clippy::print_stdout, reason = "it shows what it does")]

use std::path::{Path, PathBuf};

use lifeboat::{BackupsOptions, DatabaseBackups, PasswordSource, Result, Time};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(database), Some(repository)) = (arguments.next(), arguments.next()) else {
        println!("usage: embed DATABASE REPOSITORY");
        return Ok(());
    };
    run(&database, &repository)
}

/// What an application would do, all in a row.
pub fn run(database: &Path, repository: &Path) -> Result<()> {
    // An application takes its password from where it keeps its other secrets.
    let password = PasswordSource::Given("correct horse battery staple".into());
    let backups = DatabaseBackups::open_or_init(&BackupsOptions {
        repository: Some(repository.display().to_string()),
        password: Some(password),
        state_directory: Some(repository.with_extension("state")),
        ..BackupsOptions::default()
    })?;

    // The database may be in use. The second backup stores only the pages that changed.
    let name = format!("on_{}", Time::now().name());
    let backup = backups.create(database, Some(&name))?;
    println!(
        "{} holds {} bytes, {} of them new",
        backup.file_name, backup.size_bytes, backup.stored_bytes
    );
    for (table, rows) in &backup.tables {
        println!("  {table}: {} rows", rows.unwrap_or_default());
    }

    // Every backup is restored to a scratch file and compared with its checksums.
    let verified = backups.verify_all()?;
    println!("{} valid, {} invalid", verified.valid.len(), verified.invalid.len());

    let target = database.with_extension("db.restored");
    let restored = backups.restore(&*name, Some(&target), true)?;
    println!("restored {} bytes to {}", restored.size_bytes, restored.target.display());

    let removed = backups.cleanup()?;
    let stats = backups.stats()?;
    println!(
        "{removed} old backups removed, {} left in {} bytes",
        stats.total_backups, stats.total_size_bytes
    );
    Ok(())
}
