//! The write-ahead log: its header, its frames and their running checksum
//! (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).

/// Bytes of the header of a WAL.
pub(crate) const HEADER: usize = 32;
/// Bytes of the header of a frame; the page follows it.
pub(crate) const FRAME_HEADER: usize = 24;

/// A place in a WAL: the generation and the bytes of it that were used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalPosition {
    /// The two salts of the WAL header, which change with every restart of the log.
    pub salts: [u8; 8],
    /// The last frame that belongs to the image; frames count from 1.
    pub frames: u32,
    /// The running checksum at that frame.
    pub checksum: [u32; 2],
}

impl WalPosition {
    /// Whether a frame that says this is the last one of the position.
    pub(crate) fn ends_at(&self, mark: &FrameMark) -> bool {
        (mark.salts, mark.checksum) == (self.salts, self.checksum)
    }
}

/// The header of a WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalHeader {
    /// Bytes in a page.
    pub page_size: u32,
    /// Identify the generation.
    pub salts: [u8; 8],
    /// Where the running checksum begins.
    pub checksum: [u32; 2],
    /// Whether the checksum reads the log as big-endian words.
    pub big_endian: bool,
}

impl WalHeader {
    /// Reads a WAL header; `None` where its magic, version or checksum is wrong.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        let magic = word(bytes, 0);
        if magic & !1 != 0x377f_0682 || word(bytes, 4) != 3_007_000 {
            return None;
        }
        let big_endian = magic & 1 == 1;
        let checksum = checksum([0, 0], &bytes[..24], big_endian);
        if checksum != [word(bytes, 24), word(bytes, 28)] {
            return None;
        }
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[16..24]);
        Some(Self { page_size: word(bytes, 8), salts, checksum, big_endian })
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The page that follows.
    pub(crate) pgno: u32,
    /// Pages in the database after this commit, 0 within a transaction.
    pub(crate) commit: u32,
}

/// Follows the running checksum of a WAL frame by frame.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    salts: [u8; 8],
    big_endian: bool,
    checksum: [u32; 2],
}

impl Chain {
    pub(crate) fn new(header: &WalHeader) -> Self {
        Self { salts: header.salts, big_endian: header.big_endian, checksum: header.checksum }
    }

    /// The same chain where its running checksum was `checksum`.
    pub(crate) fn resumed_at(self, checksum: [u32; 2]) -> Self {
        Self { checksum, ..self }
    }

    /// The running checksum after the frames taken so far.
    pub(crate) fn checksum(&self) -> [u32; 2] {
        self.checksum
    }

    /// Takes the next frame, header and page; `None` where it does not continue the chain.
    pub(crate) fn next(&mut self, frame: &[u8]) -> Option<FrameHeader> {
        let (header, page) = frame.split_at_checked(FRAME_HEADER)?;
        if header[8..16] != self.salts {
            return None;
        }
        let sum = checksum(self.checksum, &header[..8], self.big_endian);
        let sum = checksum(sum, page, self.big_endian);
        if sum != [word(header, 16), word(header, 20)] {
            return None;
        }
        self.checksum = sum;
        Some(FrameHeader { pgno: word(header, 0), commit: word(header, 4) })
    }
}

/// What the header of a frame says about its place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameMark {
    /// The generation that it is of.
    pub(crate) salts: [u8; 8],
    /// The running checksum.
    pub(crate) checksum: [u32; 2],
}

impl FrameMark {
    pub(crate) fn parse(header: &[u8; FRAME_HEADER]) -> Self {
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[8..16]);
        Self { salts, checksum: [word(header, 16), word(header, 20)] }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// SQLite's WAL checksum over whole pairs of words.
fn checksum(start: [u32; 2], bytes: &[u8], big_endian: bool) -> [u32; 2] {
    let [mut low, mut high] = start;
    for pair in bytes.chunks_exact(8) {
        let first = [pair[0], pair[1], pair[2], pair[3]];
        let second = [pair[4], pair[5], pair[6], pair[7]];
        let (first, second) = if big_endian {
            (u32::from_be_bytes(first), u32::from_be_bytes(second))
        } else {
            (u32::from_le_bytes(first), u32::from_le_bytes(second))
        };
        low = low.wrapping_add(first).wrapping_add(high);
        high = high.wrapping_add(second).wrapping_add(low);
    }
    [low, high]
}
