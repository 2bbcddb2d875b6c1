//! The first 100 bytes of a file.

use crate::{Checksum, Error, PageSize, Result, Txid, TxidRange};

/// Length of the header.
pub const HEADER_BYTES: usize = 100;

const MAGIC: &[u8; 4] = b"LTX1";

/// The flag that says: the format's own fields for database checksums are not used.
const NO_CHECKSUM: u32 = 0x2;

/// Where a file states the database's checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumPlace {
    /// Flags `0x2`: both in the header's reserved bytes, 80..88 before and 88..96 after. Litestream reads
    /// such files and ignores these bytes.
    #[default]
    Reserved,
    /// Flags 0: "before" in the header's own field, "after" in the trailer. Litestream 0.5 verifies such
    /// files but cannot restore from them.
    Fields,
}

/// The part of the write-ahead log that a file was made from; all zero after a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalRange {
    /// Byte offset in the log. Litestream can only go on from a level-0 file if this is at least 32, the
    /// length of the log's header; so 32 with size 0 when there was no log.
    pub offset: u64,
    /// Length in bytes.
    pub size: u64,
    /// The two salts of the log's header; zero when unknown.
    pub salts: [u32; 2],
}

/// What a file says about itself before its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of every page in the file.
    pub page_size: PageSize,
    /// The database's size in pages after applying the file.
    pub commit: u32,
    /// The transactions covered.
    pub range: TxidRange,
    /// When the last of them was captured, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// The part of the write-ahead log that was read.
    pub wal: WalRange,
    /// The format's "node id"; ours is the lineage.
    pub node: u64,
    /// Of the database that the file is to be applied to; `None` when not stated, and always for a base.
    pub checksum_before: Option<Checksum>,
    /// Of the database after applying the file; `None` when not stated here. A base's is known at its
    /// end whether stated or not: see [`Trailer`](crate::Trailer).
    pub checksum_after: Option<Checksum>,
    /// Where the two stand.
    pub checksum_place: ChecksumPlace,
}

impl Header {
    /// Everything not given is zero or not stated.
    pub fn new(page_size: PageSize, commit: u32, range: TxidRange) -> Self {
        Self {
            page_size,
            commit,
            range,
            timestamp_ms: 0,
            wal: WalRange::default(),
            node: 0,
            checksum_before: None,
            checksum_after: None,
            checksum_place: ChecksumPlace::Reserved,
        }
    }

    /// The header's bytes. [`Encoder::new`](crate::Encoder::new) checks what the types do not ensure.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let stored = |checksum: Option<Checksum>| checksum.map_or(0, Checksum::get);
        let (flags, field, reserved) = match self.checksum_place {
            ChecksumPlace::Reserved => {
                (NO_CHECKSUM, 0, [self.checksum_before, self.checksum_after].map(stored))
            }
            ChecksumPlace::Fields => (0, stored(self.checksum_before), [0, 0]),
        };
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, MAGIC);
        put(4, &flags.to_be_bytes());
        put(8, &self.page_size.get().to_be_bytes());
        put(12, &self.commit.to_be_bytes());
        put(16, &self.range.min().get().to_be_bytes());
        put(24, &self.range.max().get().to_be_bytes());
        put(32, &self.timestamp_ms.to_be_bytes());
        put(40, &field.to_be_bytes());
        put(48, &self.wal.offset.to_be_bytes());
        put(56, &self.wal.size.to_be_bytes());
        put(64, &self.wal.salts[0].to_be_bytes());
        put(68, &self.wal.salts[1].to_be_bytes());
        put(72, &self.node.to_be_bytes());
        put(80, &reserved[0].to_be_bytes());
        put(88, &reserved[1].to_be_bytes());
        bytes
    }

    /// Reads a header and checks it as the format demands.
    ///
    /// The last four bytes are ignored. So are reserved checksums without their top bit, and the "before"
    /// of a base: nothing precedes it.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self> {
        if &bytes[..4] != MAGIC {
            return Err(Error::corrupt(
                0,
                "the magic \"LTX1\"",
                bytes[..4].escape_ascii().to_string(),
            ));
        }
        let checksum_place = match read_u32(bytes, 4) {
            0 => ChecksumPlace::Fields,
            NO_CHECKSUM => ChecksumPlace::Reserved,
            flags => return Err(Error::corrupt(4, "flags 0x0 or 0x2", format!("{flags:#x}"))),
        };
        let page_size = read_u32(bytes, 8);
        let page_size = PageSize::new(page_size).ok_or_else(|| {
            Error::corrupt(8, "a page size of 512 to 65536, a power of two", page_size.to_string())
        })?;
        let range = decode_range(read_u64(bytes, 16), read_u64(bytes, 24))?;
        let field = decode_field(read_u64(bytes, 40), checksum_place, range.is_base())?;
        let (checksum_before, checksum_after) = match checksum_place {
            ChecksumPlace::Fields => (field, None),
            ChecksumPlace::Reserved => (
                Checksum::from_stored(read_u64(bytes, 80)).filter(|_| !range.is_base()),
                Checksum::from_stored(read_u64(bytes, 88)),
            ),
        };
        let header = Self {
            page_size,
            commit: read_u32(bytes, 12),
            range,
            timestamp_ms: i64::from_be_bytes(read(bytes, 32)),
            wal: WalRange {
                offset: read_u64(bytes, 48),
                size: read_u64(bytes, 56),
                salts: [read_u32(bytes, 64), read_u32(bytes, 68)],
            },
            node: read_u64(bytes, 72),
            checksum_before,
            checksum_after,
            checksum_place,
        };
        header.wal.check().map_err(|(at, expected, found)| Error::corrupt(at, expected, found))?;
        Ok(header)
    }

    /// What the types leave open.
    pub(crate) fn check(&self) -> Result<()> {
        self.wal.check().map_err(|(_, expected, found)| Error::refused(expected, found))?;
        let before = self.checksum_before;
        if self.range.is_base() {
            if let Some(before) = before {
                return Err(Error::refused("no checksum before a base", before.to_string()));
            }
        } else if before.is_none() && self.checksum_place == ChecksumPlace::Fields {
            return Err(Error::refused("a checksum before the file (flags 0)", "none"));
        }
        Ok(())
    }
}

impl WalRange {
    /// The offset in the header, what was expected there and what was found.
    fn check(self) -> std::result::Result<(), (u64, &'static str, String)> {
        if i64::try_from(self.offset).is_err() {
            return Err((48, "a WAL offset below 2^63", self.offset.to_string()));
        }
        if i64::try_from(self.size).is_err() {
            return Err((56, "a WAL size below 2^63", self.size.to_string()));
        }
        if self.offset == 0 && (self.size != 0 || self.salts != [0, 0]) {
            return Err((48, "a WAL offset, as a WAL size or salt is given", "0".to_owned()));
        }
        Ok(())
    }
}

fn decode_range(min: u64, max: u64) -> Result<TxidRange> {
    let txid = |at, number| {
        Txid::new(number).ok_or_else(|| Error::corrupt(at, "a transaction number", "0"))
    };
    let (min, max) = (txid(16, min)?, txid(24, max)?);
    TxidRange::new(min, max).ok_or_else(|| {
        Error::corrupt(24, format!("a last transaction not below {min}"), max.to_string())
    })
}

fn decode_field(field: u64, place: ChecksumPlace, base: bool) -> Result<Option<Checksum>> {
    let found = || format!("{field:016x}");
    if base || place == ChecksumPlace::Reserved {
        return match field {
            0 => Ok(None),
            _ => Err(Error::corrupt(40, "no checksum before (a base, or flags 0x2)", found())),
        };
    }
    match Checksum::from_stored(field) {
        Some(checksum) => Ok(Some(checksum)),
        None => Err(Error::corrupt(40, "a checksum with the top bit set", found())),
    }
}

fn read<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

fn read_u32(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_be_bytes(read(bytes, at))
}

fn read_u64(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from_be_bytes(read(bytes, at))
}
