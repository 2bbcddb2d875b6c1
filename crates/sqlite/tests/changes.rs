//! Scans, page arrays and files of changes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use common::{Lineage, Place, Stored, run};
use lifeboat_ltx::{Checksum, PageCoding, PageSize};
use lifeboat_sqlite::{
    Error, HashKey, PageArray, PageArrayWriter, PageRecord, apply_changes, changed_pages, pin, scan,
};
use proptest::prelude::*;

fn differing(before: &[u8], after: &[u8], page_size: usize) -> Vec<u32> {
    let before: Vec<_> = before.chunks(page_size).collect();
    (1..)
        .zip(after.chunks(page_size))
        .filter(|(pgno, page)| before.get(*pgno as usize - 1) != Some(page))
        .map(|(pgno, _)| pgno)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Edits, growth and shrinking, one after another: each scan finds exactly the pages that
    /// differ, and checksum and page array are those of a capture from nothing.
    #[test]
    fn a_scan_finds_exactly_what_differs(
        exponent in 9_u32..13,
        states in prop::collection::vec(prop::collection::vec(0_u8..4, 1..600), 2..5),
    ) {
        let page_size = 1 << exponent;
        let mut stored = Stored::new(page_size, &states[0]);
        prop_assert_eq!(stored.checksum, stored.naive_checksum());
        for state in &states[1..] {
            let before = stored.bytes.clone();
            stored.set(state);
            let expected = differing(&before, &stored.bytes, page_size as usize);
            let changes = stored.scan();
            prop_assert_eq!(changes.pages.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(changed_pages(&stored.changes()).unwrap(), expected.clone());
            prop_assert_eq!(changes.page_count as usize, state.len());
            prop_assert_eq!(changes.page_count_before as usize, before.len() / page_size as usize);
            prop_assert_eq!(changes.none(), expected.is_empty() && before.len() == stored.bytes.len());
            prop_assert_eq!(changes.checksum, stored.naive_checksum());
            stored.apply(&changes);
            prop_assert_eq!(std::fs::read(stored.pages()).unwrap(), stored.fresh_array());
        }
    }
}

#[test]
fn applying_twice_or_after_an_interruption_is_applying_once() {
    let mut stored = Stored::new(512, &[1; 300]);
    let before = std::fs::read(stored.pages()).unwrap();
    for state in [vec![2; 400], vec![3; 100]] {
        stored.set(&state);
        let changes = stored.scan();
        apply_changes(&stored.changes(), &stored.array()).unwrap();
        let once = std::fs::read(stored.pages()).unwrap();
        apply_changes(&stored.changes(), &stored.array()).unwrap();
        assert!(std::fs::read(stored.pages()).unwrap() == once);

        // As if it had ended after any number of bytes.
        for applied in [256, 257, 1000, 5000, once.len()] {
            let applied = applied.min(once.len());
            let mut torn = before.clone();
            torn.resize(torn.len().max(applied), 0);
            torn[..applied].copy_from_slice(&once[..applied]);
            std::fs::write(stored.pages(), torn).unwrap();
            apply_changes(&stored.changes(), &stored.array()).unwrap();
            assert!(std::fs::read(stored.pages()).unwrap() == once, "{applied}");
        }
        std::fs::write(stored.pages(), &before).unwrap();
        assert_eq!(stored.scan().checksum, changes.checksum);
    }
}

#[test]
fn a_file_of_changes_that_is_cut_or_altered_changes_nothing() {
    let mut stored = Stored::new(512, &[1; 50]);
    stored.set(&[2; 60]);
    stored.scan();
    let array = std::fs::read(stored.pages()).unwrap();
    let whole = std::fs::read(stored.changes()).unwrap();
    let refused = |content: &[u8]| {
        std::fs::write(stored.changes(), content).unwrap();
        let error = apply_changes(&stored.changes(), &stored.array()).unwrap_err();
        assert!(matches!(error, Error::PageArray { .. }), "{error:?}");
        assert!(changed_pages(&stored.changes()).is_err());
        assert!(std::fs::read(stored.pages()).unwrap() == array);
    };
    for length in 0..whole.len() {
        refused(&whole[..length]);
    }
    refused(&[&whole[..], &[0]].concat());
    refused(&[&whole[..], &[0; 36]].concat());
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x81;
        refused(&altered);
    }
}

#[test]
fn a_page_array_that_is_cut_or_altered_is_an_error_and_no_panic() {
    let stored = Stored::new(512, &[1; 50]);
    let whole = std::fs::read(stored.pages()).unwrap();
    for length in 0..256 {
        std::fs::write(stored.pages(), &whole[..length]).unwrap();
        assert!(matches!(PageArray::open(&stored.pages()), Err(Error::PageArray { .. })));
    }
    for (at, what) in [(0, "the magic"), (8, "the page size"), (10, "the page size")] {
        let mut altered = whole.clone();
        altered[at] ^= 0x81;
        std::fs::write(stored.pages(), altered).unwrap();
        assert!(matches!(PageArray::open(&stored.pages()), Err(Error::PageArray { .. })), "{what}");
    }
    // Cut within the records, or a record's checksum altered: what follows would have the wrong
    // checksum, and no restore of it would pass.
    std::fs::write(stored.pages(), &whole[..256 + 32 * 20 + 7]).unwrap();
    assert_eq!(stored.array().page_count().unwrap(), 20);
    assert_eq!(stored.array().record(21).unwrap(), PageRecord::default());
    assert_eq!(stored.array().record(0).unwrap(), PageRecord::default());
    assert!(matches!(stored.try_scan(), Err(Error::PageArray { .. })));
    let mut altered = whole.clone();
    altered[256 + 32 * 7 + 16] ^= 1;
    std::fs::write(stored.pages(), &altered).unwrap();
    assert!(matches!(stored.try_scan(), Err(Error::PageArray { .. })));
    // An altered hash only makes its page look changed.
    let mut altered = whole.clone();
    altered[256 + 32 * 7] ^= 1;
    std::fs::write(stored.pages(), &altered).unwrap();
    let changes = stored.scan();
    assert_eq!(changes.pages.iter().collect::<Vec<_>>(), [8]);
    assert_eq!(changes.checksum, stored.naive_checksum());
    // More records than pages can be numbered.
    let file = std::fs::OpenOptions::new().write(true).open(stored.pages()).unwrap();
    file.set_len(256 + 32 * (1 << 32)).unwrap();
    assert!(matches!(stored.array().page_count(), Err(Error::PageArray { .. })));
}

#[test]
fn an_unfinished_page_array_is_none() {
    let place = Place::new();
    let path = place.path("pages");
    drop(PageArrayWriter::create(&path, PageSize::DEFAULT, HashKey::new([1; 192])).unwrap());
    assert!(matches!(PageArray::open(&path), Err(Error::PageArray { .. })));
}

#[test]
fn another_page_size_is_refused() {
    let (place, writer) = Place::with("CREATE TABLE t(x)");
    let lineage = Lineage::begin(&place.database);
    run(&writer, "PRAGMA page_size=8192; VACUUM");
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    let image = pinned.image().unwrap();
    assert_eq!(image.page_size().get(), 8192);
    let (array, changes) = (lineage.array(), place.path("changes"));
    let error = scan(&image, &array, lineage.checksum, &changes, 2, &|_| ()).unwrap_err();
    let Error::PageArray { path, .. } = error else { panic!("{error:?}") };
    assert_eq!(path.file_name().unwrap(), "pages");
}

#[test]
fn the_hash_depends_on_the_key() {
    let stored = Stored::new(4096, &[1; 5]);
    let first = std::fs::read(stored.pages()).unwrap();
    let writer =
        PageArrayWriter::create(&stored.pages(), PageSize::DEFAULT, HashKey::new([8; 192]))
            .unwrap();
    let pinned = stored.pin();
    let image = pinned.image().unwrap();
    let range = lifeboat_ltx::TxidRange::base(lifeboat_ltx::Txid::FIRST);
    let header = lifeboat_ltx::Header::new(image.page_size(), image.page_count(), range);
    lifeboat_sqlite::encode_base(
        &image,
        &header,
        PageCoding::Literal,
        Vec::new(),
        writer,
        1,
        &|_| (),
    )
    .unwrap();
    let second = std::fs::read(stored.pages()).unwrap();
    assert_ne!(first[256..272], second[256..272]);
    assert_eq!(first[272..280], second[272..280], "the checksum does not");
}

#[test]
fn progress_adds_up_to_the_image() {
    let stored = Stored::new(4096, &[1; 1234]);
    let pinned = stored.pin();
    let image = pinned.image().unwrap();
    for workers in [0, 1, 2, 9] {
        let seen = AtomicU64::new(0);
        let count = |bytes| {
            seen.fetch_add(bytes, Ordering::Relaxed);
        };
        let path = stored.changes();
        let changes = scan(&image, &stored.array(), stored.checksum, &path, workers, &count);
        assert!(changes.unwrap().none());
        assert_eq!(seen.into_inner(), image.size());
    }
    assert_ne!(stored.checksum, Checksum::EMPTY);
}
