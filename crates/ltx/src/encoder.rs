//! Writes a file, page after page.

use std::io::Write;

use crate::block::{
    BLOCK_FRAME_HEAD, BlockCompressor, FLAG_BLOCK, literal_prefix, max_block_bytes,
};
use crate::crc::{Crc, PageShift};
use crate::index::{Index, MAX_ENTRY_BYTES, frame_length};
use crate::legacy::{self, FLAG_LEGACY, LEGACY_FRAME_HEAD};
use crate::order::PageOrder;
use crate::{Checksum, ChecksumPlace, DatabaseChecksum, Error, Header, PageCrc, Result, Trailer};

/// Bytes gathered before they are handed to the writer: small enough to stay in a core's cache.
const FLUSH_BYTES: usize = 256 * 1024;

/// How pages are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageCoding {
    /// An LZ4 block that holds the page as it is: fast, and best where another compressor follows.
    #[default]
    Literal,
    /// A compressed LZ4 block, as Litestream writes since 0.5.17.
    Lz4,
    /// An LZ4 frame, as Litestream 0.5.0 to 0.5.16 wrote, which cannot read the other two.
    LegacyFrame,
}

/// A coding with what it needs at hand.
enum Coder {
    /// The whole head of a page frame, but for the page number in its first four bytes.
    Literal(Vec<u8>),
    Lz4(BlockCompressor),
    LegacyFrame(Vec<u8>),
}

/// Writes one LTX file to `W`, in large pieces; needs no buffered writer. Nothing is whole before
/// [`Encoder::finish`].
pub struct Encoder<W> {
    out: W,
    header: Header,
    coder: Coder,
    order: PageOrder,
    index: Index,
    shift: &'static PageShift,
    file_crc: Crc,
    database: DatabaseChecksum,
    pages: u64,
    buffer: Vec<u8>,
    /// Bytes handed to the writer.
    flushed: u64,
    ended: bool,
}

impl<W: Write> Encoder<W> {
    /// Starts a file with literal pages. `Refused` when the header contradicts itself.
    pub fn new(out: W, header: &Header) -> Result<Self> {
        Self::with_coding(out, header, PageCoding::Literal)
    }

    /// Starts a file.
    pub fn with_coding(out: W, header: &Header, coding: PageCoding) -> Result<Self> {
        header.check()?;
        let page_size = header.page_size;
        let coder = match coding {
            PageCoding::Literal => Coder::Literal(literal_head(header)),
            PageCoding::Lz4 => Coder::Lz4(BlockCompressor::new(page_size)),
            PageCoding::LegacyFrame => Coder::LegacyFrame(Vec::new()),
        };
        let mut encoder = Self {
            out,
            header: header.clone(),
            coder,
            order: PageOrder::new(header),
            index: Index::default(),
            shift: PageShift::of(page_size),
            file_crc: Crc::new(),
            database: DatabaseChecksum::new(),
            pages: 0,
            buffer: Vec::with_capacity(FLUSH_BYTES + 2 * page_size.bytes()),
            flushed: 0,
            ended: false,
        };
        encoder.put(&header.encode());
        Ok(encoder)
    }

    /// Adds a page and returns its checksum. Pages come in ascending order, within the database and
    /// without the lock page; a base holds all of them. A page refused leaves the encoder as it was.
    #[inline]
    pub fn write_page(&mut self, pgno: u32, page: &[u8]) -> Result<Checksum> {
        self.write_page_with_crc(pgno, page, PageCrc::of(page))
    }

    /// Adds a page that was hashed before, perhaps by another thread, so that it is not hashed again.
    /// A `crc` of other bytes makes a file that no reader accepts.
    #[inline]
    pub fn write_page_with_crc(
        &mut self,
        pgno: u32,
        page: &[u8],
        crc: PageCrc,
    ) -> Result<Checksum> {
        self.admit(pgno, page)?;
        let start = self.buffer.len();
        let hashed = match &mut self.coder {
            Coder::Literal(head) => {
                head[..4].copy_from_slice(&pgno.to_be_bytes());
                self.buffer.extend_from_slice(head);
                self.buffer.extend_from_slice(page);
                BLOCK_FRAME_HEAD
            }
            Coder::Lz4(compressor) => {
                let block = compressor.compress(page).map_err(|source| Error::Write {
                    offset: self.flushed + start as u64,
                    source,
                })?;
                self.buffer.extend_from_slice(&block_head(pgno, block.len()));
                self.buffer.extend_from_slice(block);
                BLOCK_FRAME_HEAD
            }
            Coder::LegacyFrame(frame) => {
                frame.clear();
                legacy::compress(page, frame).map_err(|source| Error::Write {
                    offset: self.flushed + start as u64,
                    source,
                })?;
                self.buffer.extend_from_slice(&pgno.to_be_bytes());
                self.buffer.extend_from_slice(&FLAG_LEGACY.to_be_bytes());
                self.buffer.extend_from_slice(frame);
                LEGACY_FRAME_HEAD
            }
        };
        self.end_frame(pgno, start, hashed, crc)
    }

    /// Adds a page whose LZ4 block and hash were made before, as [`PageBlocks`](crate::PageBlocks)
    /// does. A block or `crc` of another page makes a file that no reader accepts.
    pub fn write_block(&mut self, pgno: u32, block: &[u8], crc: PageCrc) -> Result<Checksum> {
        let limit = max_block_bytes(self.header.page_size);
        if block.len() > limit {
            let found = format!("page {pgno} in one of {}", block.len());
            return Err(Error::refused(format!("a block of at most {limit} bytes"), found));
        }
        self.admit_number(pgno)?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&block_head(pgno, block.len()));
        self.buffer.extend_from_slice(block);
        self.end_frame(pgno, start, BLOCK_FRAME_HEAD, crc)
    }

    /// Takes account of a frame at the end of the buffer, of which `hashed` bytes and the page count
    /// for the checksum.
    #[inline]
    fn end_frame(
        &mut self,
        pgno: u32,
        start: usize,
        hashed: usize,
        crc: PageCrc,
    ) -> Result<Checksum> {
        self.file_crc.update(&self.buffer[start..start + hashed]);
        self.file_crc.append(crc.get(), self.shift);
        self.index.push(pgno, frame_length(self.buffer.len() - start));
        self.pages += 1;
        let checksum = crc.checksum_with(pgno, self.shift);
        self.database.toggle(checksum);
        self.flush_if_full()?;
        Ok(checksum)
    }

    /// Writes index and trailer, flushes, and gives the writer back.
    ///
    /// `Refused` when a base is not complete or not the database that its header states.
    pub fn finish(mut self) -> Result<(W, Trailer)> {
        if self.ended {
            return Err(Error::Ended);
        }
        self.order.end().map_err(|expected| Error::refused(expected, "the end of the pages"))?;
        let checksum_after = self.checksum_after()?;
        let post_apply = match (self.header.checksum_place, checksum_after) {
            (ChecksumPlace::Reserved, _) => 0,
            (ChecksumPlace::Fields, Some(checksum)) => checksum.get(),
            (ChecksumPlace::Fields, None) => {
                return Err(Error::refused("a checksum after the file (flags 0)", "none"));
            }
        };
        self.put(&[0; LEGACY_FRAME_HEAD]);
        self.write_index()?;

        self.put(&post_apply.to_be_bytes());
        let file_checksum = Checksum::new(self.file_crc.value());
        self.put(&file_checksum.get().to_be_bytes());
        self.flush()?;
        let size_bytes = self.flushed;
        self.out.flush().map_err(|source| Error::Write { offset: size_bytes, source })?;
        let trailer = Trailer { checksum_after, file_checksum, pages: self.pages, size_bytes };
        Ok((self.out, trailer))
    }

    #[inline]
    fn admit(&mut self, pgno: u32, page: &[u8]) -> Result<()> {
        let page_size = self.header.page_size;
        if page.len() != page_size.bytes() {
            return Err(Error::refused(
                format!("a page of {page_size} bytes"),
                format!("page {pgno} of {} bytes", page.len()),
            ));
        }
        self.admit_number(pgno)
    }

    #[inline]
    fn admit_number(&mut self, pgno: u32) -> Result<()> {
        if self.ended {
            return Err(Error::Ended);
        }
        self.order.admit(pgno).map_err(|expected| Error::refused(expected, format!("page {pgno}")))
    }

    fn checksum_after(&self) -> Result<Option<Checksum>> {
        let stated = self.header.checksum_after;
        if !self.header.range.is_base() {
            return Ok(stated);
        }
        let computed = self.database.value();
        match stated {
            Some(stated) if stated != computed => Err(Error::refused(
                format!("pages with the stated database checksum {stated}"),
                computed.to_string(),
            )),
            _ => Ok(Some(computed)),
        }
    }

    fn write_index(&mut self) -> Result<()> {
        let start = self.position();
        let index = std::mem::take(&mut self.index);
        let mut entry_bytes = [0; MAX_ENTRY_BYTES];
        for entry in index.entries() {
            let length = entry.encode(&mut entry_bytes);
            self.put(&entry_bytes[..length]);
            self.flush_if_full()?;
        }
        self.put(&[0]);
        let length = self.position() - start;
        self.put(&length.to_be_bytes());
        Ok(())
    }

    fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Appends bytes that the file's checksum covers as they are.
    fn put(&mut self, bytes: &[u8]) {
        self.file_crc.update(bytes);
        self.buffer.extend_from_slice(bytes);
    }

    #[inline]
    fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let offset = self.position();
        if let Err(source) = self.out.write_all(&self.buffer) {
            self.ended = true;
            return Err(Error::Write { offset, source });
        }
        self.buffer.clear();
        self.flushed = offset;
        Ok(())
    }
}

/// Number (left zero), flags and length of a page frame, and what precedes the page in its block.
fn literal_head(header: &Header) -> Vec<u8> {
    let prefix = literal_prefix(header.page_size);
    let mut head = block_head(0, prefix.len() + header.page_size.bytes()).to_vec();
    head.extend(prefix);
    head
}

fn block_head(pgno: u32, block_bytes: usize) -> [u8; BLOCK_FRAME_HEAD] {
    let mut head = [0; BLOCK_FRAME_HEAD];
    head[..4].copy_from_slice(&pgno.to_be_bytes());
    head[4..6].copy_from_slice(&FLAG_BLOCK.to_be_bytes());
    head[6..].copy_from_slice(&frame_length(block_bytes).to_be_bytes());
    head
}
