//! Prints how fast pages are encoded, decoded and merged on one core, in memory.
//!
//! `cargo run --release -p lifeboat-ltx --example ltx_throughput`

#![allow(clippy::print_stdout, reason = "a measuring tool prints its result")]

use std::io;
use std::time::Instant;

use lifeboat_ltx::{
    Decoder, Encoder, Header, Merge, PageCoding, PageCrc, PageSize, Result, Txid, TxidRange,
};

/// Page bytes per run: more than caches hold.
const CONTENT_BYTES: usize = 512 << 20;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    for (page_bytes, coding) in [
        (4096, PageCoding::Literal),
        (1024, PageCoding::Literal),
        (65_536, PageCoding::Literal),
        (4096, PageCoding::Lz4),
        (4096, PageCoding::LegacyFrame),
    ] {
        let page_size = PageSize::new(page_bytes).unwrap_or(PageSize::DEFAULT);
        measure(page_size, coding)?;
    }
    Ok(())
}

fn measure(page_size: PageSize, coding: PageCoding) -> Result<()> {
    let content = content();
    let pages = || (1_u32..).zip(content.chunks_exact(page_size.bytes()));
    let commit = u32::try_from(CONTENT_BYTES / page_size.bytes()).unwrap_or(u32::MAX);
    let header = Header::new(page_size, commit, TxidRange::base(Txid::FIRST));
    println!("{page_size} byte pages, {coding:?}:");

    let mut file = Vec::with_capacity(CONTENT_BYTES + CONTENT_BYTES / 16);
    report("encode to nowhere", || {
        let mut encoder = Encoder::with_coding(io::sink(), &header, coding)?;
        for (pgno, page) in pages() {
            encoder.write_page(pgno, page)?;
        }
        encoder.finish().map(drop)
    })?;
    let crcs: Vec<PageCrc> = pages().map(|(_, page)| PageCrc::of(page)).collect();
    report("encode, pages hashed before", || {
        let mut encoder = Encoder::with_coding(io::sink(), &header, coding)?;
        for ((pgno, page), crc) in pages().zip(&crcs) {
            encoder.write_page_with_crc(pgno, page, *crc)?;
        }
        encoder.finish().map(drop)
    })?;
    report("encode to memory", || {
        file.clear();
        let mut encoder = Encoder::with_coding(&mut file, &header, coding)?;
        for (pgno, page) in pages() {
            encoder.write_page(pgno, page)?;
        }
        encoder.finish().map(drop)
    })?;
    report("decode and verify", || {
        let mut decoder = Decoder::new(file.as_slice())?;
        let mut page = Vec::new();
        while decoder.next_page(&mut page)?.is_some() {}
        decoder.finish().map(drop)
    })?;
    report("merge of one", || {
        let mut merge = Merge::new(vec![Decoder::new(file.as_slice())?])?;
        let mut page = Vec::new();
        while merge.next_page(&mut page)?.is_some() {}
        merge.finish().map(drop)
    })
}

/// Half of it compressible.
fn content() -> Vec<u8> {
    let mut state = 1_u64;
    let mut content = vec![0; CONTENT_BYTES];
    for words in content.chunks_exact_mut(16) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        words[..8].copy_from_slice(&(state ^ (state >> 29)).to_be_bytes());
    }
    content
}

/// The best of a few runs: others share the machine.
fn report(name: &str, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let speed = 512.0 / 1024.0 * 1.073_741_824 / best;
    println!("  {name:<28} {speed:6.2} GB/s");
    Ok(())
}
