//! Reads a file, page after page, and believes nothing in it.

use std::io::Read;

use crate::block::{self, BLOCK_FRAME_HEAD, FLAG_BLOCK, literal_prefix, max_block_bytes};
use crate::crc::{Crc, PageShift};
use crate::index::{Entry, MAX_ENTRY_BYTES, frame_length};
use crate::legacy::{self, FLAG_LEGACY, LEGACY_FRAME_HEAD, Walk, max_legacy_bytes};
use crate::order::PageOrder;
use crate::window::Window;
use crate::{
    Checksum, ChecksumPlace, DatabaseChecksum, Error, HEADER_BYTES, Header, PageCrc, Result,
    TRAILER_BYTES, Trailer,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Pages,
    AfterPages,
    Failed,
}

/// Reads one LTX file from `R`, in large pieces; needs no buffered reader.
///
/// Pages are handed out before the file's checksum can be known: what was made of them counts only
/// once [`Decoder::finish`] has succeeded.
pub struct Decoder<R> {
    window: Window<R>,
    header: Header,
    literal_prefix: Vec<u8>,
    order: PageOrder,
    shift: &'static PageShift,
    file_crc: Crc,
    database: DatabaseChecksum,
    pages: u64,
    /// Of the index that the pages seen call for: comparing checksums needs no memory per page.
    index_crc: Crc,
    index_bytes: u64,
    state: State,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    pub fn new(reader: R) -> Result<Self> {
        let mut window = Window::new(reader);
        let bytes = window.require(HEADER_BYTES, "a header of 100 bytes")?;
        let bytes: [u8; HEADER_BYTES] = std::array::from_fn(|at| bytes[at]);
        window.consume(HEADER_BYTES);
        let header = Header::decode(&bytes)?;
        let mut file_crc = Crc::new();
        file_crc.update(&bytes);
        Ok(Self {
            window,
            literal_prefix: literal_prefix(header.page_size),
            order: PageOrder::new(&header),
            shift: PageShift::of(header.page_size),
            header,
            file_crc,
            database: DatabaseChecksum::new(),
            pages: 0,
            index_crc: Crc::new(),
            index_bytes: 0,
            state: State::Pages,
        })
    }

    /// What the file says about itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next page's number and checksum, its bytes in `page`, which is made as long as a page; `None`
    /// after the last.
    pub fn next_page(&mut self, page: &mut Vec<u8>) -> Result<Option<(u32, Checksum)>> {
        page.resize(self.header.page_size.bytes(), 0);
        self.next_page_into(page)
    }

    /// Like `next_page`, to where the page is wanted, which must be as long as a page. After the last
    /// page, or an error, any bytes may stand there.
    pub fn next_page_into(&mut self, page: &mut [u8]) -> Result<Option<(u32, Checksum)>> {
        let next = self.advance(page)?;
        Ok(next.map(|(pgno, crc)| (pgno, crc.checksum_with(pgno, self.shift))))
    }

    /// Like `next_page`, with the CRC of the page's bytes alone, as an encoder wants it.
    pub fn next_page_with_crc(&mut self, page: &mut Vec<u8>) -> Result<Option<(u32, PageCrc)>> {
        page.resize(self.header.page_size.bytes(), 0);
        self.advance(page)
    }

    fn advance(&mut self, page: &mut [u8]) -> Result<Option<(u32, PageCrc)>> {
        match self.state {
            State::Pages => {}
            State::AfterPages => return Ok(None),
            State::Failed => return Err(Error::Ended),
        }
        self.state = State::Failed;
        let next = self.read_page(page)?;
        self.state = if next.is_some() { State::Pages } else { State::AfterPages };
        Ok(next)
    }

    /// Reads what is left of the file and checks it: remaining pages, index, checksums, and that nothing
    /// follows.
    pub fn finish(mut self) -> Result<Trailer> {
        let mut page = Vec::new();
        while self.next_page_with_crc(&mut page)?.is_some() {}
        self.read_index()?;
        self.read_trailer()
    }

    fn read_page(&mut self, page: &mut [u8]) -> Result<Option<(u32, PageCrc)>> {
        let offset = self.window.offset();
        let head = self.window.require(LEGACY_FRAME_HEAD, "a page frame")?;
        let pgno = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let flags = u16::from_be_bytes([head[4], head[5]]);
        let found = |expected| Error::corrupt(offset, expected, format!("page {pgno}"));
        if pgno == 0 && flags == 0 {
            let end = "the end of the pages";
            self.order.end().map_err(|expected| Error::corrupt(offset, expected, end))?;
            self.file_crc.update(head);
            self.window.consume(LEGACY_FRAME_HEAD);
            return Ok(None);
        }
        self.order.admit(pgno).map_err(found)?;
        let (frame_bytes, crc) = match flags {
            FLAG_BLOCK => self.read_block(page)?,
            FLAG_LEGACY => self.read_legacy(page)?,
            _ => {
                let found = format!("{flags:#06x}");
                return Err(Error::corrupt(offset + 4, "frame flags 0x0000 or 0x0001", found));
            }
        };
        self.file_crc.append(crc.get(), self.shift);
        self.database.toggle(crc.checksum_with(pgno, self.shift));
        self.pages += 1;
        self.window.consume(frame_bytes);
        self.expect_entry(Entry { pgno, offset, frame_bytes: frame_length(frame_bytes) });
        Ok(Some((pgno, crc)))
    }

    /// Reads the frame at hand into `page`; returns its whole length.
    fn read_block(&mut self, page: &mut [u8]) -> Result<(usize, PageCrc)> {
        let offset = self.window.offset();
        let head = self.window.require(BLOCK_FRAME_HEAD, "a page frame")?;
        self.file_crc.update(head);
        let stated = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
        let limit = max_block_bytes(self.header.page_size);
        let Some(length) = usize::try_from(stated).ok().filter(|length| *length <= limit) else {
            let expected = format!("a block of at most {limit} bytes");
            return Err(Error::corrupt(offset + 6, expected, stated.to_string()));
        };
        let frame = self.window.require(BLOCK_FRAME_HEAD + length, "the rest of a page frame")?;
        let block = &frame[BLOCK_FRAME_HEAD..];
        match block.strip_prefix(self.literal_prefix.as_slice()) {
            Some(literals) if literals.len() == page.len() => page.copy_from_slice(literals),
            _ => block::decompress(block, page).map_err(|found| {
                let expected = format!("an LZ4 block of {} bytes", page.len());
                Error::corrupt(offset + BLOCK_FRAME_HEAD as u64, expected, found)
            })?,
        }
        Ok((BLOCK_FRAME_HEAD + length, PageCrc::of(page)))
    }

    /// Reads the frame at hand into `page`; returns its whole length.
    fn read_legacy(&mut self, page: &mut [u8]) -> Result<(usize, PageCrc)> {
        let offset = self.window.offset() + LEGACY_FRAME_HEAD as u64;
        let corrupt = |found| {
            let expected = format!("an LZ4 frame of {} bytes in 64 KiB blocks", page.len());
            Error::corrupt(offset, expected, found)
        };
        let limit = max_legacy_bytes(self.header.page_size);
        let mut needed = 0;
        let length = loop {
            if needed > limit {
                return Err(corrupt(format!("at least {needed} bytes")));
            }
            let frame = self.window.require(LEGACY_FRAME_HEAD + needed, "an LZ4 frame")?;
            match legacy::walk(&frame[LEGACY_FRAME_HEAD..]).map_err(corrupt)? {
                Walk::Needs(more) => needed = more,
                Walk::Ends(length) if length > needed => needed = length,
                Walk::Ends(length) => break length,
            }
        };
        let frame = self.window.require(LEGACY_FRAME_HEAD + length, "an LZ4 frame")?;
        self.file_crc.update(&frame[..LEGACY_FRAME_HEAD]);
        let outcome = legacy::decompress(&frame[LEGACY_FRAME_HEAD..], page);
        outcome.map_err(|found| {
            let expected = format!("an LZ4 frame of {} bytes", page.len());
            Error::corrupt(offset, expected, found)
        })?;
        Ok((LEGACY_FRAME_HEAD + length, PageCrc::of(page)))
    }

    #[inline]
    fn expect_entry(&mut self, entry: Entry) {
        let mut bytes = [0; MAX_ENTRY_BYTES];
        let length = entry.encode(&mut bytes);
        self.index_crc.update(&bytes[..length]);
        self.index_bytes += length as u64;
    }

    fn read_index(&mut self) -> Result<()> {
        let offset = self.window.offset();
        self.index_crc.update(&[0]);
        self.index_bytes += 1;
        let mut found = Crc::new();
        let mut left = self.index_bytes;
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(usize::MAX);
            let bytes = self.window.available(limit)?;
            if bytes.is_empty() {
                let end = self.window.offset();
                return Err(Error::corrupt(end, "the page index", "the end of the file"));
            }
            found.update(bytes);
            self.file_crc.update(bytes);
            let length = bytes.len();
            self.window.consume(length);
            left -= length as u64;
        }
        if found.value() != self.index_crc.value() {
            let expected = format!("an index of the file's {} pages", self.pages);
            return Err(Error::corrupt(offset, expected, "another one"));
        }
        let offset = self.window.offset();
        let length = self.read_u64("the length of the page index")?;
        if length != self.index_bytes {
            let expected = format!("an index length of {}", self.index_bytes);
            return Err(Error::corrupt(offset, expected, length.to_string()));
        }
        Ok(())
    }

    fn read_trailer(mut self) -> Result<Trailer> {
        let offset = self.window.offset();
        self.window.require(TRAILER_BYTES, "a trailer of 16 bytes")?;
        let post_apply = self.read_u64("a trailer")?;
        let computed = Checksum::new(self.file_crc.value());
        let stated = self.read_u64("a trailer")?;
        if stated != computed.get() {
            let found = format!("{stated:016x}");
            return Err(Error::corrupt(offset + 8, format!("file checksum {computed}"), found));
        }
        if !self.window.available(1)?.is_empty() {
            let end = self.window.offset();
            return Err(Error::corrupt(end, "the end of the file", "more bytes"));
        }
        Ok(Trailer {
            checksum_after: self.checksum_after(offset, post_apply)?,
            file_checksum: computed,
            pages: self.pages,
            size_bytes: self.window.offset(),
        })
    }

    /// The database's checksum after the file, from what is stated and, for a base, from its pages.
    fn checksum_after(&self, offset: u64, post_apply: u64) -> Result<Option<Checksum>> {
        let corrupt =
            |expected: String| Error::corrupt(offset, expected, format!("{post_apply:016x}"));
        let field = match (self.header.checksum_place, Checksum::from_stored(post_apply)) {
            (ChecksumPlace::Reserved, _) if post_apply == 0 => None,
            (ChecksumPlace::Reserved, _) => {
                return Err(corrupt("no database checksum (flags 0x2)".to_owned()));
            }
            (ChecksumPlace::Fields, None) => {
                return Err(corrupt("a database checksum with the top bit set".to_owned()));
            }
            (ChecksumPlace::Fields, stated) => stated,
        };
        let stated = field.or(self.header.checksum_after);
        if !self.header.range.is_base() {
            return Ok(stated);
        }
        let computed = self.database.value();
        match stated {
            Some(stated) if stated != computed => Err(Error::corrupt(
                if field.is_some() { offset } else { 88 },
                format!("database checksum {computed}"),
                stated.to_string(),
            )),
            _ => Ok(Some(computed)),
        }
    }

    fn read_u64(&mut self, what: &str) -> Result<u64> {
        let bytes = self.window.require(8, what)?;
        let bytes: [u8; 8] = std::array::from_fn(|at| bytes[at]);
        self.file_crc.update(&bytes);
        self.window.consume(8);
        Ok(u64::from_be_bytes(bytes))
    }
}
