//! Several files that follow each other, written as one.

use std::io::{Read, Write};

use crate::{Decoder, Encoder, Header, Merge, PageCoding, Result, Trailer};

/// Writes the file that `inputs`, oldest first, merge into: see [`Merge`] for what is checked. One that
/// starts at transaction 1 is a complete base. The output is only whole when this returns, and then every
/// input has been verified to its end.
pub fn compact<R: Read, W: Write>(
    inputs: Vec<Decoder<R>>,
    out: W,
    coding: PageCoding,
) -> Result<(W, Header, Trailer)> {
    let mut merge = Merge::new(inputs)?;
    let header = merge.header().clone();
    let mut encoder = Encoder::with_coding(out, &header, coding)?;
    let mut page = Vec::new();
    while let Some((pgno, crc)) = merge.next_page_with_crc(&mut page)? {
        encoder.write_page_with_crc(pgno, &page, crc)?;
    }
    merge.finish()?;
    let (out, trailer) = encoder.finish()?;
    Ok((out, header, trailer))
}
