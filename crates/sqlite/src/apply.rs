//! Applies an LTX file to a standby, in one transaction.

use std::io::Read;

use lifeboat_ltx::{Checksum, Decoder, page_checksum};
use rusqlite::TransactionBehavior;

use crate::pages::Pages;
use crate::replay::Replay;
use crate::stage::Applied;
use crate::stamp::{Stamp, disguise};
use crate::standby::{Held, Standby};
use crate::{Error, Result};

impl Standby {
    /// Applies a file that continues what the standby holds.
    ///
    /// Every checksum that the file states is verified before the transaction is committed; a file
    /// that fails changes nothing. Pages that are not what they should be are forgiven if the file
    /// leads to the checksum that it states all the same: it may have been applied before, by a
    /// process that was killed before it could write that down. `progress` is told the bytes of
    /// each page.
    ///
    /// [`Error::Ltx`] if the file is damaged; [`Error::Discontinuous`] if it does not fit, or the pages
    /// are not those that it should be applied to. A transaction larger than SQLite's page cache goes
    /// to the WAL meanwhile.
    pub fn apply<R: Read>(
        &mut self,
        mut decoder: Decoder<R>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Applied> {
        let mut header = decoder.header().clone();
        if header.commit == 0 {
            let detail = format!("{} leaves no page, which a standby cannot", header.range);
            return Err(Error::Discontinuous { detail });
        }
        let transaction = self.begin(TransactionBehavior::Immediate)?;
        let known = self.known(&transaction)?;
        let is_certain = known.checksum == self.held.checksum;
        if !is_certain {
            header.checksum_before = None;
        }
        let (txid, page_size) = (self.held.txid, self.page_size);
        let mut replay = Replay::resume(page_size, known.page_count, txid, known.checksum);
        replay.begin(&header)?;

        let mut pages = Pages::of(&transaction).map_err(self.failed("write"))?;
        let (mut page, mut old) = (Vec::new(), Vec::new());
        let mut first = None;
        let mut count = 0;
        while let Some((pgno, checksum)) =
            decoder.next_page(&mut page).map_err(|source| self.ltx(source))?
        {
            replay.page(pgno, checksum, || self.stored(&mut pages, pgno, &mut old))?;
            if pgno == 1 {
                first = Some(page.clone());
            } else {
                pages.write(pgno, &page).map_err(self.failed("write"))?;
            }
            progress(page.len() as u64);
            count += 1;
        }
        let trailer = decoder.finish().map_err(|source| self.ltx(source))?;
        for pgno in replay.cut_off(&header) {
            replay.cut(self.stored(&mut pages, pgno, &mut old)?);
        }
        let stated = trailer.checksum_after;
        replay.end(&header, stated)?;
        if !is_certain && stated.is_none() {
            let detail = format!("it has checksum {}, not {}", known.checksum, self.held.checksum);
            return Err(Error::Discontinuous { detail });
        }

        let first = match first {
            Some(first) => first,
            None => self.first(&mut pages)?,
        };
        let Held { generation, .. } = self.held;
        let (stamp, checksum) = (Stamp::of(&first), replay.checksum());
        self.finish(pages, first, header.commit, known.page_count, generation)?;
        transaction.commit().map_err(self.failed("commit to"))?;
        self.held = Held { txid: header.range.max(), checksum, stamp, generation };
        self.seen = Some(known.version);
        Ok(Applied { pages: count, txid: header.range.max() })
    }

    /// Writes page 1, and cuts off what is beyond the end: the last writes of a transaction.
    pub(crate) fn finish(
        &self,
        mut pages: Pages<'_>,
        mut first: Vec<u8>,
        commit: u32,
        page_count: u32,
        generation: u32,
    ) -> Result<()> {
        disguise(&mut first, commit, generation);
        pages.write(1, &first).map_err(self.failed("write"))?;
        if commit < page_count {
            pages.cut(commit).map_err(self.failed("write"))?;
        }
        Ok(())
    }

    /// Page 1 as it was captured.
    fn first(&self, pages: &mut Pages<'_>) -> Result<Vec<u8>> {
        let mut first = Vec::new();
        self.require(pages, 1, &mut first)?;
        self.held.stamp.restore(&mut first);
        Ok(first)
    }

    /// The checksum of a page as it was captured.
    fn stored(&self, pages: &mut Pages<'_>, pgno: u32, page: &mut Vec<u8>) -> Result<Checksum> {
        self.require(pages, pgno, page)?;
        if pgno == 1 {
            self.held.stamp.restore(page);
        }
        Ok(page_checksum(pgno, page))
    }

    fn require(&self, pages: &mut Pages<'_>, pgno: u32, page: &mut Vec<u8>) -> Result<()> {
        let found = pages.read(pgno, page).map_err(self.failed("read"))?;
        found.ok_or_else(|| Error::Corrupt {
            path: self.path.clone(),
            detail: format!("page {pgno} is missing"),
        })
    }

    fn ltx(&self, source: lifeboat_ltx::Error) -> Error {
        Error::Ltx { operation: "apply", path: self.path.clone(), source }
    }
}
