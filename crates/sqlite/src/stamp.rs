//! The bytes of page 1 in which a standby differs from the database that it follows.
//!
//! SQLite writes some bytes of the database header by itself with each commit, and a standby needs
//! others of its own. All else in a standby is byte for byte what was captured, and these bytes are
//! kept beside it, so that its checksum can be compared with the one of the capture.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The write and read version (2 in a standby: WAL), the change counter and the page count, the schema
/// cookie, the counter that the page count is valid for and the version of the writer.
/// <https://www.sqlite.org/fileformat2.html#the_database_header>
const OWN: [Range<usize>; 4] = [18..20, 24..32, 40..44, 92..100];
const LENGTH: usize = 22;

/// What these bytes were in the database that was captured. Written as 44 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([u8; LENGTH]);

impl Stamp {
    /// The stamp of page 1 as it was captured.
    pub(crate) fn of(page: &[u8]) -> Self {
        let mut bytes = [0; LENGTH];
        let own = OWN.into_iter().flat_map(|range| &page[range]);
        for (to, from) in bytes.iter_mut().zip(own) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Makes page 1 of a standby what it was when captured.
    pub(crate) fn restore(&self, page: &mut [u8]) {
        for (at, byte) in OWN.into_iter().flatten().zip(self.0) {
            page[at] = byte;
        }
    }
}

/// Makes page 1 of a database of `commit` pages that of a standby.
///
/// The page count must be right even where the captured one did not count, since SQLite is about to
/// declare it valid. A standby that was overwritten `generation` times has its schema cookie moved as
/// often: connections know a changed schema by that number alone, and another lineage may use the same
/// one for another schema.
pub(crate) fn disguise(page: &mut [u8], commit: u32, generation: u32) {
    page[18..20].fill(2);
    page[28..32].copy_from_slice(&commit.to_be_bytes());
    let cookie = u32::from_be_bytes([page[40], page[41], page[42], page[43]]);
    let moved = cookie.wrapping_add(generation << 20);
    page[40..44].copy_from_slice(&moved.to_be_bytes());
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A text that is no stamp.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 44 hex digits, found {found:?}")]
pub struct ParseStampError {
    found: String,
}

impl FromStr for Stamp {
    type Err = ParseStampError;

    fn from_str(text: &str) -> Result<Self, ParseStampError> {
        let failed = || ParseStampError { found: text.to_owned() };
        let digits = text.as_bytes();
        if digits.len() != 2 * LENGTH || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(failed());
        }
        let mut bytes = [0; LENGTH];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * at..2 * at + 2).ok_or_else(failed)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| failed())?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{Stamp, disguise};

    #[test]
    fn a_disguised_page_is_restored() {
        let captured: Vec<u8> = (0..=u8::MAX).cycle().take(512).collect();
        let stamp = Stamp::of(&captured);
        for generation in [0, 1, u32::MAX] {
            let mut page = captured.clone();
            disguise(&mut page, 7, generation);
            assert_eq!((&page[18..20], &page[28..32]), (&[2, 2][..], &[0, 0, 0, 7][..]));
            assert_eq!(page[40..44] == captured[40..44], generation == 0);
            stamp.restore(&mut page);
            assert_eq!(page, captured);
        }
    }

    #[test]
    fn its_text_form_is_read_again() {
        let stamp = Stamp::of(&[0xa7; 512]);
        assert_eq!(stamp.to_string().parse(), Ok(stamp));
        for text in ["", "a7", &"é".repeat(22), &"+1".repeat(22)] {
            assert!(text.parse::<Stamp>().is_err(), "{text}");
        }
    }
}
