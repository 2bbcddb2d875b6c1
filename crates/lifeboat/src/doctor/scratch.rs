//! A place for private copies of databases, gone when the examination is over.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::state::create_private_directory;
use crate::{Context, Error, Result};

const PREFIX: &str = "doctor-";

/// A directory that only its owner can enter, locked while this process lives.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// In the state directory, else with the system's temporary files: examining makes no state
    /// directory. What a killed process left there is removed.
    pub(super) fn begin(context: &Context) -> Result<Self> {
        let state = context.state_path();
        let above = if state.is_dir() { state.join("scratch") } else { std::env::temp_dir() };
        create_private_directory(&above)?;
        sweep(&above);
        let random = getrandom::u64()
            .map_err(|error| Error::file("draw a name in", &above)(error.into()))?;
        let path = above.join(format!("{PREFIX}{random:016x}"));
        create_private_directory(&path)?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is swept by the next examination.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn lock(directory: &Path) -> Result<File> {
    let file = File::open(directory).map_err(Error::file("open", directory))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|error| Error::file("lock", directory)(error.into()))?;
    Ok(file)
}

fn sweep(above: &Path) {
    let Ok(entries) = std::fs::read_dir(above) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && let Ok(_lock) = lock(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
