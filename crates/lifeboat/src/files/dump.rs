//! Writes a file of a backup to a stream.

use std::io::{Read, Write};
use std::path::Path;

use lifeboat_files::Kind;
use lifeboat_repository::BackupName;
use lifeboat_restic::Node;

use super::StoredFiles;
use super::image::{Single, copy, of_reading};
use super::meant::StoredSource;
use crate::{Detour, Error, OpenRepository, Progress, Result};

/// What was written of a file.
#[derive(Debug)]
pub struct FileDumpReport {
    /// The backup.
    pub backup: BackupName,
    /// Newer backups that were passed over.
    pub detour: Detour,
    /// The bytes of the file.
    pub size_bytes: u64,
}

/// Writes a file, what a command printed, or a device to `out`: each piece when it was verified. If it ends with
/// an error, `out` has what comes before the damage.
pub fn dump_file(
    opened: &OpenRepository<'_>,
    meant: &StoredSource,
    no_lock: bool,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<FileDumpReport> {
    let StoredSource { backup, source, path, detour, .. } = meant;
    let stored = StoredFiles::open(opened, no_lock, progress)?;
    let failed = |source| Error::Output { source };
    let node = match (Single::of(source), path) {
        (Some(single), _) => {
            let node = single.node(&stored, source)?;
            copy(&stored, &node, single.sha256, out, failed, progress)?;
            node
        }
        (None, Some(path)) => {
            let node = file_at(&stored, meant, path)?;
            write(&stored, &node, out, progress)?;
            node
        }
        (None, None) => return Err(no_file(source.name().map_or("", String::as_str))),
    };
    out.flush().map_err(failed)?;
    let size_bytes = node.metadata.size;
    Ok(FileDumpReport { backup: backup.clone(), detour: detour.clone(), size_bytes })
}

fn file_at(stored: &StoredFiles, meant: &StoredSource, path: &Path) -> Result<Node> {
    let tree = meant.source.stored().map(|stored| stored.tree);
    let node = match &tree {
        Some(tree) => stored.node_at(tree, path)?,
        None => None,
    };
    match node {
        Some(node) if node.kind == Kind::File => Ok(node),
        Some(_) => Err(no_file(&path.display().to_string())),
        None => Err(Error::NoPath {
            path: path.to_owned(),
            source_name: meant.source.name().cloned().unwrap_or_default(),
            backup: meant.backup.id,
        }),
    }
}

fn no_file(what: &str) -> Error {
    Error::usage(
        format!("{what} is not a file: there is no one stream of its content"),
        format!("restore it to a directory: lifeboat restore {what} --target DIR"),
    )
}

fn write(
    stored: &StoredFiles,
    node: &Node,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<()> {
    let mut reader = stored.repository.read_file(&stored.index, node)?;
    let mut buffer = vec![0; 1 << 20];
    let mut size_bytes = 0;
    loop {
        let read = reader.read(&mut buffer).map_err(of_reading)?;
        if read == 0 {
            break;
        }
        out.write_all(&buffer[..read]).map_err(|source| Error::Output { source })?;
        progress.advance(read as u64);
        size_bytes += read as u64;
    }
    let expected = node.metadata.size;
    if size_bytes != expected {
        let problem = format!("the backup has {size_bytes} bytes of {expected}");
        let object = format!("the content of {}", node.name.display());
        return Err(lifeboat_restic::Error::Corrupt { object, problem }.into());
    }
    Ok(())
}
