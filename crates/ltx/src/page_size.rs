//! The page size of a database.

use std::fmt;

/// The byte that SQLite locks. The page that holds it never has content and is never in an LTX file.
const LOCK_BYTE: u32 = 0x4000_0000;

/// A SQLite page size in bytes: a power of two from 512 to 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageSize(u32);

impl PageSize {
    /// SQLite's default, 4,096 bytes.
    pub const DEFAULT: Self = Self(4096);

    /// `None` unless `bytes` is a power of two from 512 to 65,536.
    pub const fn new(bytes: u32) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= 512 && bytes <= 65_536 {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// In bytes.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// In bytes, as a length.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }

    /// The number of the page that holds the byte at 1 GiB, which SQLite uses for locks only.
    pub const fn lock_page(self) -> u32 {
        LOCK_BYTE / self.0 + 1
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_powers_of_two_from_512_to_65536() {
        let accepted: Vec<u32> =
            (0..=140_000).filter(|bytes| PageSize::new(*bytes).is_some()).collect();
        assert_eq!(accepted, [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536]);
        assert!(PageSize::new(u32::MAX).is_none());
    }

    #[test]
    fn the_lock_page_holds_the_byte_at_one_gibibyte() {
        for (bytes, lock_page) in [(512, 2_097_153), (4096, 262_145), (65_536, 16_385)] {
            assert_eq!(PageSize::new(bytes).expect("valid").lock_page(), lock_page);
        }
    }
}
