//! What was written is what is read, and the bytes are those of the format.

mod common;

use std::io::{self, Read};

use common::{CODINGS, Pages, RawFile, decode, encode, page, page_size, range, txid};
use lifeboat_ltx::{
    Checksum, ChecksumPlace, DatabaseChecksum, Decoder, Encoder, Error, Header, PageBlocks,
    PageCoding, PageCrc, PageSize, Txid, TxidRange, WalRange, page_checksum,
};
use proptest::prelude::*;

fn database_checksum(pages: &Pages) -> Checksum {
    let mut database = DatabaseChecksum::new();
    pages.iter().for_each(|(pgno, page)| database.toggle(page_checksum(*pgno, page)));
    database.value()
}

fn any_page(size: PageSize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u8>().prop_map(move |fill| vec![fill; size.bytes()]),
        any::<u64>().prop_map(move |seed| page(size, seed)),
        prop::collection::vec(any::<u8>(), size.bytes()),
    ]
}

fn any_file() -> impl Strategy<Value = (Header, Pages)> {
    let shape = (9_u32..=13, any::<bool>(), 0_u32..20, any::<bool>());
    shape.prop_flat_map(|(exponent, base, commit, fields)| {
        let size = page_size(1 << exponent);
        let pages = (1..=commit)
            .map(|pgno| (Just(pgno), any::<bool>(), any_page(size)))
            .collect::<Vec<_>>();
        (pages, 2..u64::MAX, any::<i64>(), any::<[u64; 3]>(), any::<[u32; 2]>(), any::<[u64; 2]>())
            .prop_map(move |(pages, max, timestamp_ms, [node, offset, size_bytes], salts, sums)| {
                let pages: Pages = pages
                    .into_iter()
                    .filter(|(_, present, _)| base || *present)
                    .map(|(pgno, _, page)| (pgno, page))
                    .collect();
                let min = if base { Txid::FIRST } else { txid(max / 2 + 1) };
                let header = Header {
                    timestamp_ms,
                    node,
                    wal: WalRange { offset: offset >> 1 | 1, size: size_bytes >> 1, salts },
                    checksum_before: (!base).then_some(Checksum::new(sums[0])),
                    checksum_after: Some(match base {
                        true => database_checksum(&pages),
                        false => Checksum::new(sums[1]),
                    }),
                    checksum_place: match fields {
                        true => ChecksumPlace::Fields,
                        false => ChecksumPlace::Reserved,
                    },
                    ..Header::new(size, commit, TxidRange::new(min, txid(max)).expect("ordered"))
                };
                (header, pages)
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decoding_gives_what_was_encoded((header, pages) in any_file()) {
        for coding in CODINGS {
            let (file, trailer) = encode(&header, coding, &pages).expect("well-formed");
            let decoded = decode(file.as_slice()).expect("sound");
            prop_assert_eq!(&decoded.pages, &pages);
            prop_assert_eq!(&decoded.trailer, &trailer);
            prop_assert_eq!(trailer.size_bytes, file.len() as u64);
            prop_assert_eq!(trailer.pages, pages.len() as u64);
            prop_assert_eq!(trailer.checksum_after, header.checksum_after);
            for ((pgno, page), checksum) in pages.iter().zip(&decoded.checksums) {
                prop_assert_eq!(*checksum, page_checksum(*pgno, page));
            }
            // With flags 0 the header cannot hold what the trailer says.
            let mut expected = header.clone();
            if header.checksum_place == ChecksumPlace::Fields {
                expected.checksum_after = None;
            }
            prop_assert_eq!(&decoded.header, &expected);
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_format((header, pages) in any_file()) {
        let mut raw = RawFile::new(&header, &pages);
        if header.checksum_place == ChecksumPlace::Fields {
            raw.post_apply = header.checksum_after.expect("stated").get();
        }
        let (file, _) = encode(&header, PageCoding::Literal, &pages).expect("well-formed");
        prop_assert_eq!(file, raw.build());
    }
}

#[test]
fn every_page_size_survives() {
    for exponent in 9..=16 {
        let size = page_size(1 << exponent);
        let pages: Pages = (1..=9).map(|pgno| (pgno, page(size, u64::from(pgno)))).collect();
        let header = Header::new(size, 9, range(1, 4));
        for coding in CODINGS {
            let (file, _) = encode(&header, coding, &pages).expect("well-formed");
            assert_eq!(decode(file.as_slice()).expect("sound").pages, pages, "{size} {coding:?}");
        }
        let (file, _) = encode(&header, PageCoding::Literal, &pages).expect("well-formed");
        assert_eq!(file, RawFile::new(&header, &pages).build());
    }
}

#[test]
fn header_bytes() {
    let header = Header {
        timestamp_ms: 0x0102_0304_0506_0708,
        wal: WalRange { offset: 32, size: 0x1111, salts: [0xaabb_ccdd, 0xeeff_0011] },
        node: 0x2222_3333_4444_5555,
        checksum_before: Some(Checksum::new(6)),
        checksum_after: Some(Checksum::new(7)),
        ..Header::new(page_size(4096), 0x99, range(0x0a, 0x0b))
    };
    let bytes = header.encode();
    let expected = "4c545831 00000002 00001000 00000099 000000000000000a 000000000000000b \
                    0102030405060708 0000000000000000 0000000000000020 0000000000001111 \
                    aabbccdd eeff0011 2222333344445555 8000000000000006 8000000000000007 00000000";
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, expected.replace(' ', ""));
    assert_eq!(Header::decode(&bytes).expect("sound"), header);
}

#[test]
fn reserved_bytes_of_others_are_not_checksums() {
    let mut bytes = Header::new(PageSize::DEFAULT, 1, range(2, 2)).encode();
    bytes[80..96].fill(0x7f);
    bytes[96..].fill(0xff);
    let header = Header::decode(&bytes).expect("sound");
    assert_eq!((header.checksum_before, header.checksum_after), (None, None));

    let mut bytes = Header::new(PageSize::DEFAULT, 1, range(1, 2)).encode();
    bytes[80..96].fill(0xff);
    let header = Header::decode(&bytes).expect("sound");
    assert_eq!(header.checksum_before, None, "nothing precedes a base");
    assert_eq!(header.checksum_after, Some(Checksum::new(u64::MAX)));
}

#[test]
fn a_base_learns_its_checksum_at_its_end() {
    let size = page_size(512);
    let pages: Pages = (1..=3).map(|pgno| (pgno, page(size, u64::from(pgno)))).collect();
    let (file, trailer) =
        encode(&Header::new(size, 3, range(1, 1)), PageCoding::Literal, &pages).expect("sound");
    assert_eq!(trailer.checksum_after, Some(database_checksum(&pages)));
    let decoded = decode(file.as_slice()).expect("sound");
    assert_eq!(decoded.header.checksum_after, None);
    assert_eq!(decoded.trailer.checksum_after, Some(database_checksum(&pages)));

    let empty = encode(&Header::new(size, 0, range(1, 1)), PageCoding::Literal, &Vec::new());
    let (file, trailer) = empty.expect("sound");
    assert_eq!(trailer.checksum_after, Some(Checksum::EMPTY));
    assert_eq!(decode(file.as_slice()).expect("sound").trailer, trailer);
}

#[test]
fn a_base_across_the_lock_page() {
    let size = page_size(65_536);
    let lock_page = size.lock_page();
    let header = Header::new(size, lock_page + 1, range(1, 1));
    let mut encoder = Encoder::with_coding(Vec::new(), &header, PageCoding::Lz4).expect("sound");
    let zeros = vec![0; size.bytes()];
    let crc = PageCrc::of(&zeros);
    for pgno in 1..lock_page {
        encoder.write_page_with_crc(pgno, &zeros, crc).expect("in order");
    }
    assert!(matches!(encoder.write_page(lock_page, &zeros), Err(Error::Refused { .. })));
    encoder.write_page(lock_page + 1, &zeros).expect("in order");
    let (file, trailer) = encoder.finish().expect("complete");
    assert_eq!(trailer.pages, u64::from(lock_page));
    assert_eq!(Decoder::new(file.as_slice()).expect("sound").finish().expect("sound"), trailer);
}

/// Hands out one to three bytes at a time, and is interrupted in between.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = (self.1 % 3 + 1).min(buffer.len()).min(self.0.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

#[test]
fn short_and_interrupted_reads_do_not_matter() {
    let size = page_size(1024);
    let pages: Pages = (1..=20).map(|pgno| (pgno, page(size, u64::from(pgno)))).collect();
    for coding in CODINGS {
        let (file, _) = encode(&Header::new(size, 20, range(1, 1)), coding, &pages).expect("sound");
        assert_eq!(decode(Trickle(&file, 0)).expect("sound").pages, pages);
    }
}

/// Whoever compresses, on whichever thread: the file is the same.
#[test]
fn blocks_compressed_before_give_the_same_file() {
    let size = page_size(4096);
    let contents = [vec![7; 4096], page(size, 1), page(size, 2), vec![0; 4096]];
    let pages: Pages = (1..).zip(contents.clone()).collect();
    let header = Header::new(size, 4, TxidRange::base(Txid::FIRST));
    let (expected, _) = encode(&header, PageCoding::Lz4, &pages).expect("well-formed");
    let blocks = PageBlocks::compress(size, &contents.concat()).expect("memory does not fail");
    let mut encoder = Encoder::with_coding(Vec::new(), &header, PageCoding::Lz4).expect("sound");
    for (at, (pgno, page)) in (1..).zip(&contents).enumerate() {
        let block = blocks.get(at).expect("a block for each page");
        encoder.write_block(pgno, block, PageCrc::of(page)).expect("in order");
    }
    assert_eq!(blocks.get(4), None);
    assert_eq!(encoder.finish().expect("complete").0, expected);

    let mut encoder = Encoder::new(Vec::new(), &header).expect("sound");
    let longest = 4096 + 4096 / 255 + 16;
    let refused = encoder.write_block(1, &vec![0; longest + 1], PageCrc::of(&contents[0]));
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let block = blocks.get(1).expect("a block");
    let refused = encoder.write_block(2, block, PageCrc::of(&contents[1]));
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
}
