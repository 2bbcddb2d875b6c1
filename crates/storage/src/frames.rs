//! Cuts a zstd stream into its frames (RFC 8878, 3.1) without decompressing them.

use std::io::{self, Read};

use zstd::zstd_safe::compress_bound;

/// Plain bytes of the largest frame that is handed on whole: those that a [`crate::SealWriter`]
/// makes.
const MAX_FRAME_BYTES: u64 = 4 << 20;
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// What comes next in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole frame that says how many bytes it holds.
    Frame {
        /// These.
        plain_bytes: usize,
    },
    /// Anything else: a larger frame, one that does not say its size, what is skipped, damage. It is
    /// for a streaming decoder to read from here on.
    Other,
    /// The end, right after a frame.
    End,
}

/// Reads frame by frame.
pub(crate) struct Frames<R> {
    reader: R,
}

impl<R: Read> Frames<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader }
    }

    /// What is behind the frames read so far. After [`Next::Other`] the bytes read for that come
    /// before it.
    pub(crate) fn into_inner(self) -> R {
        self.reader
    }

    /// Reads the next frame into `packed`. Memory is bounded by what a frame of
    /// [`MAX_FRAME_BYTES`] may come to, whatever the stream says.
    pub(crate) fn next(&mut self, packed: &mut Vec<u8>) -> io::Result<Next> {
        packed.clear();
        if !self.take(packed, 5)? {
            return Ok(if packed.is_empty() { Next::End } else { Next::Other });
        }
        let descriptor = packed[4];
        let Some(size_bytes) = size_field(descriptor).filter(|_| packed[..4] == MAGIC) else {
            return Ok(Next::Other);
        };
        let single_segment = descriptor & 0x20 != 0;
        if !self.take(packed, usize::from(!single_segment) + size_bytes)? {
            return Ok(Next::Other);
        }
        let mut size = [0; 8];
        size[..size_bytes].copy_from_slice(&packed[packed.len() - size_bytes..]);
        let size = u64::from_le_bytes(size) + if size_bytes == 2 { 256 } else { 0 };
        match usize::try_from(size) {
            Ok(plain_bytes) if size <= MAX_FRAME_BYTES => {
                let has_checksum = descriptor & 0x04 != 0;
                let whole = self.blocks(packed, compress_bound(plain_bytes))?
                    && (!has_checksum || self.take(packed, 4)?);
                Ok(if whole { Next::Frame { plain_bytes } } else { Next::Other })
            }
            _ => Ok(Next::Other),
        }
    }

    /// Reads the blocks of a frame; whether they end within `bound` bytes.
    fn blocks(&mut self, packed: &mut Vec<u8>, bound: usize) -> io::Result<bool> {
        packed.reserve(bound);
        loop {
            let at = packed.len();
            if !self.take(packed, 3)? {
                return Ok(false);
            }
            let header = u32::from_le_bytes([packed[at], packed[at + 1], packed[at + 2], 0]);
            let payload = match (header >> 1) & 3 {
                0 | 2 => (header >> 3) as usize,
                1 => 1,
                _ => return Ok(false),
            };
            if packed.len() + payload > bound + 32 || !self.take(packed, payload)? {
                return Ok(false);
            }
            if header & 1 == 1 {
                return Ok(true);
            }
        }
    }

    /// Appends `bytes` to `packed`; `false` if the stream ends before.
    fn take(&mut self, packed: &mut Vec<u8>, bytes: usize) -> io::Result<bool> {
        let read = (&mut self.reader).take(bytes as u64).read_to_end(packed)?;
        Ok(read == bytes)
    }
}

/// How many bytes the content size takes; `None` where there is none, or a dictionary.
fn size_field(descriptor: u8) -> Option<usize> {
    let single_segment = descriptor & 0x20 != 0;
    let known = match descriptor >> 6 {
        0 if !single_segment => return None,
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8,
    };
    // The reserved bit, and the size of a dictionary's id.
    (descriptor & 0x0b == 0).then_some(known)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Frames, Next};

    fn frames_of(stream: &[u8]) -> Vec<Next> {
        let (mut frames, mut packed, mut found) = (Frames::new(stream), Vec::new(), Vec::new());
        loop {
            let next = frames.next(&mut packed).unwrap();
            let goes_on = matches!(next, Next::Frame { .. });
            if let Next::Frame { plain_bytes } = next {
                assert_eq!(
                    zstd::bulk::decompress(&packed, plain_bytes).unwrap().len(),
                    plain_bytes
                );
            }
            found.push(next);
            if !goes_on {
                return found;
            }
        }
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 1_u32;
        (0..bytes)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3]
            })
            .collect()
    }

    fn frame(plain_bytes: usize) -> Next {
        Next::Frame { plain_bytes }
    }

    #[test]
    fn frames_of_every_size_field_are_cut() {
        let sizes = [0, 1, 255, 256, 65_791, 65_792, 1 << 20, 4 << 20];
        for plain in [noise(4 << 20), vec![7; 4 << 20]] {
            let stream: Vec<u8> = sizes
                .iter()
                .flat_map(|size| zstd::bulk::compress(&plain[..*size], 1).unwrap())
                .collect();
            let expected = sizes.iter().map(|size| frame(*size)).chain([Next::End]);
            assert_eq!(frames_of(&stream), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_checksum_belongs_to_its_frame() {
        let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
        compressor.include_checksum(true).unwrap();
        let one = compressor.compress(&noise(1000)).unwrap();
        assert_eq!(frames_of(&[&one[..], &one].concat()), [frame(1000), frame(1000), Next::End]);
    }

    #[test]
    fn what_is_not_for_a_pool_is_left_to_the_decoder() {
        let ours = zstd::bulk::compress(&noise(10), 1).unwrap();
        let large = zstd::bulk::compress(&vec![0; (4 << 20) + 1], 1).unwrap();
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(b"no size").unwrap();
        let streamed = encoder.finish().unwrap();
        let skipped = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9].to_vec();
        let cut = ours[..ours.len() - 1].to_vec();
        for other in [large, streamed, skipped, cut, b"garbage".to_vec(), vec![0x28]] {
            assert_eq!(frames_of(&[&ours[..], &other].concat()), [frame(10), Next::Other]);
        }
        assert_eq!(frames_of(&[]), [Next::End]);
    }

    /// Blocks without content could go on for ever.
    #[test]
    fn a_frame_takes_no_more_memory_than_its_size_allows() {
        let mut stream = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0x20, 10]].concat();
        stream.resize(10 << 20, 0);
        let mut packed = Vec::new();
        assert_eq!(Frames::new(&stream[..]).next(&mut packed).unwrap(), Next::Other);
        assert!(packed.len() < 1000);
    }
}
