//! How a database stands, without reading more of it than its first page.

use std::path::Path;
use std::time::Duration;

use crate::copy::Obstacle;
use crate::header::DatabaseHeader;
use crate::locate::locate;
use crate::pin::{obstacle, pin_in_place};
use crate::{Error, Result, read_header};

/// Long enough for a writer of a rollback journal to finish; whoever holds a lock for longer keeps
/// readers out.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a database says of itself, and how it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The header as a reader sees it now; of a hot journal or where a copy is needed, as it stands
    /// in the file.
    pub header: DatabaseHeader,
    /// Pages in the database.
    pub page_count: u32,
    /// How it can be read.
    pub access: Access,
}

/// How a database can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Where it is.
    InPlace,
    /// From a private copy: a killed writer left a journal, which has to be rolled back first.
    HotJournal,
    /// From a private copy: the files that even a reader of a WAL needs beside it are missing and
    /// may not be created.
    ReadOnlyDirectory,
}

/// Looks at the database at `path`; a link is followed. `None` for an empty file, which is an empty
/// database to SQLite.
///
/// [`Error::Locked`] where another connection keeps readers out for longer than a second.
pub fn condition(path: &Path) -> Result<Option<Condition>> {
    let real = locate(path)?;
    let access = match pin_in_place(&real, path, PATIENCE) {
        Ok(pin) if pin.page_count() == 0 => return Ok(None),
        Ok(pin) => {
            let image = pin.image()?;
            let mut page = vec![0; image.page_size().bytes()];
            image.read(1, &mut page)?;
            let header = parse(&page, path)?;
            return Ok(Some(Condition {
                header,
                page_count: pin.page_count(),
                access: Access::InPlace,
            }));
        }
        Err(error) => match obstacle(&error, &real) {
            Some(Obstacle::Journal) => Access::HotJournal,
            Some(Obstacle::WalWithoutIndex | Obstacle::NoWal) => Access::ReadOnlyDirectory,
            None => return Err(error),
        },
    };
    let not_a_database = || Error::NotADatabase { path: path.to_owned() };
    let header = read_header(&real)?.ok_or_else(not_a_database)?;
    Ok(Some(Condition { header, page_count: header.page_count, access }))
}

fn parse(page: &[u8], path: &Path) -> Result<DatabaseHeader> {
    DatabaseHeader::parse(page).ok_or_else(|| Error::Corrupt {
        path: path.to_owned(),
        detail: "its first page does not begin as one".to_owned(),
    })
}
