//! The end of what rclone writes.

use std::collections::VecDeque;

/// As much of it is kept.
const KEPT_BYTES: usize = 4096;

/// The last 4 KiB of a log, and how much there was in all.
#[derive(Debug, Default)]
pub(super) struct Log {
    tail: VecDeque<u8>,
    written: u64,
}

impl Log {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        self.written += bytes.len() as u64;
        self.tail.drain(..self.tail.len().saturating_sub(KEPT_BYTES));
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What was written after a position, as far as it is kept.
    pub(super) fn since(&self, position: u64) -> String {
        let wanted = usize::try_from(self.written - position.min(self.written));
        let skipped = self.tail.len().saturating_sub(wanted.unwrap_or(usize::MAX));
        let bytes: Vec<u8> = self.tail.iter().skip(skipped).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut log = Log::default();
        log.write(b"first\n");
        let position = log.written();
        log.write(b"second\n");
        assert_eq!(log.since(0), "first\nsecond\n");
        assert_eq!(log.since(position), "second\n");
        assert_eq!(log.since(log.written()), "");
        log.write(&[b'x'; 5000]);
        assert_eq!(log.since(position).len(), KEPT_BYTES);
    }
}
