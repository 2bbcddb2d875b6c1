//! The pages of a database inside a transaction, read and written by their numbers.

use rusqlite::{OptionalExtension, Statement, Transaction};

/// Page numbers to bytes, through SQLite's own page table.
///
/// Page 1 is to be written after all others: with it the schema may change, and statements are then
/// prepared again, which reads the schema from its pages.
pub(crate) struct Pages<'t> {
    transaction: &'t Transaction<'t>,
    read: Statement<'t>,
    write: Statement<'t>,
}

impl<'t> Pages<'t> {
    pub(crate) fn of(transaction: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        let read = transaction.prepare("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")?;
        let write = transaction.prepare("INSERT INTO sqlite_dbpage(pgno, data) VALUES (?1, ?2)")?;
        Ok(Self { transaction, read, write })
    }

    /// Reads a page that was there when the transaction began; `None` for any other.
    pub(crate) fn read(&mut self, pgno: u32, page: &mut Vec<u8>) -> rusqlite::Result<Option<()>> {
        let take = |row: &rusqlite::Row<'_>| {
            page.clear();
            page.extend_from_slice(row.get_ref(0)?.as_blob()?);
            Ok(())
        };
        self.read.query_row([pgno], take).optional()
    }

    /// Writes a page, which may lie beyond the end.
    pub(crate) fn write(&mut self, pgno: u32, page: &[u8]) -> rusqlite::Result<()> {
        self.write.execute((pgno, page)).map(drop)
    }

    /// Cuts the database down to `page_count` pages, at least 1. Nothing may be written afterwards:
    /// it would take the cut back.
    pub(crate) fn cut(self, page_count: u32) -> rusqlite::Result<()> {
        let sql = "INSERT INTO sqlite_dbpage(pgno, data) VALUES (?1, NULL)";
        self.transaction.execute(sql, [i64::from(page_count) + 1]).map(drop)
    }
}
