//! LTX files made of an input, and files read as a whole.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use lifeboat_ltx::{
    Checksum, ChecksumPlace, DatabaseChecksum, Decoder, Encoder, Header, PageCoding, PageSize,
    Trailer, Txid, TxidRange, WalRange, page_checksum,
};

/// All of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What it says of itself.
    pub header: Header,
    /// Its pages.
    pub pages: Vec<(u32, Vec<u8>)>,
    /// Its end.
    pub trailer: Trailer,
}

/// Reads a file to its end.
pub fn decode(bytes: &[u8]) -> lifeboat_ltx::Result<Decoded> {
    let mut decoder = Decoder::new(bytes)?;
    let header = decoder.header().clone();
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    while let Some((pgno, _)) = decoder.next_page(&mut page)? {
        assert_eq!(page.len(), header.page_size.bytes());
        pages.push((pgno, page.clone()));
    }
    Ok(Decoded { header, pages, trailer: decoder.finish()? })
}

/// One of the three codings.
pub fn coding(number: u8) -> PageCoding {
    [PageCoding::Literal, PageCoding::Lz4, PageCoding::LegacyFrame][usize::from(number % 3)]
}

/// Small pages come often: they leave more of an input to other things.
fn page_size(input: &mut Unstructured<'_>) -> Result<PageSize> {
    let shift = match input.arbitrary::<u8>()? {
        0..=247 => 0,
        byte => u32::from(byte - 247) % 8,
    };
    Ok(PageSize::new(512 << shift).expect("a power of two from 512 to 65,536"))
}

/// A page in which few bytes of the input stand for many.
fn page(input: &mut Unstructured<'_>, size: PageSize) -> Result<Vec<u8>> {
    let mut page = vec![input.arbitrary()?; size.bytes()];
    let length = input.int_in_range(0..=32)?;
    let at = input.int_in_range(0..=size.bytes() - 32)?;
    for (byte, from) in page[at..].iter_mut().zip(input.bytes(length)?) {
        *byte = *from;
    }
    Ok(page)
}

/// A file that follows `before`, or begins a database; what it holds is up to the input.
pub fn small_file(input: &mut Unstructured<'_>, before: Option<&Decoded>) -> Result<Decoded> {
    let size = match before {
        Some(before) if input.ratio(15, 16)? => before.header.page_size,
        _ => page_size(input)?,
    };
    let commit = input.int_in_range(0..=6)?;
    let mut header = Header::new(size, commit, range(input, before)?);
    header.timestamp_ms = input.arbitrary()?;
    header.node = if input.ratio(7, 8)? { 7 } else { input.arbitrary()? };
    header.wal = WalRange { offset: 32, size: input.arbitrary::<u32>()?.into(), salts: [1, 2] };
    let mut database = DatabaseChecksum::new();
    let mut pages = Vec::new();
    for pgno in 1..=commit {
        if header.range.is_base() || input.arbitrary()? {
            let page = page(input, size)?;
            database.toggle(page_checksum(pgno, &page));
            pages.push((pgno, page));
        }
    }
    if header.range.is_base() {
        header.checksum_after = input.arbitrary::<bool>()?.then(|| database.value());
    } else {
        // Stated or not: one that is stated is wrong, and keeps a base from being made of the chain.
        header.checksum_before = before.and_then(|before| before.trailer.checksum_after);
        header.checksum_after =
            if input.arbitrary()? { Some(Checksum::new(input.arbitrary()?)) } else { None };
        let both = header.checksum_before.is_some() && header.checksum_after.is_some();
        if both && input.arbitrary()? {
            header.checksum_place = ChecksumPlace::Fields;
        }
    }
    let trailer = build(&header, &pages, PageCoding::Literal).expect("a well-formed file").1;
    Ok(Decoded { header, pages, trailer })
}

/// Mostly right after the file before, sometimes overlapping it or with a gap.
fn range(input: &mut Unstructured<'_>, before: Option<&Decoded>) -> Result<TxidRange> {
    let after = before.map_or(0, |before| before.header.range.max().get());
    let min = match input.arbitrary::<u8>()? {
        0..=223 => after + 1,
        byte => 1 + u64::from(byte) % (after + 3),
    };
    let max = min.max(after + 1) + input.int_in_range(0..=2)?;
    let txid = |number| Txid::new(number).expect("from 1");
    Ok(TxidRange::new(txid(min), txid(max)).expect("in order"))
}

/// Writes a file.
pub fn build(
    header: &Header,
    pages: &[(u32, Vec<u8>)],
    coding: PageCoding,
) -> lifeboat_ltx::Result<(Vec<u8>, Trailer)> {
    let mut encoder = Encoder::with_coding(Vec::new(), header, coding)?;
    for (pgno, page) in pages {
        encoder.write_page(*pgno, page)?;
    }
    encoder.finish()
}
