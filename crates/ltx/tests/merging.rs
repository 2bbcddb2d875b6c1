//! A merged file does what its inputs do one after the other.

mod common;

use std::collections::BTreeMap;

use common::{CODINGS, Pages, decode, encode, page, page_size, range};
use lifeboat_ltx::{
    Checksum, DatabaseChecksum, Decoder, Error, Header, Merge, PageCoding, PageSize, WalRange,
    compact, merge_headers, page_checksum,
};
use proptest::prelude::*;

const NODE: u64 = 0x11fe_b0a7;

/// A database as the model sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Database(BTreeMap<u32, Vec<u8>>);

impl Database {
    fn checksum(&self) -> Checksum {
        let mut checksum = DatabaseChecksum::new();
        self.0.iter().for_each(|(pgno, page)| checksum.toggle(page_checksum(*pgno, page)));
        checksum.value()
    }

    fn apply(&mut self, file: &[u8]) {
        let decoded = decode(file).expect("sound");
        let (before, after) = (decoded.header.checksum_before, decoded.trailer.checksum_after);
        assert!(before.is_none_or(|before| before == self.checksum()), "another database");
        self.0.extend(decoded.pages);
        self.0.retain(|pgno, _| *pgno <= decoded.header.commit);
        assert!(after.is_none_or(|after| after == self.checksum()), "another result");
    }
}

/// One file: the new size, and for every old page whether it changes. New pages are always there.
type Step = (u32, Vec<bool>);

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0_u32..12, prop::collection::vec(any::<bool>(), 12)), 1..8)
}

/// The file of every step, from transaction 1, and the database after it.
fn files(steps: &[Step]) -> Vec<(Vec<u8>, Database)> {
    let size = page_size(512);
    let mut database = Database::default();
    let mut files = Vec::new();
    for (txid, (commit, changed)) in (1_u64..).zip(steps) {
        let old = u32::try_from(database.0.len()).expect("small");
        let pages: Pages = (1..=*commit)
            .zip(changed)
            .filter(|(pgno, changed)| txid == 1 || *pgno > old || **changed)
            .map(|(pgno, _)| (pgno, page(size, txid * 100 + u64::from(pgno))))
            .collect();
        let before = database.checksum();
        database.0.extend(pages.iter().cloned());
        database.0.retain(|pgno, _| pgno <= commit);
        let header = Header {
            timestamp_ms: i64::try_from(txid * 1000).expect("small"),
            wal: WalRange { offset: 32, size: txid, salts: [1, 2] },
            node: NODE,
            checksum_before: (txid > 1).then_some(before),
            checksum_after: (txid > 1).then(|| database.checksum()),
            ..Header::new(size, *commit, range(txid, txid))
        };
        let coding = CODINGS[usize::try_from(txid % 3).expect("small")];
        let (file, _) = encode(&header, coding, &pages).expect("well-formed");
        files.push((file, database.clone()));
    }
    files
}

fn open(files: &[(Vec<u8>, Database)]) -> Vec<Decoder<&[u8]>> {
    files.iter().map(|(file, _)| Decoder::new(file.as_slice()).expect("sound")).collect()
}

proptest! {
    #[test]
    fn a_merge_does_what_its_inputs_do(
        steps in any_steps(),
        first: prop::sample::Index,
        last: prop::sample::Index,
    ) {
        let files = files(&steps);
        let first = first.index(files.len());
        let last = first + last.index(files.len() - first);
        let inputs = &files[first..=last];
        let (merged, header, trailer) =
            compact(open(inputs), Vec::new(), PageCoding::Literal).expect("contiguous");

        let mut one_by_one = if first == 0 { Database::default() } else { files[first - 1].1.clone() };
        let mut at_once = one_by_one.clone();
        inputs.iter().for_each(|(file, _)| one_by_one.apply(file));
        at_once.apply(&merged);
        prop_assert_eq!(&at_once, &one_by_one);
        prop_assert_eq!(&at_once, &files[last].1);

        let (from, to) = (first as u64 + 1, last as u64 + 1);
        prop_assert_eq!(header.range, range(from, to));
        prop_assert_eq!(header.node, NODE);
        prop_assert_eq!(header.wal, WalRange::default());
        prop_assert_eq!(header.timestamp_ms, i64::try_from(to * 1000).expect("small"));
        prop_assert_eq!(header.checksum_before.is_some(), first > 0);
        prop_assert_eq!(trailer.checksum_after, Some(files[last].1.checksum()));
        prop_assert_eq!(decode(merged.as_slice()).expect("sound").header, header);
    }

    #[test]
    fn merging_in_two_steps_gives_the_same_bytes(steps in any_steps(), middle: prop::sample::Index) {
        let files = files(&steps);
        let middle = middle.index(files.len()) + 1;
        let merge = |inputs| compact(inputs, Vec::new(), PageCoding::Literal).expect("contiguous").0;
        let (early, late) = files.split_at(middle);
        let early = merge(open(early));
        let mut inputs = vec![Decoder::new(early.as_slice()).expect("sound")];
        inputs.extend(open(late));
        prop_assert_eq!(merge(inputs), merge(open(&files)));
    }
}

fn delta(header: &Header, pages: &[u32]) -> Vec<u8> {
    let pages =
        pages.iter().map(|pgno| (*pgno, page(header.page_size, u64::from(*pgno)))).collect();
    encode(header, PageCoding::Literal, &pages).expect("well-formed").0
}

fn merged_pages(files: &[Vec<u8>]) -> Result<Vec<u32>, Error> {
    let decoders = files.iter().map(|file| Decoder::new(file.as_slice()).expect("sound")).collect();
    let mut merge = Merge::new(decoders)?;
    let (mut pages, mut page) = (Vec::new(), Vec::new());
    while let Some((pgno, _)) = merge.next_page(&mut page)? {
        pages.push(pgno);
    }
    merge.finish()?;
    Ok(pages)
}

#[test]
fn pages_that_a_file_in_between_cut_off_do_not_come_back() {
    let size = page_size(512);
    let files = [
        delta(&Header::new(size, 9, range(2, 2)), &[1, 5, 9]),
        delta(&Header::new(size, 3, range(3, 3)), &[1]),
        // Grows again without page 5: malformed, but page 5 of the first file is not the answer.
        delta(&Header::new(size, 9, range(4, 4)), &[4, 6, 7, 8, 9]),
    ];
    assert_eq!(merged_pages(&files).expect("contiguous"), [1, 4, 6, 7, 8, 9]);
}

#[test]
fn overlapping_ranges_merge_as_litestream_merges_them() {
    let size = page_size(512);
    let files = [
        delta(&Header::new(size, 9, range(2, 5)), &[1, 2]),
        delta(&Header::new(size, 9, range(4, 8)), &[2, 3]),
    ];
    assert_eq!(merged_pages(&files).expect("overlapping"), [1, 2, 3]);
}

#[test]
fn a_base_with_a_gap_is_refused() {
    let size = page_size(512);
    let base = delta(&Header::new(size, 2, range(1, 1)), &[1, 2]);
    for pages in [&[3][..], &[4], &[]] {
        let files = [base.clone(), delta(&Header::new(size, 4, range(2, 2)), pages)];
        assert!(matches!(merged_pages(&files), Err(Error::NotContiguous { .. })), "{pages:?}");
    }
    let whole = [base, delta(&Header::new(size, 4, range(2, 2)), &[3, 4])];
    assert_eq!(merged_pages(&whole).expect("whole"), [1, 2, 3, 4]);
}

#[test]
fn headers_that_do_not_follow_each_other() {
    let base = Header { node: NODE, ..Header::new(PageSize::DEFAULT, 5, range(1, 4)) };
    let next = Header { range: range(5, 6), ..base.clone() };
    let sum = |number| Some(Checksum::new(number));
    merge_headers([&base, &next]).expect("contiguous");
    merge_headers([&base, &Header { range: range(3, 5), ..next.clone() }]).expect("overlapping");
    let wrong = [
        Header { range: range(6, 6), ..next.clone() },
        Header { range: range(2, 4), ..next.clone() },
        Header { range: range(2, 3), ..next.clone() },
        Header { page_size: page_size(512), ..next.clone() },
        Header { node: NODE + 1, ..next.clone() },
    ];
    for header in &wrong {
        assert!(
            matches!(merge_headers([&base, header]), Err(Error::NotContiguous { .. })),
            "{header:?}"
        );
    }
    assert!(merge_headers([&next, &base]).is_err(), "the oldest comes first");

    let after = |txid, node| Header { range: range(txid, txid), node, ..next.clone() };
    let mixed = merge_headers([&base, &after(5, 0), &after(6, NODE)]).expect("zero is any node");
    assert_eq!(mixed.node, 0, "not all of it is known to be of one node");
    assert!(merge_headers([&base, &after(5, 0), &after(6, NODE + 1)]).is_err(), "two nodes");
    assert!(merge_headers([]).is_err());

    let stating = Header { checksum_after: sum(1), ..base };
    let onto = |checksum_before| Header { checksum_before, ..next.clone() };
    merge_headers([&stating, &onto(sum(1))]).expect("the same database");
    merge_headers([&stating, &onto(None)]).expect("not stated");
    assert!(merge_headers([&stating, &onto(sum(2))]).is_err(), "another database");

    let end = Header { range: range(u64::MAX, u64::MAX), ..next.clone() };
    assert!(merge_headers([&end, &next]).is_err(), "nothing follows the last transaction");
}

#[test]
fn a_base_that_states_nothing_is_still_compared_with_what_follows() {
    let size = page_size(512);
    let base = delta(&Header::new(size, 1, range(1, 1)), &[1]);
    let stating =
        |checksum| Header { checksum_before: Some(checksum), ..Header::new(size, 1, range(2, 2)) };
    let right = page_checksum(1, &page(size, 1));
    merged_pages(&[base.clone(), delta(&stating(right), &[])]).expect("the same database");
    let wrong = merged_pages(&[base.clone(), delta(&stating(Checksum::new(1)), &[])]);
    assert!(matches!(wrong, Err(Error::NotContiguous { .. })));

    // A merged base is compared with what the last file states.
    let after = |checksum| Header { checksum_after: Some(checksum), ..stating(right) };
    merged_pages(&[base.clone(), delta(&after(right), &[])]).expect("as stated");
    let wrong = merged_pages(&[base, delta(&after(Checksum::new(1)), &[])]);
    assert!(matches!(wrong, Err(Error::NotContiguous { .. })));
}

#[test]
fn a_damaged_input_is_named() {
    let mut files = files(&[(4, vec![true; 12]), (5, vec![true; 12]), (6, vec![true; 12])]);
    let length = files[1].0.len();
    files[1].0[length - 1] ^= 1;
    let error = compact(open(&files), Vec::new(), PageCoding::Literal).expect_err("damaged");
    let Error::Input { number: 2, source } = error else { panic!("{error:?}") };
    assert!(matches!(*source, Error::Corrupt { .. }));
}
