//! The databases among files, found by their headers.

use std::io::Read;
use std::path::PathBuf;

use lifeboat_files::{FoundFile, WalkItem};

use crate::config::FilesConfig;
use crate::files::{Attributes, walk};
use crate::{Context, Progress, Result};

/// The first bytes of every database of SQLite.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// A database is made of pages, none of which is smaller.
const SMALLEST_PAGE: u64 = 512;

/// A database among files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundDatabase {
    pub(crate) path: PathBuf,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Walks, and opens what can be a database by its size: of other files one in some hundred. What cannot be
/// read is left for the walk that stores it, which tells and counts.
pub(crate) fn databases_among(
    context: &Context,
    config: &FilesConfig,
    progress: &dyn Progress,
) -> Result<Vec<FoundDatabase>> {
    let mut databases = Vec::new();
    if config.databases == Some(false) {
        return Ok(databases);
    }
    progress.begin("look for databases", None);
    for item in walk(context, config, Attributes::Leave, None)? {
        let WalkItem::File(file) = item else { continue };
        if is_database(&file) {
            let (device, inode) = (file.entry.metadata.device, file.entry.metadata.inode);
            databases.push(FoundDatabase { path: file.entry.path, device, inode });
        }
    }
    progress.end();
    Ok(databases)
}

/// Whether a file begins as a database does.
pub(crate) fn is_database(file: &FoundFile) -> bool {
    let size = file.entry.metadata.size;
    if size < SMALLEST_PAGE || !size.is_multiple_of(SMALLEST_PAGE) {
        return false;
    }
    let mut header = [0; MAGIC.len()];
    let Ok(Some(mut content)) = file.open() else { return false };
    content.read_exact(&mut header).is_ok() && header == *MAGIC
}
