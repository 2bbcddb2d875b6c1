//! Brings a page array up by an LTX file, without the database.

use std::io::Read;

use lifeboat_ltx::Decoder;

use crate::page_array::{PageArray, PageRecord};
use crate::{Error, Result};

/// Gives the pages of an LTX file their records, and the array as many as the file says. Doing it
/// again, or after a later file and then that one again, leads to the same.
pub fn catch_up<R: Read>(array: &PageArray, mut decoder: Decoder<R>) -> Result<()> {
    let failed = |source| Error::Ltx { operation: "read", path: array.path().to_owned(), source };
    let commit = decoder.header().commit;
    let mut page = Vec::new();
    while let Some((pgno, checksum)) = decoder.next_page(&mut page).map_err(failed)? {
        let record = PageRecord::of(pgno, &page, array.key().hash(&page), checksum);
        array.write_records(pgno, &record.encode())?;
    }
    decoder.finish().map_err(failed)?;
    array.finish_changes(commit)
}
