//! Makes a standby what a stage holds, whatever it is now.

use lifeboat_ltx::Txid;
use rusqlite::TransactionBehavior;

use crate::pages::Pages;
use crate::stage::{Applied, Stage};
use crate::stamp::{Stamp, disguise};
use crate::standby::{Held, Standby};
use crate::{Error, Result};

impl Stage {
    /// Makes the staged file one that can be opened as a standby when it is in its place.
    ///
    /// [`Error::Discontinuous`] if it has no page.
    pub fn become_standby(&self) -> Result<Held> {
        let (txid, mut first) = self.first_page()?;
        let held =
            Held { txid, checksum: self.checksum(), stamp: Stamp::of(&first), generation: 0 };
        disguise(&mut first, self.page_count(), 0);
        self.write_page(1, &first)?;
        Ok(held)
    }

    fn first_page(&self) -> Result<(Txid, Vec<u8>)> {
        let Some(txid) = self.txid().filter(|_| self.page_count() > 0) else {
            return Err(Error::Discontinuous {
                detail: "a standby needs at least one page".into(),
            });
        };
        let mut first = vec![0; self.page_bytes() as usize];
        self.read_page(1, &mut first)?;
        Ok((txid, first))
    }
}

impl Standby {
    /// Writes the pages in which a staged database differs, in one transaction. `progress` is told the
    /// bytes of each page that was compared.
    ///
    /// [`Error::Discontinuous`] if its pages have another size, or there is none.
    pub fn overwrite(&mut self, stage: &Stage, progress: &mut dyn FnMut(u64)) -> Result<Applied> {
        let (txid, first) = stage.first_page()?;
        if first.len() != self.page_size.bytes() {
            let detail =
                format!("expected pages of {} bytes, found {}", self.page_size, first.len());
            return Err(Error::Discontinuous { detail });
        }
        let transaction = self.begin(TransactionBehavior::Immediate)?;
        // What the pages are does not matter, only who writes to them from now on.
        let version = transaction
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(self.failed("read"))?;
        let page_count = transaction
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .map_err(self.failed("read"))?;
        let mut pages = Pages::of(&transaction).map_err(self.failed("write"))?;
        let (mut page, mut old) = (vec![0; first.len()], Vec::new());
        let mut count = 1;
        for pgno in 2..=stage.page_count() {
            if pgno == self.page_size.lock_page() {
                continue;
            }
            stage.read_page(pgno, &mut page)?;
            let found = pages.read(pgno, &mut old).map_err(self.failed("read"))?;
            if found.is_none() || old != page {
                pages.write(pgno, &page).map_err(self.failed("write"))?;
                count += 1;
            }
            progress(page.len() as u64);
        }
        let generation = self.held.generation.wrapping_add(1);
        let stamp = Stamp::of(&first);
        self.finish(pages, first, stage.page_count(), page_count, generation)?;
        transaction.commit().map_err(self.failed("commit to"))?;
        self.held = Held { txid, checksum: stage.checksum(), stamp, generation };
        self.seen = Some(version);
        Ok(Applied { pages: count, txid })
    }
}
