//! The page index: for every page its number, offset and frame length, as varints, then a zero and the
//! length of all that.

use crate::HEADER_BYTES;

/// The longest entry: three varints of 5, 10 and 5 bytes.
pub(crate) const MAX_ENTRY_BYTES: usize = 20;

/// A frame's length as it is kept. A page and its frame are at most a few hundred bytes apart.
pub(crate) fn frame_length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a frame is shorter than 100 KiB")
}

/// What an index says of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pgno: u32,
    pub(crate) offset: u64,
    pub(crate) frame_bytes: u32,
}

impl Entry {
    /// Writes the entry to the front of `buffer`; returns its length.
    #[inline]
    pub(crate) fn encode(self, buffer: &mut [u8; MAX_ENTRY_BYTES]) -> usize {
        let mut length = 0;
        for mut value in [u64::from(self.pgno), self.offset, u64::from(self.frame_bytes)] {
            loop {
                let low = value.to_le_bytes()[0] & 0x7f;
                value >>= 7;
                buffer[length] = if value == 0 { low } else { low | 0x80 };
                length += 1;
                if value == 0 {
                    break;
                }
            }
        }
        length
    }
}

/// Consecutive pages with frames of one length.
#[derive(Debug)]
struct Run {
    first: u32,
    count: u32,
    frame_bytes: u32,
}

/// The index of a file being written. Frames follow each other without a gap, so that lengths give the
/// offsets. A base of literal pages needs two runs, whatever its size; compressed pages need up to one, 12
/// bytes, each.
#[derive(Debug, Default)]
pub(crate) struct Index {
    runs: Vec<Run>,
}

impl Index {
    #[inline]
    pub(crate) fn push(&mut self, pgno: u32, frame_bytes: u32) {
        if let Some(run) = self.runs.last_mut()
            && run.frame_bytes == frame_bytes
            && run.first.checked_add(run.count) == Some(pgno)
        {
            run.count += 1;
        } else {
            self.runs.push(Run { first: pgno, count: 1, frame_bytes });
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut next_offset = HEADER_BYTES as u64;
        self.runs.iter().flat_map(|run| (0..run.count).map(move |i| (run, i))).map(
            move |(run, i)| {
                let offset = next_offset;
                next_offset += u64::from(run.frame_bytes);
                Entry { pgno: run.first + i, offset, frame_bytes: run.frame_bytes }
            },
        )
    }

    #[cfg(test)]
    fn runs(&self) -> usize {
        self.runs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_follow_from_the_lengths() {
        let mut index = Index::default();
        for (pgno, frame_bytes) in [(1, 50), (2, 50), (4, 50), (5, 60), (6, 60)] {
            index.push(pgno, frame_bytes);
        }
        assert_eq!(index.runs(), 3);
        let entries: Vec<_> =
            index.entries().map(|entry| (entry.pgno, entry.offset, entry.frame_bytes)).collect();
        assert_eq!(entries, [(1, 100, 50), (2, 150, 50), (4, 200, 50), (5, 250, 60), (6, 310, 60)]);
    }

    #[test]
    fn a_base_across_the_lock_page_needs_two_runs() {
        let mut index = Index::default();
        (1..=300_000).filter(|pgno| *pgno != 262_145).for_each(|pgno| index.push(pgno, 4123));
        assert_eq!(index.runs(), 2);
        assert_eq!(index.entries().count(), 299_999);
    }

    #[test]
    fn entries_are_varints_low_group_first() {
        let mut buffer = [0; MAX_ENTRY_BYTES];
        let length = Entry { pgno: 1, offset: 100, frame_bytes: 300 }.encode(&mut buffer);
        assert_eq!(buffer[..length], [1, 100, 0xac, 0x02]);
        let longest = Entry { pgno: u32::MAX, offset: u64::MAX, frame_bytes: u32::MAX };
        assert_eq!(longest.encode(&mut buffer), MAX_ENTRY_BYTES);
    }
}
