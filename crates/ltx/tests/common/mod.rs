//! Shared by the tests: sample files, a full read, and a second encoder that follows the format's text
//! word by word and can also write what the format forbids.

#![allow(dead_code, reason = "every test file uses a part")]

use std::io::Read;

use lifeboat_ltx::{
    Checksum, Decoder, Encoder, Header, PageCoding, PageSize, Result, Trailer, Txid, TxidRange,
};

pub(crate) const CODINGS: [PageCoding; 3] =
    [PageCoding::Literal, PageCoding::Lz4, PageCoding::LegacyFrame];

pub(crate) fn page_size(bytes: u32) -> PageSize {
    PageSize::new(bytes).expect("a valid page size")
}

pub(crate) fn txid(number: u64) -> Txid {
    Txid::new(number).expect("not zero")
}

pub(crate) fn range(min: u64, max: u64) -> TxidRange {
    TxidRange::new(txid(min), txid(max)).expect("ordered")
}

/// A page that compresses a little and differs for every seed.
pub(crate) fn page(size: PageSize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut page = vec![0; size.bytes()];
    for chunk in page.chunks_exact_mut(16) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk[..8].copy_from_slice(&state.to_be_bytes());
    }
    page
}

pub(crate) type Pages = Vec<(u32, Vec<u8>)>;

pub(crate) fn encode(
    header: &Header,
    coding: PageCoding,
    pages: &Pages,
) -> Result<(Vec<u8>, Trailer)> {
    let mut encoder = Encoder::with_coding(Vec::new(), header, coding)?;
    for (pgno, page) in pages {
        encoder.write_page(*pgno, page)?;
    }
    encoder.finish()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub header: Header,
    pub pages: Pages,
    pub checksums: Vec<Checksum>,
    pub trailer: Trailer,
}

pub(crate) fn decode(reader: impl Read) -> Result<Decoded> {
    let mut decoder = Decoder::new(reader)?;
    let header = decoder.header().clone();
    let (mut pages, mut checksums, mut page) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((pgno, checksum)) = decoder.next_page(&mut page)? {
        pages.push((pgno, page.clone()));
        checksums.push(checksum);
    }
    Ok(Decoded { header, pages, checksums, trailer: decoder.finish()? })
}

/// The format's CRC, bit by bit.
pub(crate) fn naive_crc(bytes: &[u8]) -> u64 {
    let mut register = !0_u64;
    for byte in bytes {
        register ^= u64::from(*byte);
        for _ in 0..8 {
            register = (register >> 1) ^ (0xd800_0000_0000_0000 * (register & 1));
        }
    }
    !register
}

pub(crate) const FLAG: u64 = 1 << 63;

/// A file in parts, any of which may be wrong; the file checksum is always right.
#[derive(Clone, Debug)]
pub(crate) struct RawFile {
    pub header: [u8; 100],
    pub frames: Vec<RawFrame>,
    pub index: Option<Vec<u8>>,
    pub index_length: Option<u64>,
    pub post_apply: u64,
    pub after: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct RawFrame {
    pub pgno: u32,
    pub flags: u16,
    /// Written after the flags, when given.
    pub length: Option<u32>,
    pub payload: Vec<u8>,
    /// What the payload decompresses to.
    pub page: Vec<u8>,
}

impl RawFrame {
    pub(crate) fn literal(pgno: u32, page: &[u8]) -> Self {
        let payload = literal_block(page);
        let length = u32::try_from(payload.len()).expect("small");
        Self { pgno, flags: 1, length: Some(length), payload, page: page.to_vec() }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = self.pgno.to_be_bytes().to_vec();
        head.extend(self.flags.to_be_bytes());
        head.extend(self.length.iter().flat_map(|length| length.to_be_bytes()));
        head
    }
}

pub(crate) fn literal_block(page: &[u8]) -> Vec<u8> {
    let mut block = vec![0xf0];
    let mut rest = page.len() - 15;
    while rest >= 255 {
        block.push(255);
        rest -= 255;
    }
    block.push(u8::try_from(rest).expect("below 255"));
    block.extend(page);
    block
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}

impl RawFile {
    pub(crate) fn new(header: &Header, pages: &Pages) -> Self {
        Self {
            header: header.encode(),
            frames: pages.iter().map(|(pgno, page)| RawFrame::literal(*pgno, page)).collect(),
            index: None,
            index_length: None,
            post_apply: 0,
            after: Vec::new(),
        }
    }

    pub(crate) fn right_index(&self) -> Vec<u8> {
        let mut index = Vec::new();
        let mut offset = 100;
        for frame in &self.frames {
            let length = (frame.head().len() + frame.payload.len()) as u64;
            [u64::from(frame.pgno), offset, length]
                .into_iter()
                .for_each(|value| varint(value, &mut index));
            offset += length;
        }
        index.push(0);
        index
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut file = self.header.to_vec();
        let mut hashed = self.header.to_vec();
        for frame in &self.frames {
            file.extend(frame.head());
            file.extend(&frame.payload);
            hashed.extend(frame.head());
            hashed.extend(&frame.page);
        }
        let index = self.index.clone().unwrap_or_else(|| self.right_index());
        let mut tail = vec![0; 6];
        tail.extend(&index);
        tail.extend(self.index_length.unwrap_or(index.len() as u64).to_be_bytes());
        tail.extend(self.post_apply.to_be_bytes());
        hashed.extend(&tail);
        file.extend(tail);
        file.extend((naive_crc(&hashed) | FLAG).to_be_bytes());
        file.extend(&self.after);
        file
    }
}
