//! A database that follows another: LTX files are applied to it through SQLite, while others read it.
//!
//! Every change is one transaction in WAL mode, so that readers see a captured state as a whole, or
//! the one before it, also after a crash. (Writing the file in place tore 11 of 80 followers that were
//! killed, and the locks that this needs deadlock with readers: Litestream #1131, #1268.)
//!
//! Nothing but [`Held`] says what the pages are. It is kept outside of the database, so it may be one
//! transaction behind them; and somebody else may write to the file. So pages are believed only
//! while nobody else has committed since they were last known; else all of them are read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_ltx::{Checksum, DatabaseChecksum, PageSize, Txid, page_checksum};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::ffi::keep_free_pages;
use crate::locate::sidecar;
use crate::open::{BUSY, open_standby};
use crate::stamp::Stamp;
use crate::{Error, Result};

/// A WAL that is larger is emptied; one that a large transaction has left is cut to this size.
const WAL_LIMIT: u64 = 16 << 20;
/// How long to wait for readers of the WAL before it is left for the next time.
const READERS: Duration = Duration::from_secs(1);

/// What a standby holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The last transaction applied.
    pub txid: Txid,
    /// The checksum of the database as it was captured.
    pub checksum: Checksum,
    /// What the bytes of page 1 were that SQLite has written since.
    pub stamp: Stamp,
    /// How often all of it was overwritten.
    pub generation: u32,
}

/// A standby, open for writing. Others may read it.
#[derive(Debug)]
pub struct Standby {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) page_size: PageSize,
    pub(crate) held: Held,
    /// `PRAGMA data_version` when the pages were last known to be those of `held`: it changes when
    /// another connection commits.
    pub(crate) seen: Option<i64>,
    file: FileId,
}

/// Device and inode.
type FileId = (u64, u64);

/// The pages of a standby at the beginning of a transaction.
pub(crate) struct Known {
    pub(crate) version: i64,
    pub(crate) checksum: Checksum,
    pub(crate) page_count: u32,
}

impl Standby {
    /// Opens the standby at `path`, which holds `held`, as far as anyone knows. A database that is
    /// not in WAL mode any more is put back into it.
    pub fn open(path: &Path, held: Held) -> Result<Self> {
        let failed = |source| Error::sqlite("open", path, source);
        let file = file_id(path)?;
        let connection = open_standby(path, WAL_LIMIT)?;
        keep_free_pages(&connection).map_err(|code| failed(crate::ffi::code_error(code)))?;
        let size: u32 =
            connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failed)?;
        let page_size = PageSize::new(size).ok_or_else(|| Error::Corrupt {
            path: path.to_owned(),
            detail: format!("pages of {size} bytes"),
        })?;
        Ok(Self { path: path.to_owned(), connection, page_size, held, seen: None, file })
    }

    /// What it holds.
    pub fn held(&self) -> Held {
        self.held
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Whether its file is still the one at its path.
    pub fn is_in_place(&self) -> bool {
        file_id(&self.path).is_ok_and(|file| file == self.file)
    }

    /// Whether its pages are those that it should hold. They are read if another connection has
    /// committed, or if nothing is known of them yet.
    pub fn verify(&mut self) -> Result<bool> {
        let transaction = self.begin(TransactionBehavior::Deferred)?;
        let known = self.known(&transaction)?;
        drop(transaction);
        if known.checksum != self.held.checksum {
            return Ok(false);
        }
        self.seen = Some(known.version);
        Ok(true)
    }

    /// Forgets that the pages are known: the next use reads them.
    pub fn doubt(&mut self) {
        self.seen = None;
    }

    /// Empties a WAL that has grown large. Readers that are in its way only put it off.
    pub fn checkpoint(&self) -> Result<()> {
        let wal = std::fs::metadata(sidecar(&self.path, "-wal"));
        if wal.map_or(0, |wal| wal.len()) <= WAL_LIMIT {
            return Ok(());
        }
        let checkpoint = || {
            self.connection.busy_timeout(READERS)?;
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        let done = checkpoint().map_err(|source| self.failed("checkpoint")(source));
        self.connection.busy_timeout(BUSY).map_err(self.failed("checkpoint"))?;
        done
    }

    pub(crate) fn begin(&self, behavior: TransactionBehavior) -> Result<Transaction<'_>> {
        Transaction::new_unchecked(&self.connection, behavior).map_err(self.failed("lock"))
    }

    /// What the pages are in a transaction that has begun.
    pub(crate) fn known(&self, transaction: &Transaction<'_>) -> Result<Known> {
        let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get(0));
        // The first of the two begins the reading.
        let page_count = u32::try_from(number("page_count").map_err(self.failed("read"))?)
            .map_err(|_| Error::Corrupt { path: self.path.clone(), detail: "its size".into() })?;
        let version = number("data_version").map_err(self.failed("read"))?;
        let checksum = match self.seen {
            Some(seen) if seen == version => self.held.checksum,
            _ => self.scan(transaction)?,
        };
        Ok(Known { version, checksum, page_count })
    }

    /// The checksum of the pages, each of which is read.
    fn scan(&self, transaction: &Transaction<'_>) -> Result<Checksum> {
        let mut checksum = DatabaseChecksum::new();
        let mut first = Vec::new();
        let mut scan = || {
            let mut statement = transaction.prepare("SELECT pgno, data FROM sqlite_dbpage")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (pgno, page) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
                if pgno == 1 {
                    first = page.to_vec();
                    self.held.stamp.restore(&mut first);
                    checksum.toggle(page_checksum(pgno, &first));
                } else if pgno != self.page_size.lock_page() {
                    checksum.toggle(page_checksum(pgno, page));
                }
            }
            Ok(())
        };
        scan().map_err(self.failed("read"))?;
        Ok(checksum.value())
    }

    /// Wraps an error of SQLite.
    pub(crate) fn failed(
        &self,
        operation: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> Error + '_ {
        move |source| Error::sqlite(operation, &self.path, source)
    }
}

fn file_id(path: &Path) -> Result<FileId> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.to_owned() },
        _ => Error::File { operation: "look at", path: path.to_owned(), source },
    })?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use lifeboat_ltx::{Checksum, Txid};
    use rusqlite::{Connection, TransactionBehavior};

    use super::{Held, Standby};
    use crate::pages::Pages;
    use crate::stamp::Stamp;

    /// Else every file would cost a scan.
    #[test]
    fn only_foreign_commits_change_the_version() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("standby.db");
        let foreign = Connection::open(&path).expect("opens");
        foreign
            .execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t(a); INSERT INTO t VALUES (1)")
            .expect("runs");
        let (txid, checksum, stamp) = (Txid::FIRST, Checksum::EMPTY, Stamp::of(&[0; 512]));
        let held = Held { txid, checksum, stamp, generation: 0 };
        let standby = Standby::open(&path, held).expect("opens");
        let version = || {
            let pragma = "data_version";
            standby.connection.pragma_query_value(None, pragma, |row| row.get(0)).expect("reads")
        };
        let before: i64 = version();
        for checkpoint in ["PASSIVE", "PASSIVE", "TRUNCATE", "RESTART", "PASSIVE"] {
            let transaction = standby.begin(TransactionBehavior::Immediate).expect("begins");
            let mut pages = Pages::of(&transaction).expect("prepares");
            let mut page = Vec::new();
            for pgno in [2, 1] {
                assert_eq!(pages.read(pgno, &mut page), Ok(Some(())));
                pages.write(pgno, &page).expect("writes");
            }
            pages.cut(2).expect("cuts");
            transaction.commit().expect("commits");
            let sql = format!("PRAGMA wal_checkpoint({checkpoint})");
            standby.connection.query_row(&sql, [], |_| Ok(())).expect("runs");
            assert_eq!(version(), before, "{checkpoint}");
        }
        foreign.execute_batch("PRAGMA user_version = 2").expect("runs");
        assert_ne!(version(), before);
    }
}
