//! `files/<name>.json`: what is remembered of a source of files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lifeboat_repository::encode_name;
use lifeboat_restic::SnapshotId;
use serde::{Deserialize, Serialize};

use super::StateDirectory;
use super::file::{load, save};
use crate::{Error, Result};

/// Remembered after each backup. What is lost of it is found again in the repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilesState {
    /// The source.
    pub(crate) name: String,
    /// Its paths, escaped.
    pub(crate) paths: Vec<String>,
    /// Its newest snapshot in each repository, by the repository's id.
    #[serde(default)]
    pub(crate) snapshots: BTreeMap<String, SnapshotId>,
    /// What it looked like when it was last backed up because it had changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) on_change: Option<String>,
}

impl StateDirectory {
    /// What is known of a source of files.
    pub(crate) fn files(&self, name: &str) -> Result<Option<FilesState>> {
        load(&self.files_path(name)?)
    }

    /// Remembers a source of files.
    pub(crate) fn remember_files(&self, files: &FilesState) -> Result<()> {
        save(&self.files_path(&files.name)?, files)
    }

    /// The names of all sources of files, and their paths, as far as they can be read.
    pub(crate) fn known_files(&self) -> Result<Vec<FilesState>> {
        let directory = self.path().join("files");
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file("read", &directory)(error)),
        };
        let paths = entries.flatten().map(|entry| entry.path()).filter(|path| is_document(path));
        Ok(paths.filter_map(|path| load(&path).ok().flatten()).collect())
    }

    fn files_path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.path().join("files").join(format!("{}.json", encode_name(name)?)))
    }
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}
