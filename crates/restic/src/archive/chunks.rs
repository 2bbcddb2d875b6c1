//! Cuts the content of a file as it is read.

use std::io::{self, ErrorKind, Read};

use crate::chunker::Chunker;

/// So much is read at once.
const READ_BYTES: usize = 512 * 1024;
/// So much of a file that is longer than it was.
const READ_MORE_BYTES: usize = 16 * 1024;
/// Room that is made for a chunk: half of them are shorter than that, and it grows for the others.
const CHUNK_BYTES: usize = 3 * READ_BYTES;

/// The pieces of a file, in order; one at most is in memory.
pub(super) struct Chunks<'a, R> {
    chunker: &'a Chunker,
    content: R,
    /// How much more is expected.
    expected: usize,
    /// What was read and is in no piece yet.
    buffer: Vec<u8>,
    ended: bool,
}

impl<'a, R: Read> Chunks<'a, R> {
    /// The pieces of what `content` yields; `size` is what is expected.
    pub(super) fn new(chunker: &'a Chunker, content: R, size: u64) -> Self {
        let expected = usize::try_from(size).unwrap_or(usize::MAX);
        let buffer = Vec::with_capacity(expected.saturating_add(1).min(CHUNK_BYTES));
        Self { chunker, content, expected, buffer, ended: false }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = 0;
        loop {
            if let Some(length) = self.chunker.find_cut(&self.buffer, seen) {
                return Ok(Some(self.cut(length)));
            }
            if self.ended {
                let last = std::mem::take(&mut self.buffer);
                return Ok((!last.is_empty()).then_some(last));
            }
            seen = self.buffer.len();
            self.fill()?;
        }
    }

    fn cut(&mut self, length: usize) -> Vec<u8> {
        let rest = &self.buffer[length..];
        let wanted = rest.len().saturating_add(self.expected).saturating_add(1);
        let mut next = Vec::with_capacity(wanted.min(CHUNK_BYTES));
        next.extend_from_slice(rest);
        self.buffer.truncate(length);
        std::mem::replace(&mut self.buffer, next)
    }

    fn fill(&mut self) -> io::Result<()> {
        let start = self.buffer.len();
        let end = match self.expected {
            0 => start + READ_MORE_BYTES,
            // One more shows whether that was all.
            expected => start + READ_BYTES.min(expected.saturating_add(1)),
        };
        self.buffer.resize(end, 0);
        let mut filled = start;
        while filled < end && !self.ended {
            match self.content.read(&mut self.buffer[filled..]) {
                Ok(0) => self.ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        self.expected = self.expected.saturating_sub(filled - start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Polynomial;
    use crate::chunker::{MAX_BYTES, MIN_BYTES};

    /// Yields as much as it is told each time.
    struct Trickle<'a> {
        data: &'a [u8],
        step: usize,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(self.step);
            self.data.read(&mut buffer[..length])
        }
    }

    fn pieces(content: impl Read, size: u64) -> Vec<Vec<u8>> {
        let chunker = Chunker::new(Polynomial::new(0x3d_a335_8b4d_c173).unwrap());
        let mut chunks = Chunks::new(&chunker, content, size);
        std::iter::from_fn(|| chunks.next().unwrap()).collect()
    }

    #[test]
    fn an_empty_file_has_no_piece() {
        assert!(pieces(io::empty(), 0).is_empty());
        assert!(pieces(io::empty(), 100).is_empty());
    }

    #[test]
    fn pieces_of_an_even_file_have_the_least_or_the_largest_length() {
        let lengths = |byte, length| -> Vec<_> {
            let pieces = pieces(&vec![byte; length][..], length as u64);
            pieces.iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(0, 3 * MIN_BYTES), [MIN_BYTES; 3]);
        assert_eq!(lengths(0, MIN_BYTES + 1), [MIN_BYTES, 1]);
        assert_eq!(lengths(1, MAX_BYTES + 1), [MAX_BYTES, 1]);
        assert_eq!(lengths(1, MAX_BYTES), [MAX_BYTES]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn pieces_are_the_file_however_it_comes(
            seed in 1..u64::MAX,
            length in 0..3_000_000_usize,
            expected in 0..4_000_000_u64,
            step in 10_000..1_000_000_usize,
        ) {
            let mut state = seed;
            let data: Vec<u8> = (0..length).map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            }).collect();
            let trickled = pieces(Trickle { data: &data, step }, expected);
            prop_assert_eq!(&trickled, &pieces(&data[..], length as u64));
            prop_assert_eq!(trickled.concat(), data);
        }
    }
}
