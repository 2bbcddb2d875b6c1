//! How fast a database is read, scanned and encoded: `throughput DATABASE [WORKERS]`.
//!
//! Each figure is the best of five runs over a warm cache, in 10^9 bytes of database a second.

#![allow(clippy::print_stdout, reason = "the figures are the purpose of the program")]

use std::io::sink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lifeboat_ltx::{Checksum, Header, PageCoding, Txid, TxidRange};
use lifeboat_sqlite::{
    Bitmap, HashKey, Image, PageArray, PageArrayWriter, Result, encode_base, encode_changes, pin,
    scan,
};

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(database) = arguments.next().map(PathBuf::from) else {
        println!("usage: throughput DATABASE [WORKERS]");
        return Ok(());
    };
    let workers = arguments.next().and_then(|text| text.to_str()?.parse().ok()).unwrap_or(2);
    let directory = std::env::temp_dir().join(format!("throughput-{}", std::process::id()));
    let outcome = std::fs::create_dir(&directory)
        .map_err(|source| lifeboat_sqlite::Error::File {
            operation: "create",
            path: directory.clone(),
            source,
        })
        .and_then(|()| measure(&database, &directory, workers));
    let _ = std::fs::remove_dir_all(&directory);
    outcome
}

fn measure(database: &Path, directory: &Path, workers: usize) -> Result<()> {
    let pin = pin(database, directory)?;
    let image = pin.image()?;
    println!("{} pages of {} bytes, {workers} workers", image.page_count(), image.page_size());

    let mut memory = vec![0; image.page_size().bytes() * 32 + 64];
    let aligned = memory.as_ptr().align_offset(64).min(64);
    let length = memory.len() - 64;
    let buffer = &mut memory[aligned..aligned + length];
    best("image read, one thread", &image, || read_all(&image, buffer))?;

    let pages = directory.join("pages");
    let mut checksum = Checksum::EMPTY;
    best("encode_base into a sink", &image, || {
        checksum = base(&image, &pages, workers)?;
        Ok(())
    })?;

    let array = PageArray::open(&pages)?;
    let changes = directory.join("changes");
    best("scan, nothing changed", &image, || {
        let found = scan(&image, &array, checksum, &changes, workers, &|_| ())?;
        assert!(found.none() && found.checksum == checksum, "the scan found changes");
        Ok(())
    })?;

    let mut all = Bitmap::new(image.page_count());
    (1..=image.page_count()).for_each(|pgno| all.insert(pgno));
    let second = Txid::FIRST.next().unwrap_or(Txid::FIRST);
    let header = Header::new(image.page_size(), image.page_count(), TxidRange::single(second));
    best("encode_changes, every page", &image, || {
        encode_changes(&image, &header, PageCoding::Literal, &all, checksum, sink(), &|_| ())
            .map(|_| ())
    })
}

fn read_all(image: &Image<'_>, buffer: &mut [u8]) -> Result<()> {
    let size = image.page_size().bytes();
    let mut first = 1;
    while first <= image.page_count() {
        let left = (image.page_count() - first + 1) as usize;
        let count = left.min(buffer.len() / size);
        image.read(first, &mut buffer[..count * size])?;
        first += u32::try_from(count).unwrap_or(u32::MAX);
    }
    Ok(())
}

fn base(image: &Image<'_>, pages: &Path, workers: usize) -> Result<Checksum> {
    let writer = PageArrayWriter::create(pages, image.page_size(), HashKey::new([7; 192]))?;
    let range = TxidRange::base(Txid::FIRST);
    let header = Header::new(image.page_size(), image.page_count(), range);
    Ok(encode_base(image, &header, PageCoding::Literal, sink(), writer, workers, &|_| ())?.checksum)
}

fn best(what: &str, image: &Image<'_>, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    let mut fastest = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        run()?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let rate = image.size() as f64 / fastest / 1e9;
    println!("{what:<28}{fastest:8.3} s{rate:8.2} GB/s");
    Ok(())
}
