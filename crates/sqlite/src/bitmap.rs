//! One bit for each page of a database.

use std::ops::Range;

/// A set of page numbers, one bit each: 32 KiB for a database of 1 GiB in pages of 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    pages: u32,
    ones: u32,
}

impl Bitmap {
    /// The empty set over pages `1..=pages`.
    pub fn new(pages: u32) -> Self {
        Self { words: vec![0; pages as usize / 64 + 1], pages, ones: 0 }
    }

    /// Adds a page. Pages beyond the set's range are left out: a database that shrank lost them.
    pub fn insert(&mut self, pgno: u32) {
        if pgno == 0 || pgno > self.pages {
            return;
        }
        let (word, bit) = (&mut self.words[pgno as usize / 64], 1 << (pgno % 64));
        self.ones += u32::from(*word & bit == 0);
        *word |= bit;
    }

    /// Whether the page is in the set.
    pub fn contains(&self, pgno: u32) -> bool {
        self.words.get(pgno as usize / 64).is_some_and(|word| word & (1 << (pgno % 64)) != 0)
    }

    /// How many pages the set has.
    pub fn len(&self) -> u32 {
        self.ones
    }

    /// Whether the set has no page.
    pub fn is_empty(&self) -> bool {
        self.ones == 0
    }

    /// The pages as runs of consecutive ones, each of at most `most`.
    pub(crate) fn runs(&self, most: u32) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut pages = self.iter().peekable();
        std::iter::from_fn(move || {
            let first = pages.next()?;
            let mut end = first + 1;
            while end - first < most && pages.next_if_eq(&end).is_some() {
                end += 1;
            }
            Some(first..end)
        })
    }

    /// The pages in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.words).flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn keeps_order_and_count() {
        let mut set = Bitmap::new(200);
        for pgno in [200, 1, 63, 0, 201, 64, 65, 1, u32::MAX] {
            set.insert(pgno);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 64, 65, 200]);
        assert_eq!(set.runs(10).collect::<Vec<_>>(), [1..2, 63..66, 200..201]);
        assert_eq!(set.runs(2).collect::<Vec<_>>(), [1..2, 63..65, 65..66, 200..201]);
        assert_eq!(set.len(), 5);
        assert!(set.contains(64) && !set.contains(66) && !set.contains(100_000));
    }
}
