//! Writes a database of a backup to a stream.

use std::fs::File;
use std::io::{Read, Write};

use lifeboat_repository::BackupName;

use crate::fill::fill_newest;
use crate::search::Search;
use crate::staging::begin_scratch;
use crate::{Detour, Error, OpenRepository, Progress, Result, Selection};

/// What was written.
#[derive(Debug)]
pub struct DumpReport {
    /// The backup it came from.
    pub backup: BackupName,
    /// What was gone around.
    pub detour: Detour,
    /// The bytes of the database.
    pub size_bytes: u64,
}

/// Writes the database to `out`.
///
/// It is put together and verified in a temporary file first: no byte is written that was not.
pub fn dump(
    opened: &OpenRepository<'_>,
    selection: &Selection,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<DumpReport> {
    let mut search = Search::begin(opened, selection)?;
    let selected = search.next(opened, progress)?;
    let (mut stage, _claim) =
        begin_scratch(opened.context(), selected.database.size_bytes, progress)?;
    let selected = fill_newest(opened, &mut search, selected, &mut stage, true, progress)?;
    let path = stage.path().to_owned();
    let mut file = File::open(&path).map_err(Error::file("open", &path))?;
    // From here on the file lives by its descriptor: nothing is left if the reader goes away.
    drop(stage);
    let failed = |source| Error::Output { source };
    let mut buffer = vec![0; 1 << 20];
    let mut size_bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(Error::file("read", &path))?;
        if read == 0 {
            break;
        }
        out.write_all(&buffer[..read]).map_err(failed)?;
        size_bytes += read as u64;
    }
    out.flush().map_err(failed)?;
    Ok(DumpReport { backup: selected.name, detour: search.detour, size_bytes })
}
