//! How a WAL went on between two pins, of which the second began while the first was held.
//!
//! A read mark keeps the WAL from being reset. Lock 0 keeps the database file as it is: no frame
//! is backfilled, so that at most the generation that the first pin saw to its end is reset, and
//! one with frames cannot be reset again. (One without frames can, and loses nothing.) So of a WAL
//! with other salts all frames came after the first pin, and they are all that did.

use crate::wal_index::WalIndexHeader;
use crate::{Doubt, WalPosition};

/// What was captured last, and whether the WAL may have been reset since.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub(crate) position: WalPosition,
    pub(crate) page_count: u32,
    pub(crate) may_reset: bool,
}

/// How it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// No commit.
    Same,
    /// With the frames behind this one of the present generation.
    Frames { after: u32 },
    /// The locks were not heeded.
    Lost(Doubt),
}

/// Tells how the WAL went on to the state `now` of a database with `page_count` pages.
pub(crate) fn course(held: &Held, now: &WalIndexHeader, page_count: u32) -> Course {
    let same_generation = now.salts == held.position.salts;
    if !same_generation && !held.may_reset {
        return Course::Lost(Doubt::Restarted);
    }
    let after = if same_generation { held.position.frames } else { 0 };
    if now.last_frame < after {
        return Course::Lost(Doubt::Rewritten);
    }
    if now.last_frame > after {
        return Course::Frames { after };
    }
    // Before the first frame the index holds the checksum of a former generation.
    if after > 0 && now.checksum != held.position.checksum {
        return Course::Lost(Doubt::Rewritten);
    }
    if page_count != held.page_count {
        return Course::Lost(Doubt::Written);
    }
    Course::Same
}

#[cfg(test)]
mod tests {
    use super::{Course, Held, course};
    use crate::wal_index::WalIndexHeader;
    use crate::{Doubt, WalPosition};

    #[test]
    fn only_what_the_locks_allow_is_followed() {
        use Course::{Frames, Lost, Same};
        // Salts, frames, checksum and pages of each; whether the first may be reset.
        type State = (u8, u32, u32, u32);
        let cases: [(State, bool, State, Course); 14] = [
            ((1, 5, 7, 9), false, (1, 5, 7, 9), Same),
            ((1, 5, 7, 9), true, (1, 5, 7, 9), Same),
            ((1, 5, 7, 9), false, (1, 8, 6, 9), Frames { after: 5 }),
            ((1, 5, 7, 9), true, (1, 8, 6, 12), Frames { after: 5 }),
            ((1, 5, 7, 9), true, (2, 3, 6, 9), Frames { after: 0 }),
            ((1, 5, 7, 9), true, (2, 0, 7, 9), Same),
            ((1, 5, 7, 9), true, (2, 0, 7, 8), Lost(Doubt::Written)),
            ((1, 5, 7, 9), false, (2, 3, 6, 9), Lost(Doubt::Restarted)),
            ((1, 5, 7, 9), false, (2, 0, 6, 9), Lost(Doubt::Restarted)),
            ((1, 5, 7, 9), true, (1, 4, 6, 9), Lost(Doubt::Rewritten)),
            ((1, 5, 7, 9), false, (1, 5, 6, 9), Lost(Doubt::Rewritten)),
            ((0, 0, 0, 9), true, (2, 3, 6, 9), Frames { after: 0 }),
            ((2, 0, 7, 9), true, (2, 3, 6, 9), Frames { after: 0 }),
            ((2, 0, 7, 9), true, (2, 0, 3, 9), Same),
        ];
        for (then, may_reset, now, expected) in cases {
            let held = Held {
                position: WalPosition { salts: [then.0; 8], frames: then.1, checksum: [then.2; 2] },
                page_count: then.3,
                may_reset,
            };
            let header = WalIndexHeader {
                salts: [now.0; 8],
                last_frame: now.1,
                checksum: [now.2; 2],
                ..WalIndexHeader::default()
            };
            assert_eq!(course(&held, &header, now.3), expected, "{then:?} {may_reset} {now:?}");
        }
    }
}
