//! Writes a database of a backup to a stream.

use std::fs::File;
use std::io::{Read, Write};

use crate::fill::fill;
use crate::select::select_database;
use crate::staging::begin_scratch;
use crate::{Error, OpenRepository, Progress, Result, Selection};

/// Writes the database to `out`; returns its bytes.
///
/// It is put together and verified in a temporary file first: no byte is written that was not.
pub fn dump(
    opened: &OpenRepository<'_>,
    selection: &Selection,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<u64> {
    let selected = select_database(opened, selection, progress)?;
    let (mut stage, _claim) =
        begin_scratch(opened.context(), selected.database.size_bytes, progress)?;
    fill(opened, &selected, &mut stage, true, progress)?;
    let path = stage.path().to_owned();
    let mut file = File::open(&path).map_err(Error::file("open", &path))?;
    // From here on the file lives by its descriptor: nothing is left if the reader goes away.
    drop(stage);
    let failed = |source| Error::Output { source };
    let mut buffer = vec![0; 1 << 20];
    let mut written = 0;
    loop {
        let read = file.read(&mut buffer).map_err(Error::file("read", &path))?;
        if read == 0 {
            break;
        }
        out.write_all(&buffer[..read]).map_err(failed)?;
        written += read as u64;
    }
    out.flush().map_err(failed)?;
    Ok(written)
}
