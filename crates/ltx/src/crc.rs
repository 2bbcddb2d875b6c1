//! CRC-64/ISO of a whole file from the CRCs of its pages.
//!
//! A page is covered twice: by its own checksum, after its number, and by the file's, after its frame
//! header. Hashing 4 KiB twice would halve the encoder's speed. A CRC is linear: what `n` bytes do to
//! its register is to move it on by `n` zero bytes and then to add (XOR) a value that depends on those
//! bytes alone. So one pass over the page gives that value, and a table lookup per register byte moves
//! a register past a page.

use std::sync::OnceLock;

use crate::PageSize;

/// The reflected polynomial of CRC-64/ISO. Register and result are inverted at both ends.
const POLYNOMIAL: u64 = 0xD800_0000_0000_0000;

type Table = [[u64; 256]; 8];

/// `SLICES[k][b]`: the register after byte `b` and `k` zero bytes, from zero.
static SLICES: Table = slices();

const fn slices() -> Table {
    let mut table = [[0; 256]; 8];
    let mut byte: usize = 0;
    while byte < 256 {
        let mut register = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            register = (register >> 1) ^ (POLYNOMIAL * (register & 1));
            bit += 1;
        }
        table[0][byte] = register;
        byte += 1;
    }
    let mut slice = 1;
    while slice < 8 {
        let mut byte = 0;
        while byte < 256 {
            let register = table[slice - 1][byte];
            table[slice][byte] = (register >> 8) ^ table[0][(register & 0xff) as usize];
            byte += 1;
        }
        slice += 1;
    }
    table
}

/// Looks up byte `i` of `register` (least significant first) in `table[order(i)]`.
#[inline]
fn fold(table: &Table, register: u64, order: [usize; 8]) -> u64 {
    let bytes = register.to_le_bytes();
    let mut folded = 0;
    for (byte, slice) in bytes.into_iter().zip(order) {
        folded ^= table[slice][usize::from(byte)];
    }
    folded
}

/// A running CRC-64/ISO.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc(u64);

impl Crc {
    pub(crate) const fn new() -> Self {
        Self(!0)
    }

    pub(crate) const fn value(self) -> u64 {
        !self.0
    }

    /// Hashes a few bytes: headers and index entries. Pages go through `append`.
    #[inline]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.0 = fold(&SLICES, self.0 ^ u64::from_le_bytes(*word), [7, 6, 5, 4, 3, 2, 1, 0]);
        }
        for byte in rest {
            let index = usize::from(self.0.to_le_bytes()[0] ^ byte);
            self.0 = (self.0 >> 8) ^ SLICES[0][index];
        }
    }

    /// Hashes a page whose own CRC is `page_crc`.
    #[inline]
    pub(crate) fn append(&mut self, page_crc: u64, shift: &PageShift) {
        self.0 = shift.apply(self.0) ^ !page_crc ^ shift.ones;
    }
}

/// Moves a register past one page of zero bytes.
pub(crate) struct PageShift {
    table: Table,
    /// The all-ones register that a page's own CRC started with, moved past the page.
    ones: u64,
}

impl PageShift {
    /// The operator for a page size; built once per process.
    pub(crate) fn of(page_size: PageSize) -> &'static Self {
        static SHIFTS: [OnceLock<Box<PageShift>>; 8] = [const { OnceLock::new() }; 8];
        let exponent = page_size.get().trailing_zeros();
        SHIFTS[exponent as usize - 9].get_or_init(|| Box::new(Self::build(exponent)))
    }

    /// For pages of `2^exponent` bytes: squares the one-byte operator that often.
    fn build(exponent: u32) -> Self {
        let mut columns: [u64; 64] = std::array::from_fn(|bit| {
            let mut crc = Crc(1 << bit);
            crc.update(&[0]);
            crc.0
        });
        for _ in 0..exponent {
            columns = std::array::from_fn(|bit| multiply(&columns, columns[bit]));
        }
        let table = std::array::from_fn(|place| {
            std::array::from_fn(|byte| multiply(&columns, (byte as u64) << (8 * place)))
        });
        Self { ones: multiply(&columns, !0), table }
    }

    #[inline]
    fn apply(&self, register: u64) -> u64 {
        fold(&self.table, register, [0, 1, 2, 3, 4, 5, 6, 7])
    }
}

/// A 64 × 64 bit matrix, given by its columns, times a vector.
fn multiply(columns: &[u64; 64], vector: u64) -> u64 {
    columns
        .iter()
        .enumerate()
        .filter(|(bit, _)| vector >> bit & 1 == 1)
        .fold(0, |sum, (_, column)| sum ^ column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(bytes: &[u8]) -> u64 {
        let mut register = !0_u64;
        for byte in bytes {
            register ^= u64::from(*byte);
            for _ in 0..8 {
                register = (register >> 1) ^ (POLYNOMIAL * (register & 1));
            }
        }
        !register
    }

    #[test]
    fn the_check_value_of_the_catalogue() {
        let mut crc = Crc::new();
        crc.update(b"123456789");
        assert_eq!(crc.value(), 0xb909_56c7_75a4_1001);
        assert_eq!(naive(b"123456789"), 0xb909_56c7_75a4_1001);
    }

    proptest! {
        #[test]
        fn few_bytes_as_the_definition_says(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut crc = Crc::new();
            crc.update(&bytes);
            prop_assert_eq!(crc.value(), naive(&bytes));
        }

        #[test]
        fn appending_a_page_equals_hashing_it(
            exponent in 9_u32..=16,
            before in prop::collection::vec(any::<u8>(), 0..40),
            after in prop::collection::vec(any::<u8>(), 0..40),
            seed: u64,
        ) {
            let page_size = PageSize::new(1 << exponent).expect("valid");
            let mut state = seed;
            let page: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_be_bytes()[0]
            })
            .take(page_size.bytes())
            .collect();

            let mut crc = Crc::new();
            crc.update(&before);
            crc.append(naive(&page), PageShift::of(page_size));
            crc.update(&after);
            prop_assert_eq!(crc.value(), naive(&[before, page, after].concat()));
        }
    }
}
