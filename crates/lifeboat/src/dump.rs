//! Writes a database of a backup to a stream.

use std::fs::File;
use std::io::{Read, Write};

use lifeboat_repository::BackupName;
use lifeboat_sqlite::Stage;

use crate::fill::{fill_newest, fill_point};
use crate::point_search::PointSearch;
use crate::search::Search;
use crate::staging::begin_scratch;
use crate::{
    DamagedObject, Detour, Error, FoundPoint, OpenRepository, PointSelection, Progress, Result,
    Selection, SkippedPoint,
};

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

/// What was written of a point.
#[derive(Debug)]
pub struct PointDumpReport {
    /// The point.
    pub found: FoundPoint,
    /// Newer points that were meant and cannot be restored, newest first.
    pub skipped: Vec<SkippedPoint>,
    /// Objects that were gone around.
    pub damaged: Vec<DamagedObject>,
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
    let size_bytes = write_out(stage, out)?;
    Ok(DumpReport { backup: selected.name, detour: search.detour, size_bytes })
}

/// Writes the database at a point to `out`, as [`dump`] does.
pub fn dump_point(
    opened: &OpenRepository<'_>,
    selection: &PointSelection,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<PointDumpReport> {
    let mut search = PointSearch::begin(opened, selection, progress)?;
    let selected = search.next(opened, progress)?;
    let (mut stage, _claim) = begin_scratch(opened.context(), selected.way.size_bytes, progress)?;
    let selected = fill_point(opened, &mut search, selected, &mut stage, true, progress)?;
    let size_bytes = write_out(stage, out)?;
    let (skipped, damaged) = (search.skipped, search.detour.damaged);
    Ok(PointDumpReport { found: selected.found, skipped, damaged, size_bytes })
}

fn write_out(stage: Stage, out: &mut dyn Write) -> Result<u64> {
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
    Ok(size_bytes)
}
