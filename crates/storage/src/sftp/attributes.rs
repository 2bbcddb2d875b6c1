//! What a server says of a file.

use std::time::{Duration, SystemTime};

use super::decode::{Cursor, Decoded};

const SIZE: u32 = 0x01;
const OWNER: u32 = 0x02;
const PERMISSIONS: u32 = 0x04;
const TIMES: u32 = 0x08;
const EXTENDED: u32 = 0x8000_0000;

/// What a server says of a file. It may leave out each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    permissions: Option<u32>,
    modified: Option<u32>,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A link, a device, a socket: nothing of ours.
    Other,
}

impl Attributes {
    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let flags = cursor.number()?;
        let mut attributes = Self::default();
        if flags & SIZE != 0 {
            attributes.size = Some(cursor.long()?);
        }
        if flags & OWNER != 0 {
            cursor.number()?;
            cursor.number()?;
        }
        if flags & PERMISSIONS != 0 {
            attributes.permissions = Some(cursor.number()?);
        }
        if flags & TIMES != 0 {
            cursor.number()?;
            attributes.modified = Some(cursor.number()?);
        }
        if flags & EXTENDED != 0 {
            for _ in 0..cursor.number()? {
                cursor.string()?;
                cursor.string()?;
            }
        }
        Ok(attributes)
    }

    /// `None` if the server does not say it.
    pub(super) fn kind(&self) -> Option<Kind> {
        Some(match self.permissions? & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0 => return None,
            _ => Kind::Other,
        })
    }

    pub(super) fn modified(&self) -> Option<SystemTime> {
        let seconds = Duration::from_secs(u64::from(self.modified?));
        Some(SystemTime::UNIX_EPOCH + seconds)
    }
}

/// What a file is to have.
#[derive(Default)]
pub(super) struct NewAttributes {
    pub(super) permissions: Option<u32>,
    /// Seconds since 1970.
    pub(super) modified: Option<u32>,
}

impl NewAttributes {
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        let permissions = self.permissions.map_or(0, |_| PERMISSIONS);
        let times = self.modified.map_or(0, |_| TIMES);
        bytes.extend((permissions | times).to_be_bytes());
        bytes.extend(self.permissions.into_iter().flat_map(u32::to_be_bytes));
        // Both times come together: it was read last when it was written.
        bytes.extend(
            self.modified.into_iter().flat_map(|time| [time, time]).flat_map(u32::to_be_bytes),
        );
    }
}

/// A time as version 3 of the protocol has it: whole seconds, rounded down, 1970 to 2106.
pub(super) fn whole_seconds(time: SystemTime) -> u32 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
