//! What a backup would take, without taking it.

use std::path::PathBuf;

use lifeboat_files::{Exclusion, WalkItem};
use lifeboat_repository::BackupType;

use crate::error::chain;
use crate::files::{Attributes, walk};
use crate::sources::sources;
use crate::{
    CommandTarget, Context, DatabaseTarget, DeviceTarget, FilesTarget, Note, Progress, Request,
    Result, SourceReport,
};

/// What a backup would take.
#[derive(Debug)]
pub struct BackupPlan {
    /// Databases.
    pub databases: Vec<DatabaseTarget>,
    /// Files.
    pub files: Vec<PlannedFiles>,
    /// Commands; they are not run.
    pub commands: Vec<CommandTarget>,
    /// Devices.
    pub devices: Vec<DeviceTarget>,
    /// What could not be looked at.
    pub failures: Vec<SourceReport>,
}

/// What a backup would take of a source of files.
#[derive(Debug, Default)]
pub struct PlannedFiles {
    /// The source.
    pub name: String,
    /// Its paths.
    pub paths: Vec<PathBuf>,
    /// Regular files.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// What rules leave out; a directory counts once.
    pub excluded: u64,
    /// Paths that cannot be read.
    pub problems: u64,
    /// Databases among them.
    pub databases: Vec<String>,
}

/// Finds what a backup would take. What is left out and why, and what cannot be read, is told to `progress`.
pub fn plan_backup(
    context: &Context,
    request: &Request,
    backup_type: Option<&BackupType>,
    progress: &dyn Progress,
) -> Result<BackupPlan> {
    let found = sources(context, request, backup_type, progress)?;
    let files = found.files.iter().map(|target| planned(context, target, progress));
    Ok(BackupPlan {
        files: files.collect::<Result<_>>()?,
        databases: found.databases,
        commands: found.commands,
        devices: found.devices,
        failures: found.failures,
    })
}

fn planned(
    context: &Context,
    target: &FilesTarget,
    progress: &dyn Progress,
) -> Result<PlannedFiles> {
    let mut planned = PlannedFiles {
        name: target.name.clone(),
        paths: target.paths(),
        databases: target.databases.iter().map(|database| database.name.clone()).collect(),
        ..PlannedFiles::default()
    };
    let databases: Vec<_> =
        target.databases.iter().map(|database| (database.device, database.inode)).collect();
    for item in walk(context, &target.config, Attributes::Leave, None)? {
        match item {
            WalkItem::File(file) => {
                let metadata = &file.entry.metadata;
                if !databases.contains(&(metadata.device, metadata.inode)) {
                    planned.files += 1;
                    planned.size_bytes += metadata.size;
                }
            }
            WalkItem::LeftOut { why: Exclusion::Skipped, .. } => {}
            WalkItem::LeftOut { path, why } => {
                planned.excluded += 1;
                progress.note(&Note::LeftOut { path, why: why.to_string() });
            }
            WalkItem::Problem(problem) => {
                planned.problems += 1;
                progress.note(&Note::Unreadable { problem: chain(&problem) });
            }
            WalkItem::Enter(_) | WalkItem::Leave | WalkItem::Entry(_) | WalkItem::Vanished(_) => {}
        }
    }
    Ok(planned)
}
