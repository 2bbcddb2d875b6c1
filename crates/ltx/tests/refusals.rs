//! The encoder writes no malformed file, and no call goes on after a failure.

mod common;

use std::io::{self, Read, Write};

use common::{Pages, encode, page, page_size, range};
use lifeboat_ltx::{
    Checksum, ChecksumPlace, Decoder, Encoder, Error, Header, Merge, PageCoding, WalRange,
};

#[test]
fn contradictory_headers_are_refused() {
    let size = page_size(512);
    let base = Header::new(size, 1, range(1, 1));
    let delta = Header::new(size, 1, range(2, 2));
    let refused = [
        Header { checksum_before: Some(Checksum::EMPTY), ..base.clone() },
        Header { checksum_place: ChecksumPlace::Fields, ..delta.clone() },
        Header { wal: WalRange { offset: 0, size: 1, salts: [0, 0] }, ..delta.clone() },
        Header { wal: WalRange { offset: 0, size: 0, salts: [0, 1] }, ..delta.clone() },
        Header { wal: WalRange { offset: 1 << 63, size: 0, salts: [0, 0] }, ..delta.clone() },
        Header { wal: WalRange { offset: 32, size: 1 << 63, salts: [0, 0] }, ..delta },
    ];
    for header in refused {
        assert!(
            matches!(Encoder::new(Vec::new(), &header), Err(Error::Refused { .. })),
            "{header:?}"
        );
    }
}

#[test]
fn a_refused_page_leaves_the_encoder_as_it_was() {
    let size = page_size(512);
    let pages: Pages = vec![(1, page(size, 1)), (2, page(size, 2))];
    let header = Header::new(size, 2, range(1, 1));
    let mut encoder = Encoder::new(Vec::new(), &header).expect("well-formed");
    for (pgno, page) in &pages {
        for (wrong, bytes) in [(0, page), (pgno + 1, page), (*pgno, &vec![0; 511])] {
            let refused = encoder.write_page(wrong, bytes);
            assert!(matches!(refused, Err(Error::Refused { .. })), "{wrong}");
        }
        encoder.write_page(*pgno, page).expect("in order");
    }
    assert!(encoder.write_page(3, &pages[0].1).is_err());
    let (file, _) = encoder.finish().expect("complete");
    assert_eq!(file, encode(&header, PageCoding::Literal, &pages).expect("well-formed").0);
}

#[test]
fn unfinished_or_other_databases_are_refused() {
    let size = page_size(512);
    let one_page: Pages = vec![(1, page(size, 1))];
    let stated =
        Header { checksum_after: Some(Checksum::new(5)), ..Header::new(size, 1, range(1, 1)) };
    let fields = Header {
        checksum_before: Some(Checksum::new(5)),
        checksum_place: ChecksumPlace::Fields,
        ..Header::new(size, 1, range(2, 2))
    };
    for header in [Header::new(size, 2, range(1, 1)), stated, fields] {
        let refused = encode(&header, PageCoding::Literal, &one_page);
        assert!(matches!(refused, Err(Error::Refused { .. })), "{header:?}");
    }
}

/// Takes so many bytes, then the disk is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = self.0.min(bytes.len());
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_writer_ends_the_encoder() {
    let size = page_size(65_536);
    let header = Header::new(size, 100, range(2, 2));
    let mut encoder = Encoder::new(Full(300_000), &header).expect("well-formed");
    let mut results = (1..=100).map(|pgno| encoder.write_page(pgno, &vec![7; size.bytes()]));
    let first = results.find_map(Result::err).expect("the disk is full");
    assert!(matches!(first, Error::Write { .. }), "{first:?}");
    assert!(results.all(|result| matches!(result, Err(Error::Ended))));
    assert!(matches!(encoder.finish(), Err(Error::Ended)));
}

#[test]
fn a_failing_reader_ends_decoder_and_merge() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }

    let size = page_size(512);
    let pages: Pages = (1..=3).map(|pgno| (pgno, page(size, u64::from(pgno)))).collect();
    let header = Header::new(size, 3, range(1, 1));
    let (file, _) = encode(&header, PageCoding::Literal, &pages).expect("well-formed");
    let cut = &file[..100 + 2 * (file.len() - 140) / 3];
    let open = || Decoder::new(cut.chain(Broken)).expect("the header is whole");

    let mut decoder = open();
    let mut page = Vec::new();
    decoder.next_page(&mut page).expect("the first page is whole");
    while let Ok(next) = decoder.next_page(&mut page) {
        assert!(next.is_some(), "the end must not be reached");
    }
    assert!(matches!(decoder.next_page(&mut page), Err(Error::Ended)));
    assert!(matches!(decoder.finish(), Err(Error::Ended)));
    assert!(matches!(open().finish(), Err(Error::Read { .. })));

    let mut merge = Merge::new(vec![open()]).expect("the first page is whole");
    let mut last = Ok(None);
    for _ in 0..3 {
        last = merge.next_page(&mut page);
        if last.is_err() {
            break;
        }
    }
    let Err(Error::Input { number: 1, source }) = last else { panic!("{last:?}") };
    assert!(matches!(*source, Error::Read { .. }));
    assert!(matches!(merge.next_page(&mut page), Err(Error::Ended)));
    assert!(matches!(merge.finish(), Err(Error::Ended)));
}

/// A page that has another length than the place for it is refused, whichever is the longer.
#[test]
fn a_page_goes_where_it_fits_only() {
    let size = page_size(512);
    let pages: Pages = (1..=2).map(|pgno| (pgno, page(size, u64::from(pgno)))).collect();
    let header = Header::new(size, 2, range(1, 1));
    for coding in common::CODINGS {
        let (file, _) = encode(&header, coding, &pages).expect("well-formed");
        for length in [0, 511, 513, 1024] {
            let mut decoder = Decoder::new(file.as_slice()).expect("well-formed");
            let found = decoder.next_page_into(&mut vec![0; length]);
            assert!(matches!(found, Err(Error::Corrupt { .. })), "{coding:?} {length}: {found:?}");
        }
        let mut decoder = Decoder::new(file.as_slice()).expect("well-formed");
        let mut place = [0; 512];
        for (pgno, page) in &pages {
            let next = decoder.next_page_into(&mut place).expect("well-formed");
            assert_eq!(next.map(|(pgno, _)| pgno), Some(*pgno));
            assert_eq!(place, page.as_slice());
        }
        assert!(decoder.next_page_into(&mut place).expect("well-formed").is_none());
        decoder.finish().expect("well-formed");
    }
}
