//! Temporary databases that a killed process leaves and a later one removes.

use std::fs::File;
use std::path::{Path, PathBuf};

use lifeboat_sqlite::Stage;
use rustix::fs::{FlockOperation, flock};

use crate::state::create_private_directory;
use crate::{Context, Error, Note, Progress, Result};

/// Holds the lock of a staged file: it belongs to a process that lives.
#[derive(Debug)]
pub(crate) struct Claim {
    _file: File,
}

/// Creates an empty stage `<prefix><random>` in a directory.
pub(crate) fn begin_stage(directory: &Path, prefix: &str) -> Result<(Stage, Claim)> {
    let random =
        getrandom::u64().map_err(|error| Error::file("draw a name in", directory)(error.into()))?;
    let stage = Stage::create(&directory.join(format!("{prefix}{random:016x}")))?;
    let claim = claim(stage.path())?;
    Ok((stage, claim))
}

/// Creates an empty stage in the state directory, after removing what killed processes left there.
pub(crate) fn begin_scratch(
    context: &Context,
    needed: u64,
    progress: &dyn Progress,
) -> Result<(Stage, Claim)> {
    let scratch: PathBuf = context.state_path().join("scratch");
    create_private_directory(&scratch)?;
    sweep(&scratch, "stage-", progress)?;
    crate::space::require(&scratch, needed)?;
    begin_stage(&scratch, "stage-")
}

/// Removes the staged files of a directory that nobody holds.
pub(crate) fn sweep(directory: &Path, prefix: &str, progress: &dyn Progress) -> Result<()> {
    let entries = std::fs::read_dir(directory).map_err(Error::file("read", directory))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let is_stage = entry.file_name().to_string_lossy().starts_with(prefix);
        if is_stage && claim(&path).is_ok() {
            std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
            progress.note(&Note::SweptStage { path });
        }
    }
    Ok(())
}

fn claim(staged: &Path) -> Result<Claim> {
    let file = File::open(staged).map_err(Error::file("open", staged))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| Error::file("lock", staged)(error.into()))?;
    Ok(Claim { _file: file })
}
