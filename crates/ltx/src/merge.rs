//! Several files that follow each other, read as if they were one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;

use crate::order::PageOrder;
use crate::{
    Checksum, ChecksumPlace, DatabaseChecksum, Decoder, Error, Header, PageCrc, Result, TxidRange,
    WalRange,
};

/// The header of the file that files with these headers, oldest first, merge into.
///
/// Ranges must be contiguous or overlap; page sizes must be equal, and so must nodes that are not zero;
/// of contiguous files, the later one must be made for the database that the earlier one leaves behind,
/// where both say so. The node is kept if all files have it, else it is zero.
pub fn merge_headers<'a>(headers: impl IntoIterator<Item = &'a Header>) -> Result<Header> {
    let mut headers = headers.into_iter();
    let Some(first) = headers.next() else {
        return Err(Error::not_contiguous("at least one file", "none"));
    };
    let mut last = first;
    let (mut node, mut stated_node) = (first.node, first.node);
    for next in headers {
        check_successor(last, next)?;
        // Litestream writes no node, also where it goes on with files of ours.
        if stated_node != 0 && next.node != 0 && next.node != stated_node {
            return Err(Error::not_contiguous(
                format!("node {stated_node:016x}"),
                format!("node {:016x}", next.node),
            ));
        }
        stated_node = stated_node.max(next.node);
        node = if next.node == node { node } else { 0 };
        last = next;
    }
    let both = TxidRange::new(first.range.min(), last.range.max());
    Ok(Header {
        page_size: first.page_size,
        commit: last.commit,
        range: both.unwrap_or(first.range),
        timestamp_ms: last.timestamp_ms,
        wal: WalRange::default(),
        node,
        checksum_before: first.checksum_before,
        checksum_after: last.checksum_after,
        checksum_place: ChecksumPlace::Reserved,
    })
}

fn check_successor(last: &Header, next: &Header) -> Result<()> {
    if next.page_size != last.page_size {
        return Err(Error::not_contiguous(
            format!("pages of {} bytes", last.page_size),
            format!("pages of {} bytes", next.page_size),
        ));
    }
    let (before, range) = (last.range, next.range);
    let touches = range.min() >= before.min()
        && before.max().next().is_some_and(|next| range.min() <= next)
        && range.max() > before.max();
    if !touches {
        let expected = format!("a range that goes on after {before}");
        return Err(Error::not_contiguous(expected, range.to_string()));
    }
    check_checksums(last, last.checksum_after, next)
}

/// A file that starts right after `last` must be made for the database that `last` leaves behind.
fn check_checksums(last: &Header, after_last: Option<Checksum>, next: &Header) -> Result<()> {
    match (after_last, next.checksum_before) {
        (Some(after), Some(before)) if next.range.min() > last.range.max() && before != after => {
            Err(Error::not_contiguous(
                format!("{} to be made for database checksum {after}", next.range),
                before.to_string(),
            ))
        }
        _ => Ok(()),
    }
}

struct Input<R> {
    decoder: Decoder<R>,
    /// Pages above are cut off by a later file, even if a still later one grows the database again.
    limit: u32,
    /// The page at hand.
    page: Vec<u8>,
    crc: PageCrc,
}

/// Reads files that follow each other, oldest first, as the one file that they merge into: every page
/// once, in ascending order, in its newest version.
///
/// A restore reads a whole chain this way. As with a [`Decoder`], the pages count only once
/// [`Merge::finish`] has succeeded.
pub struct Merge<R> {
    header: Header,
    inputs: Vec<Input<R>>,
    /// The page number at hand of every input that is not at its end; the newest of equals is on top.
    queue: BinaryHeap<(Reverse<u32>, usize)>,
    order: PageOrder,
    database: DatabaseChecksum,
    ended: bool,
}

impl<R: Read> Merge<R> {
    /// Takes files, oldest first, none of whose pages have been read; `NotContiguous` as in
    /// [`merge_headers`].
    pub fn new(decoders: Vec<Decoder<R>>) -> Result<Self> {
        let header = merge_headers(decoders.iter().map(Decoder::header))?;
        let mut limit = header.commit;
        let mut inputs: Vec<Input<R>> = decoders
            .into_iter()
            .rev()
            .map(|decoder| {
                limit = limit.min(decoder.header().commit);
                Input { decoder, limit, page: Vec::new(), crc: PageCrc::of(&[]) }
            })
            .collect();
        inputs.reverse();
        let count = inputs.len();
        let mut merge = Self {
            order: PageOrder::new(&header),
            header,
            inputs,
            queue: BinaryHeap::with_capacity(count),
            database: DatabaseChecksum::new(),
            ended: false,
        };
        (0..count).try_for_each(|number| merge.advance(number))?;
        Ok(merge)
    }

    /// The header of the merged file.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The next page's number and checksum, its bytes in `page`; `None` after the last.
    pub fn next_page(&mut self, page: &mut Vec<u8>) -> Result<Option<(u32, Checksum)>> {
        let page_size = self.header.page_size;
        let next = self.next_page_with_crc(page)?;
        Ok(next.map(|(pgno, crc)| (pgno, crc.checksum(pgno, page_size))))
    }

    /// Like `next_page`, with the CRC of the page's bytes alone, as an encoder wants it.
    pub fn next_page_with_crc(&mut self, page: &mut Vec<u8>) -> Result<Option<(u32, PageCrc)>> {
        if std::mem::replace(&mut self.ended, true) {
            return Err(Error::Ended);
        }
        let next = self.read_page(page)?;
        self.ended = false;
        Ok(next)
    }

    /// Reads what is left of all files and checks each of them to its end, that they follow each other,
    /// and, for a base, that the merged pages are the database that the last file states.
    ///
    /// Returns the checksum of the database after applying the files, as far as it is known.
    pub fn finish(mut self) -> Result<Option<Checksum>> {
        let mut page = Vec::new();
        while self.next_page_with_crc(&mut page)?.is_some() {}
        let mut last: Option<(Header, Option<Checksum>)> = None;
        for (number, input) in self.inputs.into_iter().enumerate() {
            let header = input.decoder.header().clone();
            let trailer = input.decoder.finish().map_err(|source| in_input(number, source))?;
            if let Some((last, after_last)) = &last {
                check_checksums(last, *after_last, &header)?;
            }
            last = Some((header, trailer.checksum_after));
        }
        let stated = last.and_then(|(_, after)| after);
        if !self.header.range.is_base() {
            return Ok(stated);
        }
        let computed = self.database.value();
        match stated {
            Some(stated) if stated != computed => Err(Error::not_contiguous(
                format!("pages with the stated database checksum {stated}"),
                computed.to_string(),
            )),
            _ => Ok(Some(computed)),
        }
    }

    fn read_page(&mut self, page: &mut Vec<u8>) -> Result<Option<(u32, PageCrc)>> {
        while let Some((Reverse(pgno), newest)) = self.queue.pop() {
            while let Some((Reverse(same), older)) = self.queue.peek().copied()
                && same == pgno
            {
                self.queue.pop();
                self.advance(older)?;
            }
            let input = &mut self.inputs[newest];
            let crc = input.crc;
            let visible = pgno <= input.limit;
            if visible {
                std::mem::swap(page, &mut input.page);
            }
            self.advance(newest)?;
            if visible {
                self.order
                    .admit(pgno)
                    .map_err(|expected| Error::not_contiguous(expected, format!("page {pgno}")))?;
                self.database.toggle(crc.checksum(pgno, self.header.page_size));
                return Ok(Some((pgno, crc)));
            }
        }
        let end = "the end of the pages";
        self.order.end().map_err(|expected| Error::not_contiguous(expected, end))?;
        Ok(None)
    }

    /// Takes the next page of an input.
    fn advance(&mut self, number: usize) -> Result<()> {
        let input = &mut self.inputs[number];
        let next = input.decoder.next_page_with_crc(&mut input.page);
        if let Some((pgno, crc)) = next.map_err(|source| in_input(number, source))? {
            input.crc = crc;
            self.queue.push((Reverse(pgno), number));
        }
        Ok(())
    }
}

fn in_input(number: usize, source: Error) -> Error {
    Error::Input { number: number + 1, source: Box::new(source) }
}
