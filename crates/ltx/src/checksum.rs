//! The checksums of the format: CRC-64/ISO with the top bit set, so that none is ever zero.

use std::fmt;
use std::str::FromStr;

use crc_fast::CrcAlgorithm;

use crate::crc::{Crc, PageShift};
use crate::txid::parse_hex16;
use crate::{Error, PageSize, Result};

const FLAG: u64 = 1 << 63;

/// A checksum as LTX stores it: bit 63 is always set. Written as 16 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Checksum(u64);

impl Checksum {
    /// The checksum of a database without pages.
    pub const EMPTY: Self = Self(FLAG);

    /// Sets bit 63 of `bits`.
    pub const fn new(bits: u64) -> Self {
        Self(bits | FLAG)
    }

    /// A stored value; `None` when bit 63 is not set, which means "not stated".
    pub const fn from_stored(bits: u64) -> Option<Self> {
        if bits & FLAG == 0 { None } else { Some(Self(bits)) }
    }

    /// The value with bit 63 set.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse_hex16(text).and_then(Self::from_stored).ok_or_else(|| Error::Parse {
            expected: "a checksum of 16 lower-case hex digits with the top bit set",
            found: text.to_owned(),
        })
    }
}

/// The checksum of one page: of its number (big-endian) and then its bytes.
///
/// For any length of `page`. Many pages are better served by [`PageCrc`].
pub fn page_checksum(pgno: u32, page: &[u8]) -> Checksum {
    let mut digest = crc_fast::Digest::new(CrcAlgorithm::Crc64GoIso);
    digest.update(&pgno.to_be_bytes());
    digest.update(page);
    Checksum::new(digest.finalize())
}

/// The CRC-64/ISO of a page's bytes alone, all 64 bits.
///
/// The one pass over a page that is needed: its own checksum and its share in the file's follow from
/// it in a few table lookups. Threads that read pages can compute it and hand it to the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCrc(u64);

impl PageCrc {
    /// Hashes a page.
    #[inline]
    pub fn of(page: &[u8]) -> Self {
        Self(crc_fast::checksum(CrcAlgorithm::Crc64GoIso, page))
    }

    /// The page's checksum, when it is page `pgno`. `page_size` must be the length that was hashed.
    #[inline]
    pub fn checksum(self, pgno: u32, page_size: PageSize) -> Checksum {
        self.checksum_with(pgno, PageShift::of(page_size))
    }

    #[inline]
    pub(crate) fn checksum_with(self, pgno: u32, shift: &PageShift) -> Checksum {
        let mut crc = Crc::new();
        crc.update(&pgno.to_be_bytes());
        crc.append(self.0, shift);
        Checksum::new(crc.value())
    }

    #[inline]
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// The checksum of a whole database, kept up to date page by page.
///
/// It is the XOR of all page checksums, without the lock page. A changed page is toggled twice, with
/// its old checksum and with its new one; a page cut off by a shrink once, with its old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseChecksum(Checksum);

impl DatabaseChecksum {
    /// Of a database without pages.
    pub const fn new() -> Self {
        Self(Checksum::EMPTY)
    }

    /// Goes on from a database whose checksum is known.
    pub const fn resume(checksum: Checksum) -> Self {
        Self(checksum)
    }

    /// Adds a page, or takes it out again.
    pub const fn toggle(&mut self, page: Checksum) {
        self.0 = Checksum::new(self.0.get() ^ page.get());
    }

    /// The checksum of the pages that are in.
    pub const fn value(self) -> Checksum {
        self.0
    }
}

impl Default for DatabaseChecksum {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_algorithm_is_the_one_of_the_format() {
        assert_eq!(PageCrc::of(b"123456789").get(), 0xb909_56c7_75a4_1001);
    }

    #[test]
    fn both_ways_to_a_page_checksum_agree() {
        for exponent in 9..=16 {
            let page_size = PageSize::new(1 << exponent).expect("valid");
            let page: Vec<u8> = (0..=u8::MAX).rev().cycle().take(page_size.bytes()).collect();
            for pgno in [1, 2, 0x0102_0304, u32::MAX] {
                assert_eq!(
                    PageCrc::of(&page).checksum(pgno, page_size),
                    page_checksum(pgno, &page),
                    "page {pgno} of {page_size} bytes"
                );
            }
        }
    }

    #[test]
    fn the_top_bit_is_always_set() {
        assert_eq!(Checksum::new(1).to_string(), "8000000000000001");
        assert_eq!("8000000000000001".parse::<Checksum>().expect("set"), Checksum::new(1));
        assert!("0000000000000001".parse::<Checksum>().is_err());
        assert_eq!(Checksum::from_stored(1), None);
    }

    #[test]
    fn toggling_follows_growth_change_and_shrink() {
        let page = |pgno: u32, fill: u8| page_checksum(pgno, &[fill; 512]);
        let of = |pages: &[Checksum]| {
            let mut database = DatabaseChecksum::new();
            pages.iter().for_each(|page| database.toggle(*page));
            database.value()
        };

        let mut database = DatabaseChecksum::new();
        assert_eq!(database.value(), Checksum::EMPTY);
        database.toggle(page(1, 1));
        database.toggle(page(2, 2));
        assert_eq!(database.value(), of(&[page(1, 1), page(2, 2)]));

        let mut database = DatabaseChecksum::resume(database.value());
        database.toggle(page(2, 2));
        database.toggle(page(2, 3));
        database.toggle(page(3, 3));
        assert_eq!(database.value(), of(&[page(3, 3), page(1, 1), page(2, 3)]));

        database.toggle(page(3, 3));
        database.toggle(page(2, 3));
        assert_eq!(database.value(), of(&[page(1, 1)]));
        database.toggle(page(1, 1));
        assert_eq!(database.value(), Checksum::EMPTY);
    }
}
