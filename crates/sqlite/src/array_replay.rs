//! Brings a page array up to the state that an LTX file leads to.

use std::io::Read;

use lifeboat_ltx::Decoder;

use crate::page_array::{PageArray, PageRecord};
use crate::record_run::RecordRun;
use crate::stage::Applied;
use crate::{Error, Result};

impl PageArray {
    /// Takes over the pages of a file, and the size after it. Doing it again changes nothing, and
    /// the array may have taken over any part of it before.
    ///
    /// So an array that crashed after [`PageChanges::apply`](crate::PageChanges::apply), no matter
    /// which of its writes got to the disk, is brought up to date by all captures since its last
    /// [`sync`](Self::sync), in their order. That each file continues the one before is for the
    /// caller to see to. One that fails on the way leaves the array torn, until it is replayed
    /// whole.
    pub fn replay<R: Read>(&self, mut decoder: Decoder<R>) -> Result<Applied> {
        let header = decoder.header().clone();
        self.require_page_size(header.page_size)?;
        let failed = |source| {
            let path = self.path().to_owned();
            Error::Ltx { operation: "apply", path, source }
        };
        let write = |first, records: &[u8]| self.write_records(first, records);
        let mut page = Vec::with_capacity(header.page_size.bytes());
        let (mut run, mut pages) = (RecordRun::default(), 0);
        while let Some((pgno, checksum)) = decoder.next_page(&mut page).map_err(failed)? {
            let record = PageRecord::of(pgno, &page, self.key().hash(&page), checksum);
            run.push(pgno, &record.encode(), write)?;
            pages += 1;
        }
        decoder.finish().map_err(failed)?;
        run.end(write)?;
        self.set_page_count(header.commit)?;
        Ok(Applied { pages, txid: header.range.max() })
    }
}
