//! What a server can do beyond version 3 of the protocol, by OpenSSH's extensions.

use super::decode::{Cursor, Decoded};

pub(super) const FSYNC: &str = "fsync@openssh.com";
pub(super) const HARD_LINK: &str = "hardlink@openssh.com";
pub(super) const FILE_SYSTEM: &str = "statvfs@openssh.com";
pub(super) const LIMITS: &str = "limits@openssh.com";

/// Bytes of one request to read or write. Every server takes them; more gain nothing, since ssh
/// cuts all into packets of that size.
const PIECE_BYTES: u32 = 32 << 10;
/// Such requests that one reader or upload has under way. Together they are the 2 MiB that a channel
/// of OpenSSH has in flight, so more would only wait here.
pub(super) const IN_FLIGHT: usize = 64;

/// What a server can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    pub(super) fsync: bool,
    pub(super) hard_links: bool,
    pub(super) file_system: bool,
    pub(super) limits: bool,
    /// Bytes of one request to read.
    pub(super) read_bytes: u32,
    /// Bytes of one request to write.
    pub(super) write_bytes: u32,
}

impl Features {
    pub(super) fn new(extensions: &[String]) -> Self {
        let has = |name: &str| extensions.iter().any(|extension| extension == name);
        Self {
            fsync: has(FSYNC),
            hard_links: has(HARD_LINK),
            file_system: has(FILE_SYSTEM),
            limits: has(LIMITS),
            read_bytes: PIECE_BYTES,
            write_bytes: PIECE_BYTES,
        }
    }

    /// Takes what a server says of its limits; 0 is that it says nothing.
    pub(super) fn limit(&mut self, answer: &[u8]) -> Decoded<()> {
        let mut cursor = Cursor::new(answer);
        let _packet_bytes = cursor.long()?;
        self.read_bytes = piece(cursor.long()?);
        self.write_bytes = piece(cursor.long()?);
        Ok(())
    }
}

fn piece(limit: u64) -> u32 {
    let limit = u32::try_from(limit).unwrap_or(PIECE_BYTES);
    if limit == 0 { PIECE_BYTES } else { limit.min(PIECE_BYTES) }
}

/// Bytes that a file system has free for users, and whether it may be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileSystem {
    pub(super) free_bytes: u64,
    pub(super) read_only: bool,
}

impl FileSystem {
    pub(super) fn decode(answer: &[u8]) -> Decoded<Self> {
        let mut cursor = Cursor::new(answer);
        let mut numbers = [0; 11];
        for number in &mut numbers {
            *number = cursor.long()?;
        }
        let [_, fragment_bytes, _, _, available, .., flags, _] = numbers;
        let free_bytes = fragment_bytes.saturating_mul(available);
        Ok(Self { free_bytes, read_only: flags & 1 != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_taken_within_reason() {
        for (limit, expected) in [
            (0, PIECE_BYTES),
            (1, 1),
            (4096, 4096),
            (261_120, PIECE_BYTES),
            (u64::MAX, PIECE_BYTES),
        ] {
            assert_eq!(piece(limit), expected);
        }
    }

    #[test]
    fn free_space() {
        let numbers = [4096_u64, 512, 1000, 900, 800, 0, 0, 0, 0, 1, 255];
        let answer: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        let found = FileSystem::decode(&answer).unwrap();
        assert_eq!((found.free_bytes, found.read_only), (512 * 800, true));
        assert!(FileSystem::decode(&answer[..87]).is_err());
    }
}
