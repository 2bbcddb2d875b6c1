//! Where files are cut: where restic cuts them, so that what is the same in two backups, made by whichever
//! program, is stored once.
//!
//! A chunk ends where the last 20 bits of a fingerprint of its last 64 bytes are zero, at the earliest after
//! [`MIN_BYTES`] and at the latest after [`MAX_BYTES`]. The fingerprint is Rabin's: the 64 bytes taken as a
//! polynomial over GF(2), modulo the one of the repository.
//!
//! From one byte to the next, the fingerprint is multiplied by `x^8`, the byte that comes is added, what the
//! byte that leaves the window had contributed is taken out, and all is reduced. As all that is linear, two
//! table lookups do it. The one needs the fingerprint before, so that a byte takes as long as the memory
//! takes to answer; therefore [`LANES`] stretches that follow each other are looked through at once. That is
//! possible because a fingerprint depends on nothing but its 64 bytes.

use crate::Polynomial;
use crate::polynomial::{DEGREE, modulo};

/// No chunk is shorter, but the last of a file.
pub(crate) const MIN_BYTES: usize = 512 * 1024;
/// No chunk is longer.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a fingerprint is of.
const WINDOW_BYTES: usize = 64;
const MASK: u64 = (1 << 20) - 1;
const LANES: usize = 4;
/// How much of a stretch is looked through before the one after the last stretch begins. Where a cut is found,
/// all of them are looked through once more, in order; this much is not worth avoiding that.
const LANE_BYTES: usize = 4096;
/// By so much a fingerprint is shifted to get the byte that leaves it next.
const TOP_SHIFT: u32 = DEGREE - 8;

/// Finds cuts for one polynomial. 4 KiB of tables.
pub(crate) struct Chunker {
    /// What is to be added to take the bits `byte * x^53` away and their remainder in.
    reduce: [u64; 256],
    /// The fingerprint of a byte with 64 zero bytes after it.
    leave: [u64; 256],
}

impl Chunker {
    pub(crate) fn new(polynomial: Polynomial) -> Self {
        let bits = polynomial.bits();
        let mut chunker = Self { reduce: [0; 256], leave: [0; 256] };
        for (byte, reduce) in (0_u64..).zip(&mut chunker.reduce) {
            *reduce = modulo(byte << DEGREE, bits) | byte << DEGREE;
        }
        for (byte, leave) in (0_u64..).zip(&mut chunker.leave) {
            *leave = (0..WINDOW_BYTES).fold(byte, |print, _| modulo(print << 8, bits));
        }
        chunker
    }

    /// Length of the chunk that `data` begins with; `None` if it does not end in `data`. `seen` is how much
    /// of `data` was given before without finding its end.
    pub(crate) fn find_cut(&self, data: &[u8], seen: usize) -> Option<usize> {
        let first = MIN_BYTES.max(seen + 1);
        let end = data.len().min(MAX_BYTES);
        let mut length = first;
        // Candidates are the lengths from `length` on. That of a candidate is decided by the byte before.
        while length + LANES * LANE_BYTES <= end + 1 {
            let window = &data[length - 1 - WINDOW_BYTES..];
            if self.has_cut(window) {
                return self.search(data, length, length + LANES * LANE_BYTES);
            }
            length += LANES * LANE_BYTES;
        }
        let found = (length <= end).then(|| self.search(data, length, end + 1)).flatten();
        found.or((end == MAX_BYTES && seen < MAX_BYTES).then_some(MAX_BYTES))
    }

    /// The first of the lengths `from..to` at which there is a cut.
    fn search(&self, data: &[u8], from: usize, to: usize) -> Option<usize> {
        let start = from - 1;
        let mut print = self.fingerprint(&data[start - WINDOW_BYTES..start]);
        let leaving = &data[start - WINDOW_BYTES..];
        (from..to).zip(leaving.iter().zip(&data[start..])).find_map(
            |(length, (&leaves, &comes))| {
                print = self.roll(print, leaves, comes);
                (print & MASK == 0).then_some(length)
            },
        )
    }

    /// Whether there is a cut after any of the `LANES * LANE_BYTES` bytes that follow the first
    /// [`WINDOW_BYTES`].
    #[inline(never)]
    fn has_cut(&self, data: &[u8]) -> bool {
        let lane = |number: usize| {
            let start = number * LANE_BYTES;
            let (before, after) = data[start..].split_at(WINDOW_BYTES);
            let (leaving, _) = data[start..].split_first_chunk::<LANE_BYTES>()?;
            let (coming, _) = after.split_first_chunk::<LANE_BYTES>()?;
            Some((self.fingerprint(before), leaving, coming))
        };
        let (Some(mut a), Some(mut b), Some(mut c), Some(mut d)) =
            (lane(0), lane(1), lane(2), lane(3))
        else {
            return true;
        };
        for at in 0..LANE_BYTES {
            a.0 = self.roll(a.0, a.1[at], a.2[at]);
            b.0 = self.roll(b.0, b.1[at], b.2[at]);
            c.0 = self.roll(c.0, c.1[at], c.2[at]);
            d.0 = self.roll(d.0, d.1[at], d.2[at]);
            if a.0 & MASK == 0 || b.0 & MASK == 0 || c.0 & MASK == 0 || d.0 & MASK == 0 {
                return true;
            }
        }
        false
    }

    fn fingerprint(&self, window: &[u8]) -> u64 {
        window.iter().fold(0, |print, &byte| self.roll(print, 0, byte))
    }

    #[inline(always)]
    fn roll(&self, print: u64, leaves: u8, comes: u8) -> u64 {
        // A fingerprint has no more than 53 bits: the mask only shows that to the compiler.
        let top = (print >> TOP_SHIFT & 0xff) as usize;
        (print << 8 | u64::from(comes)) ^ self.leave[usize::from(leaves)] ^ self.reduce[top]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLYNOMIAL: u64 = 0x3d_a335_8b4d_c173;

    fn chunker() -> Chunker {
        Chunker::new(Polynomial::new(POLYNOMIAL).unwrap())
    }

    /// The definition: 64 bytes as a polynomial, its remainder.
    fn plain_fingerprint(window: &[u8]) -> u64 {
        window.iter().fold(0, |print, &byte| modulo(print << 8 | u64::from(byte), POLYNOMIAL))
    }

    /// The definition, over and over.
    fn plain_cut(data: &[u8]) -> Option<usize> {
        (MIN_BYTES..=data.len().min(MAX_BYTES)).find(|&length| {
            length == MAX_BYTES
                || plain_fingerprint(&data[length - WINDOW_BYTES..length]) & MASK == 0
        })
    }

    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    #[test]
    fn a_fingerprint_is_of_its_window_alone() {
        let chunker = chunker();
        let data = noise(1, 300);
        let mut print = chunker.fingerprint(&data[..WINDOW_BYTES]);
        for at in WINDOW_BYTES..data.len() {
            assert_eq!(print, plain_fingerprint(&data[at - WINDOW_BYTES..at]));
            print = chunker.roll(print, data[at - WINDOW_BYTES], data[at]);
        }
    }

    #[test]
    fn cuts_at_the_limits() {
        let chunker = chunker();
        // The fingerprint of zeros is zero.
        let zeros = vec![0; MIN_BYTES];
        assert_eq!(chunker.find_cut(&zeros, 0), Some(MIN_BYTES));
        assert_eq!(chunker.find_cut(&zeros[1..], 0), None);
        assert_eq!(chunker.find_cut(&[], 0), None);
        let ones = vec![1; MAX_BYTES];
        assert_eq!(plain_cut(&ones[..MIN_BYTES + 1]), None);
        assert_eq!(chunker.find_cut(&ones[1..], 0), None);
        assert_eq!(chunker.find_cut(&ones, 0), Some(MAX_BYTES));
        assert_eq!(chunker.find_cut(&ones, MAX_BYTES - 1), Some(MAX_BYTES));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        /// In whatever pieces the data comes, and wherever in it the cut is.
        #[test]
        fn cuts_where_the_definition_does(
            seed in any::<u64>(),
            at in MIN_BYTES - WINDOW_BYTES..MIN_BYTES + 80_000,
            step in 1000..200_000_usize,
        ) {
            let chunker = chunker();
            let mut data = noise(seed, MIN_BYTES + 100_000);
            // Zeros have a fingerprint of zero.
            data[at..at + WINDOW_BYTES].fill(0);
            let expected = plain_cut(&data);
            prop_assert!(expected.is_some());
            let mut seen = 0;
            loop {
                let length = (seen + step).min(data.len());
                match chunker.find_cut(&data[..length], seen) {
                    None if length == data.len() => prop_assert!(false, "none found"),
                    None => seen = length,
                    found => {
                        prop_assert_eq!(found, expected);
                        break;
                    }
                }
            }
            prop_assert_eq!(chunker.find_cut(&data, 0), expected);
            let expected = expected.unwrap();
            prop_assert_eq!(chunker.find_cut(&data[..expected - 1], 0), None);
        }
    }
}
