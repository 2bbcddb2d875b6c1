//! How many files are merged at once.

use std::ops::Range;

/// The most files that are open at once.
const MOST_FILES: usize = 256;
/// The memory that their readers take together, in bytes, as far as two files do not take more.
const MEMORY_BYTES: u64 = 24 << 20;
/// What a reader takes at least.
const READER_BYTES: u64 = 32 << 10;
/// What it takes at most: the windows of the decoder and of zstd.
const MOST_READER_BYTES: u64 = 960 << 10;
/// Sealed bytes hold about so many times as many plain ones, all of which may be in a window.
const PLAIN_RATIO: u64 = 6;

/// Cuts inputs of these sealed sizes where one merge would need too much memory. Each batch has two
/// of them at least, but for a last one, so that merging the results comes to an end.
pub(super) fn batches(sizes: &[u64]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut memory_bytes = 0;
    for (at, size) in sizes.iter().enumerate() {
        let reader_bytes = READER_BYTES + size.saturating_mul(PLAIN_RATIO).min(MOST_READER_BYTES);
        match batches.last_mut() {
            Some(batch)
                if batch.len() < 2
                    || batch.len() < MOST_FILES && memory_bytes + reader_bytes <= MEMORY_BYTES =>
            {
                batch.end = at + 1;
                memory_bytes += reader_bytes;
            }
            _ => {
                batches.push(at..at + 1);
                memory_bytes = reader_bytes;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::batches;

    #[test]
    fn many_files_are_merged_in_several_steps() {
        let lengths =
            |sizes: &[u64]| batches(sizes).into_iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), [0_usize; 0]);
        assert_eq!(lengths(&[1; 5]), [5]);
        assert_eq!(lengths(&[1; 257]), [256, 1]);
        assert_eq!(lengths(&[20_000; 288]), [164, 124]);
        assert_eq!(lengths(&[u64::MAX; 60]), [24, 24, 12]);
        // Steps get fewer until one is left.
        let mut files = 100_000;
        let mut steps = 0;
        while files > 1 {
            files = batches(&vec![1 << 40; files]).len();
            steps += 1;
        }
        assert_eq!(steps, 4);
    }
}
