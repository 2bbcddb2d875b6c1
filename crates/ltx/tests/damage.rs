//! No damage goes unseen, and hostile files do no harm.

mod common;

use common::{
    CODINGS, Decoded, FLAG, Pages, RawFile, RawFrame, decode, encode, literal_block, page,
    page_size, range,
};
use lifeboat_ltx::{Checksum, ChecksumPlace, Error, Header, PageCoding, PageSize, Result};
use proptest::prelude::*;

fn sample(base: bool, coding: PageCoding) -> (Vec<u8>, Decoded) {
    let size = page_size(512);
    let pages: Pages = match base {
        true => (1..=3).map(|pgno| (pgno, page(size, u64::from(pgno)))).collect(),
        false => vec![(2, page(size, 2)), (3, vec![0; 512]), (7, page(size, 7))],
    };
    let header = Header {
        node: 77,
        timestamp_ms: 5,
        checksum_before: (!base).then_some(Checksum::new(3)),
        ..Header::new(size, if base { 3 } else { 9 }, if base { range(1, 1) } else { range(4, 6) })
    };
    let (file, _) = encode(&header, coding, &pages).expect("well-formed");
    let decoded = decode(file.as_slice()).expect("sound");
    (file, decoded)
}

/// The compressed bytes of every page, as ranges of the file: from the index, which is right.
fn payloads(file: &[u8], coding: PageCoding) -> Vec<std::ops::Range<usize>> {
    let word = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().expect("eight bytes"));
    let index_bytes = usize::try_from(word(file.len() - 24)).expect("small");
    let mut index = file[file.len() - 24 - index_bytes..file.len() - 24].iter().copied();
    let mut varint = move || {
        let mut value = 0_usize;
        for shift in (0..).step_by(7) {
            let byte = index.next().expect("the index goes on");
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    };
    let head = if coding == PageCoding::LegacyFrame { 6 } else { 10 };
    let mut ranges = Vec::new();
    while varint() != 0 {
        let (offset, length) = (varint(), varint());
        ranges.push(offset + head..offset + length);
    }
    ranges
}

/// The only bits that may change unnoticed are bits of compressed data that decompress to the same page
/// all the same: the file's checksum covers pages, not how they are compressed. In a literal block these
/// are the token's four low bits, a match length that LZ4 does not use after the last literals.
#[test]
fn every_flipped_bit_is_seen_or_means_nothing() {
    for (base, coding) in
        [true, false].into_iter().flat_map(|base| CODINGS.map(|coding| (base, coding)))
    {
        let (file, decoded) = sample(base, coding);
        let payloads = payloads(&file, coding);
        for (at, bit) in (0..file.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = file.clone();
            flipped[at] ^= 1 << bit;
            let Ok(found) = decode(flipped.as_slice()) else { continue };
            let place = format!("bit {bit} of byte {at}, base {base}, {coding:?}");
            assert_eq!(found, decoded, "{place}");
            let payload = payloads.iter().find(|payload| payload.contains(&at));
            let payload = payload.unwrap_or_else(|| panic!("{place} is no compressed data"));
            if coding == PageCoding::Literal {
                assert!(at == payload.start && bit < 4, "{place}");
            }
        }
    }
}

#[test]
fn every_truncation_is_seen() {
    for coding in CODINGS {
        let (file, _) = sample(true, coding);
        for length in 0..file.len() {
            let error = decode(&file[..length]).expect_err("truncated");
            let Error::Corrupt { offset, found, .. } = error else { panic!("{error:?}") };
            assert_eq!(found, "the end of the file", "{length} bytes");
            assert_eq!(offset, length as u64);
        }
    }
}

/// Changes a sound file of three pages, four at most.
type Change = fn(&mut RawFile);

const HOSTILE: &[(&str, u64, &str, Change)] = &[
    ("another magic", 0, "magic", |file| file.header[3] = b'2'),
    ("unknown header flag", 4, "flags", |file| file.header[7] = 3),
    ("high header flag", 4, "flags", |file| file.header[4] = 0x80),
    ("page size 0", 8, "page size", |file| file.header[8..12].fill(0)),
    ("page size 513", 8, "page size", |file| file.header[11] = 1),
    ("page size 128 KiB", 8, "page size", |file| file.header[8..12].copy_from_slice(&[0, 2, 0, 0])),
    ("first transaction 0", 16, "transaction", |file| file.header[16..24].fill(0)),
    ("last transaction 0", 24, "transaction", |file| file.header[24..32].fill(0)),
    ("transactions out of order", 24, "not below", |file| file.header[23] = 9),
    ("checksum where none may be", 40, "no checksum", |file| file.header[40] = 0x80),
    ("checksum without its top bit", 40, "top bit", |file| {
        file.header[7] = 0;
        file.header[40] = 0x70;
    }),
    ("no checksum with flags 0", 40, "top bit", |file| file.header[7] = 0),
    ("negative WAL offset", 48, "WAL offset", |file| file.header[48] = 0x80),
    ("negative WAL size", 56, "WAL size", |file| file.header[56] = 0x80),
    ("WAL size without offset", 48, "WAL offset", |file| file.header[63] = 1),
    ("salt without WAL offset", 48, "WAL offset", |file| file.header[64] = 1),
    ("page 0", 100, "page number", |file| file.frames[0].pgno = 0),
    ("a page twice", 625, "above 2", |file| file.frames[1].pgno = 2),
    ("descending pages", 625, "above 2", |file| file.frames[1].pgno = 1),
    ("page beyond the end", 625, "at most 9", |file| file.frames[1].pgno = 10),
    ("the highest page", 625, "at most 9", |file| file.frames[1].pgno = u32::MAX),
    ("the lock page", 625, "other than 2097153", |file| {
        file.header[12..16].fill(0xff);
        file.frames[1].pgno = 2_097_153;
    }),
    ("unknown frame flags", 104, "flags", |file| file.frames[0].flags = 2),
    ("known and unknown frame flags", 104, "flags", |file| file.frames[0].flags = 0x8001),
    ("a block of 4 GiB", 106, "at most 530", |file| file.frames[0].length = Some(u32::MAX)),
    ("a block above LZ4's bound", 106, "at most 530", |file| file.frames[0].length = Some(531)),
    ("an empty block", 110, "LZ4 block of 512", |file| {
        file.frames[0].length = Some(0);
        file.frames[0].payload.clear();
    }),
    ("a block of a shorter page", 110, "LZ4 block of 512", |file| {
        file.frames[0] = RawFrame::literal(2, &[1; 511]);
    }),
    ("a block of a longer page", 110, "LZ4 block of 512", |file| {
        file.frames[0] = RawFrame::literal(2, &[1; 513]);
    }),
    ("a bomb: a match of 64 KiB", 110, "LZ4 block of 512", |file| {
        let mut payload = vec![0x1f, 7, 1, 0];
        payload.extend([255; 257]);
        payload.push(0);
        block(file, payload);
    }),
    ("a match before the page", 110, "LZ4 block of 512", |file| {
        block(file, vec![0x10, 7, 2, 0, 0]);
    }),
    ("a match at distance 0", 110, "LZ4 block of 512", |file| block(file, vec![0x10, 7, 0, 0, 0])),
    ("literals beyond the block", 110, "LZ4 block of 512", |file| block(file, vec![0xf0, 255, 1])),
    ("a length without end", 110, "LZ4 block of 512", |file| block(file, vec![0xff; 520])),
    ("no LZ4 frame", 106, "LZ4 frame", |file| legacy(file, &[0; 30])),
    ("an LZ4 frame of another version", 106, "LZ4 frame", |file| {
        legacy(file, &[4, 0x22, 0x4d, 0x18, 0xa4, 0x40, 0, 0]);
    }),
    ("an LZ4 frame with a dictionary", 106, "LZ4 frame", |file| {
        legacy(file, &[4, 0x22, 0x4d, 0x18, 0x65, 0x40, 0, 0]);
    }),
    ("an LZ4 frame of 4 MiB blocks", 106, "64 KiB blocks", |file| {
        legacy(file, &[4, 0x22, 0x4d, 0x18, 0x64, 0x70, 0, 0]);
    }),
    ("an LZ4 frame with a block of 2 GiB", 106, "LZ4 frame", |file| {
        legacy(file, &[4, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0xff, 0xff, 0xff, 0xff]);
    }),
    ("an empty LZ4 frame", 106, "LZ4 frame", |file| {
        legacy(file, &[4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0, 0, 0, 0]);
    }),
    ("an index without an entry", 1681, "3 pages", |file| {
        let mut index = file.right_index();
        index.drain(..4);
        file.index = Some(index);
    }),
    ("an index with a wrong offset", 1681, "3 pages", |file| {
        let mut index = file.right_index();
        index[1] += 1;
        file.index = Some(index);
    }),
    ("an index without end mark", 1681, "3 pages", |file| {
        let mut index = file.right_index();
        index.pop();
        index.push(1);
        file.index = Some(index);
    }),
    ("an index with a spare entry", 1681, "3 pages", |file| {
        let mut index = file.right_index();
        index.pop();
        index.extend([8, 1, 1, 0]);
        file.index = Some(index);
    }),
    ("a wrong index length", 1696, "index length of 15", |file| file.index_length = Some(16)),
    ("an endless index length", 1696, "index length of 15", |file| {
        file.index_length = Some(u64::MAX);
    }),
    ("a post-apply checksum", 1704, "no database checksum", |file| file.post_apply = FLAG | 1),
    ("bytes after the end", 1720, "end of the file", |file| file.after = vec![0]),
];

fn block(file: &mut RawFile, payload: Vec<u8>) {
    file.frames[0].length = Some(u32::try_from(payload.len()).expect("small"));
    file.frames[0].payload = payload;
}

fn legacy(file: &mut RawFile, payload: &[u8]) {
    file.frames[0].flags = 0;
    file.frames[0].length = None;
    file.frames[0].payload = payload.to_vec();
}

fn raw_delta() -> RawFile {
    let size = page_size(512);
    let pages = vec![(2, page(size, 2)), (3, page(size, 3)), (7, page(size, 7))];
    RawFile::new(&Header::new(size, 9, range(4, 6)), &pages)
}

#[test]
fn hostile_files_are_refused_for_the_right_reason() {
    decode(raw_delta().build().as_slice()).expect("sound without a change");
    for (name, at, words, change) in HOSTILE {
        let mut file = raw_delta();
        change(&mut file);
        let error = decode(file.build().as_slice()).expect_err(name);
        let Error::Corrupt { offset, expected, .. } = &error else { panic!("{name}: {error:?}") };
        assert!(offset == at && expected.contains(words), "{name}: {error}");
    }
}

#[test]
fn a_base_must_hold_every_page() {
    let size = page_size(512);
    let of = |commit, pages: &[u32]| {
        let pages = pages.iter().map(|pgno| (*pgno, page(size, 1))).collect();
        decode(RawFile::new(&Header::new(size, commit, range(1, 2)), &pages).build().as_slice())
    };
    of(3, &[1, 2, 3]).expect("complete");
    for pages in [&[1, 2][..], &[2, 3], &[1, 3], &[]] {
        assert!(matches!(of(3, pages), Err(Error::Corrupt { .. })), "{pages:?}");
    }
}

#[test]
fn stated_database_checksums_are_proved_by_a_base() {
    let size = page_size(512);
    let pages: Pages = vec![(1, page(size, 1))];
    let reserved =
        Header { checksum_after: Some(Checksum::new(1)), ..Header::new(size, 1, range(1, 1)) };
    let fields =
        Header { checksum_place: ChecksumPlace::Fields, ..Header::new(size, 1, range(1, 1)) };
    let read = |header, post_apply| -> Result<Decoded> {
        decode(RawFile { post_apply, ..RawFile::new(header, &pages) }.build().as_slice())
    };
    assert!(matches!(read(&reserved, 0), Err(Error::Corrupt { offset: 88, .. })));
    assert!(matches!(read(&fields, 0), Err(Error::Corrupt { .. })));
    assert!(matches!(read(&fields, FLAG | 1), Err(Error::Corrupt { .. })));
    let right = lifeboat_ltx::page_checksum(1, &pages[0].1);
    read(&fields, right.get()).expect("sound");
}

#[test]
fn blocks_of_other_lz4_encoders_are_read() {
    let size = page_size(512);
    let zeros = vec![0; 512];
    // One literal, a match of 506 bytes at distance 1, five literals.
    let run = vec![0x1f, 0, 1, 0, 255, 232, 0x50, 0, 0, 0, 0, 0];
    let mut file = RawFile::new(&Header::new(size, 1, range(1, 1)), &vec![(1, zeros.clone())]);
    block(&mut file, run);
    assert_eq!(decode(file.build().as_slice()).expect("sound").pages, [(1, zeros.clone())]);

    // The token of the last literals may say anything about a match.
    let mut literal = literal_block(&zeros);
    literal[0] = 0xf7;
    block(&mut file, literal);
    assert_eq!(decode(file.build().as_slice()).expect("sound").pages, [(1, zeros)]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        coding in prop::sample::select(CODINGS.to_vec()),
        at: prop::sample::Index,
        headed: bool,
    ) {
        let (mut file, _) = sample(false, coding);
        if headed {
            file.truncate(100);
            file.extend(bytes);
        } else {
            let at = at.index(file.len());
            file.splice(at..(at + bytes.len() % 40).min(file.len()), bytes.into_iter().take(20));
        }
        // Whatever it is, it is read to an end without a panic.
        let _ = decode(file.as_slice());
    }
}

#[test]
fn page_sizes_do_not_mix() {
    // A header that claims larger pages than its frames hold.
    let pages = vec![(1, page(page_size(512), 1))];
    let header = Header::new(PageSize::DEFAULT, 1, range(1, 1));
    let error = decode(RawFile::new(&header, &pages).build().as_slice()).expect_err("too short");
    assert!(matches!(error, Error::Corrupt { offset: 110, .. }), "{error}");
}
