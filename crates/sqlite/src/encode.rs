//! Writes the pages of an image as LTX.

use std::io::Write;
use std::path::PathBuf;

use lifeboat_ltx::{Checksum, DatabaseChecksum, Encoder, Header, PageBlocks, PageCoding, PageCrc};

use crate::buffer::{Buffer, Buffers};
use crate::page_array::{PageArrayWriter, PageRecord};
use crate::parallel::in_order;
use crate::{Bitmap, Error, Image, Result};

/// Bytes of the database that a worker hands on at once.
const WINDOW: usize = 1 << 20;

/// Bytes that are read and then hashed: they stay in a core's cache.
const PIECE: usize = 128 << 10;

/// What was written.
#[derive(Debug)]
pub struct Encoded<W> {
    /// Where the file went, for its end.
    pub out: W,
    /// Pages in the file.
    pub pages: u32,
    /// The checksum of the database that the image is.
    pub checksum: Checksum,
}

/// Writes the whole image as a base, and its page array. Workers read, hash and, for
/// [`PageCoding::Lz4`], compress.
///
/// `header` names the range, time and lineage; page size and commit must be the image's.
/// `progress` is told the bytes of each window.
pub fn encode_base<W: Write>(
    image: &Image<'_>,
    header: &Header,
    coding: PageCoding,
    out: W,
    mut array: PageArrayWriter,
    workers: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Encoded<W>> {
    let failed = |source| ltx_error(image, source);
    let mut encoder = Encoder::with_coding(out, header, coding).map_err(failed)?;
    let mut checksum = DatabaseChecksum::new();
    let buffers = Buffers::default();
    let page_size = image.page_size();
    let size = page_size.bytes();
    let per_window = image.pages_in(WINDOW);
    let key = array.key().clone();
    let mut pages = 0;
    in_order(
        image.page_count().div_ceil(per_window),
        workers,
        |window| {
            let first = window * per_window + 1;
            let count = per_window.min(image.page_count() - (first - 1)) as usize;
            let mut buffer = buffers.take(count * size);
            let mut digests: Vec<(u128, PageCrc)> = Vec::with_capacity(count);
            let (mut pgno, per_piece) = (first, image.pages_in(PIECE));
            for piece in buffer.chunks_mut(per_piece as usize * size) {
                image.read(pgno, piece)?;
                let pages = piece.chunks_exact(size);
                digests.extend(pages.map(|page| (key.hash(page), PageCrc::of(page))));
                pgno += per_piece;
            }
            let blocks = match coding {
                PageCoding::Lz4 => Some(PageBlocks::compress(page_size, &buffer).map_err(failed)?),
                _ => None,
            };
            Ok((first, buffer, digests, blocks))
        },
        |(first, buffer, digests, blocks)| {
            for (at, (page, (hash, crc))) in buffer.chunks_exact(size).zip(digests).enumerate() {
                let pgno = first + u32::try_from(at).unwrap_or(u32::MAX);
                if pgno == page_size.lock_page() {
                    array.push(&PageRecord::default())?;
                    continue;
                }
                let written = match blocks.as_ref().and_then(|blocks| blocks.get(at)) {
                    Some(block) => encoder.write_block(pgno, block, crc),
                    None => encoder.write_page_with_crc(pgno, page, crc),
                };
                let page_checksum = written.map_err(failed)?;
                checksum.toggle(page_checksum);
                array.push(&PageRecord::of(pgno, page, hash, page_checksum))?;
                pages += 1;
            }
            progress(buffer.len() as u64);
            buffers.give(buffer);
            Ok(())
        },
    )?;
    array.finish()?;
    let (out, _) = encoder.finish().map_err(failed)?;
    Ok(Encoded { out, pages, checksum: checksum.value() })
}

/// Writes the given pages of the image.
///
/// `progress` is told the bytes of each page.
pub fn encode_changes<W: Write>(
    image: &Image<'_>,
    header: &Header,
    coding: PageCoding,
    changed: &Bitmap,
    checksum: Checksum,
    out: W,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Encoded<W>> {
    let failed = |source| ltx_error(image, source);
    let mut encoder = Encoder::with_coding(out, header, coding).map_err(failed)?;
    let mut page = Buffer::new(image.page_size().bytes());
    let mut pages = 0;
    for pgno in changed.iter().filter(|pgno| *pgno != image.page_size().lock_page()) {
        image.read(pgno, &mut page)?;
        encoder.write_page(pgno, &page).map_err(failed)?;
        progress(page.len() as u64);
        pages += 1;
    }
    let (out, _) = encoder.finish().map_err(failed)?;
    Ok(Encoded { out, pages, checksum })
}

fn ltx_error(image: &Image<'_>, source: lifeboat_ltx::Error) -> Error {
    Error::Ltx { operation: "write", path: PathBuf::from(image.path()), source }
}
