//! Consecutive records on their way into a page array.

use crate::Result;
use crate::page_array::RECORD;

/// They are written in pieces of at most this size.
const PIECE: usize = 64 * 1024;

/// Records of consecutive pages that wait to be written together.
#[derive(Debug, Default)]
pub(crate) struct RecordRun {
    first: u32,
    bytes: Vec<u8>,
}

impl RecordRun {
    /// Adds the record of a page. What it does not continue is written first, by `write`, which is
    /// told the first page.
    pub(crate) fn push(
        &mut self,
        pgno: u32,
        record: &[u8; RECORD],
        write: impl FnOnce(u32, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let next = u64::from(self.first) + (self.bytes.len() / RECORD) as u64;
        if u64::from(pgno) != next || self.bytes.len() + RECORD > PIECE {
            self.end(write)?;
            self.first = pgno;
        }
        self.bytes.extend_from_slice(record);
        Ok(())
    }

    /// Writes what is left.
    pub(crate) fn end(&mut self, write: impl FnOnce(u32, &[u8]) -> Result<()>) -> Result<()> {
        if !self.bytes.is_empty() {
            write(self.first, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}
