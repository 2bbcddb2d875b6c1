//! Comparing some pages with the page array, and replaying files into it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Stored;
use lifeboat_ltx::{Checksum, Decoder, Header, PageCoding, PageSize, Txid, TxidRange};
use lifeboat_sqlite::{Bitmap, Error, PageArray, PageChanges, compare_pages, encode_changes};
use proptest::prelude::*;

fn set(pages: impl IntoIterator<Item = u32>, count: u32) -> Bitmap {
    let mut set = Bitmap::new(count);
    pages.into_iter().for_each(|pgno| set.insert(pgno));
    set
}

fn numbers(pages: &Bitmap) -> Vec<u32> {
    pages.iter().collect()
}

/// Compares, and encodes what differs.
fn capture(stored: &Stored, candidates: &Bitmap) -> (PageChanges, Vec<u8>) {
    let pinned = stored.pin();
    let image = pinned.image().unwrap();
    let changes = compare_pages(&image, &stored.array(), stored.checksum, candidates).unwrap();
    let range = TxidRange::single(Txid::FIRST.next().unwrap());
    let header = Header::new(image.page_size(), image.page_count(), range);
    let (coding, checksum) = (PageCoding::Literal, changes.checksum);
    let file =
        encode_changes(&image, &header, coding, &changes.pages, checksum, Vec::new(), &|_| ());
    (changes, file.unwrap().out)
}

fn replay(array: &PageArray, file: &[u8]) -> Result<u32, Error> {
    array.replay(Decoder::new(file).unwrap()).map(|applied| applied.pages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Edits, growth and shrinking: what is found among the candidates is what a scan finds, and
    /// applying it, or the file that it became, gives the array of a capture from nothing.
    #[test]
    fn a_comparison_finds_what_a_scan_finds(
        exponent in 9_u32..13,
        states in prop::collection::vec(prop::collection::vec(0_u8..3, 1..600), 2..5),
        more in prop::collection::vec(1_u32..600, 0..40),
    ) {
        let mut stored = Stored::new(1 << exponent, &states[0]);
        for state in &states[1..] {
            stored.set(state);
            let scanned = stored.scan();
            let candidates =
                set(numbers(&scanned.pages).into_iter().chain(more.clone()), scanned.page_count);
            let (found, file) = capture(&stored, &candidates);
            prop_assert_eq!(numbers(&found.pages), numbers(&scanned.pages));
            prop_assert_eq!(found.checksum, scanned.checksum);
            prop_assert_eq!(found.page_count, scanned.page_count);
            prop_assert_eq!(found.page_count_before, scanned.page_count_before);
            prop_assert_eq!(found.none(), scanned.none());

            let (before, fresh) = (std::fs::read(stored.pages()).unwrap(), stored.fresh_array());
            replay(&stored.array(), &file).unwrap();
            prop_assert!(std::fs::read(stored.pages()).unwrap() == fresh);
            std::fs::write(stored.pages(), before).unwrap();
            found.apply(&stored.array()).unwrap();
            prop_assert!(std::fs::read(stored.pages()).unwrap() == fresh);
            stored.checksum = found.checksum;
        }
    }
}

/// Whatever got to the disk of what was written since the last sync, all files since then bring the
/// array up to date.
#[test]
fn replaying_mends_an_array_that_crashed() {
    let states: [Vec<u8>; 5] = [vec![1; 200], vec![2; 260], vec![2; 90], vec![2; 91], vec![3; 300]];
    let mut stored = Stored::new(512, &states[0]);
    let mut arrays = vec![std::fs::read(stored.pages()).unwrap()];
    let mut files = Vec::new();
    for state in &states[1..] {
        stored.set(state);
        let all = set(1..=u32::try_from(state.len()).unwrap(), u32::MAX - 1);
        let (found, file) = capture(&stored, &all);
        found.apply(&stored.array()).unwrap();
        stored.array().sync().unwrap();
        stored.checksum = found.checksum;
        files.push(file);
        arrays.push(std::fs::read(stored.pages()).unwrap());
    }
    let last = arrays.last().unwrap();
    // Each record is the one of any of the arrays, and so is the length.
    for seed in 0..30_usize {
        let mut torn = arrays[seed % 5].clone();
        for (at, record) in torn.chunks_mut(32).enumerate().skip(8) {
            let other = &arrays[(at * 7 + seed * 13) % 11 % 5];
            if let Some(other) = other.get(at * 32..at * 32 + 32) {
                record.copy_from_slice(other);
            }
        }
        std::fs::write(stored.pages(), torn).unwrap();
        for file in &files {
            replay(&stored.array(), file).unwrap();
        }
        assert!(std::fs::read(stored.pages()).unwrap() == *last, "{seed}");
        replay(&stored.array(), files.last().unwrap()).unwrap();
        assert!(std::fs::read(stored.pages()).unwrap() == *last, "{seed}, again");
    }
}

#[test]
fn what_does_not_fit_the_array_is_refused() {
    let (small, large) = (Stored::new(512, &[1; 20]), Stored::new(1024, &[1; 20]));
    let (_, file) = capture(&large, &set([2], 20));
    assert!(matches!(replay(&small.array(), &file), Err(Error::PageArray { .. })));
    let pinned = large.pin();
    let image = pinned.image().unwrap();
    let found = compare_pages(&image, &small.array(), small.checksum, &set([2], 20));
    assert!(matches!(found, Err(Error::PageArray { .. })));
    // A file that is cut.
    let array = large.array();
    let cut = Decoder::new(&file[..file.len() - 1]).unwrap();
    assert!(matches!(array.replay(cut), Err(Error::Ltx { .. })));
}

/// A record that a crash left without content would take nothing out of the checksum.
#[test]
fn a_record_without_a_checksum_is_noticed() {
    for (page, pages_now) in [(30, 50), (45, 40)] {
        let mut stored = Stored::new(512, &[1; 50]);
        stored.set(&vec![2; pages_now]);
        let mut array = std::fs::read(stored.pages()).unwrap();
        array[256 + (page - 1) * 32..256 + page * 32].fill(0);
        std::fs::write(stored.pages(), array).unwrap();
        let pinned = stored.pin();
        let image = pinned.image().unwrap();
        let all = set(1..=image.page_count(), image.page_count());
        let found = compare_pages(&image, &stored.array(), stored.checksum, &all);
        let error = found.unwrap_err();
        assert!(error.to_string().contains(&format!("page {page} ")), "{error}");
    }
}

/// 1 GiB and a few pages, most of which no file system stores.
#[test]
fn the_lock_page_has_no_record() {
    let page_size = PageSize::new(65_536).unwrap();
    let lock = page_size.lock_page();
    let mut stored = Stored::new(page_size.get(), &[1; 3]);
    let file = std::fs::OpenOptions::new().write(true).open(&stored.place.database).unwrap();
    file.set_len(u64::from(lock + 2) * 65_536).unwrap();
    let mut header = stored.bytes[..100].to_vec();
    header[28..32].copy_from_slice(&(lock + 2).to_be_bytes());
    std::os::unix::fs::FileExt::write_all_at(&file, &header, 0).unwrap();
    let pinned = stored.pin();
    let image = pinned.image().unwrap();
    assert_eq!(image.page_count(), lock + 2);
    let new = set([1].into_iter().chain(4..=lock + 2), lock + 2);
    let found = compare_pages(&image, &stored.array(), stored.checksum, &new).unwrap();
    assert!(!found.pages.contains(lock) && found.pages.len() == lock + 2 - 3);
    found.apply(&stored.array()).unwrap();
    assert_eq!(stored.array().record(lock).unwrap().checksum, 0);
    stored.checksum = found.checksum;
    // And back again, across it.
    drop(image);
    drop(pinned);
    stored.set(&[1; 3]);
    let pinned = stored.pin();
    let image = pinned.image().unwrap();
    let back = compare_pages(&image, &stored.array(), stored.checksum, &set([1], 3)).unwrap();
    assert_eq!(back.checksum, stored.naive_checksum());
    assert_ne!(back.checksum, Checksum::EMPTY);
}
