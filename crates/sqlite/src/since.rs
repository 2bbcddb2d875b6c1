//! Which pages may differ from those of an earlier capture, proved without reading the database.
//!
//! **In the WAL.** Within one generation (one pair of salts) a page of the image is its newest frame
//! up to the image's end, else what the database file held when the generation began: checkpoints
//! write nothing into the file but frames of it. So two images of one generation, at frames *n* and
//! *m*, differ at most in the pages of the frames behind *n*, if both have the same first *n* frames,
//! which the running checksum at *n* shows. It also shows a tail that was lost with the power and
//! written again under the same salts. A restart of the WAL, a database that was closed and opened
//! again, and one that left WAL mode and came back have other salts.
//!
//! **Across one restart of the WAL.** A restart puts the first salt up by one and draws the second
//! anew, and it comes only when every frame is in the database file. So if the earlier generation
//! ended exactly at the earlier position, the file was the earlier image at the restart, and all
//! commits since are frames of the present generation, which are read. That it ended there shows
//! where a still earlier one was longer and the present one is shorter, because a restart does not
//! clear the file: frame *n* is still the last one of the earlier position, with its salts and its
//! running checksum, and frame *n* + 1 bears other salts, which the generation would have overwritten
//! had it gone on. (Frame *n* + 1 is looked at first: frames are overwritten in ascending order, so
//! if frame *n* is of the earlier generation after that, frame *n* + 1 was not of the present one.)
//!
//! Weaker signs prove nothing. A file that ends with frame *n* may have been longer, until
//! `journal_size_limit` cut it there. An index that counts as many commits more as the present
//! generation has may have been made anew on the way: then it began at 0, and as many commits after
//! that in the earlier generation as had been counted before give the same sum.
//!
//! A database that shrinks forgets its last pages, and one that grows again may leave new ones that
//! only go to the free list without a frame: what is in them does not matter to SQLite, but to a
//! checksum. So all pages above the smallest size in between count as touched.
//!
//! **Outside SQLite.** Someone may copy another file over the database while its WAL lies beside it.
//! A file with the same times was not written to. If they differ, a checkpoint must explain it:
//! more frames are in the file than were. That is believed only while the index of the WAL is the
//! one that stood there at the earlier capture. It is when as many commits were added to it as to
//! the WAL: whoever comes first after all others have gone makes a new one, which begins at 0.
//! So somebody has had the database open all the time, and it was not put back meanwhile. What is
//! written into a file that an application has open, past SQLite, remains for the next full scan.
//!
//! **With a rollback journal** every transaction moves the change counter, and writes the file. A
//! file with its former counter and times was not written to, unless its times were so young at the
//! earlier capture that a clock of coarse steps gives them twice.
//!
//! **At rest.** If no frame was in the WAL at the earlier capture, or all of them were in the database
//! file, then the earlier image was the file; as after the last application closed the database, or
//! after a checkpoint with nothing behind it. Commits in a WAL need not move the counter, but what is
//! in no WAL any more was written to the file, and the file's times show that as with a rollback
//! journal. So a file that was not written to is still the earlier image, and all commits since are
//! frames of the WAL as it is, whatever became of the one of then.

use crate::moment::{Moment, WalMoment};
use crate::tail::Tail;
use crate::wal::FrameMark;
use crate::{Bitmap, Image, Pin, Result, WalPosition};

/// What may have changed since an earlier moment.
#[derive(Debug)]
pub enum Since<'pin> {
    /// Nothing: the image is the one of then.
    Nothing,
    /// At most these pages.
    Pages {
        /// The image.
        image: Image<'pin>,
        /// The pages, those that are new included.
        pages: Bitmap,
    },
    /// It cannot be told without reading the database.
    Anything {
        /// The image.
        image: Image<'pin>,
        /// Why.
        doubt: Doubt,
    },
}

/// Why it takes a scan to tell what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The image is a private copy's, which has no history.
    #[error("a private copy is read")]
    PrivateCopy,
    /// The journal mode is another.
    #[error("the journal mode changed")]
    JournalMode,
    /// The file is another one.
    #[error("the file was replaced")]
    Replaced,
    /// The file was written to, and no checkpoint explains it.
    #[error("the file was written to")]
    Written,
    /// The file was written to shortly before the earlier capture.
    #[error("the file had just been written to when it was last read")]
    Unsettled,
    /// Its pages have another size.
    #[error("the page size changed")]
    PageSize,
    /// The WAL or its index was removed or replaced, while the database was followed.
    #[error("the WAL was replaced")]
    WalReplaced,
    /// There is no frame to go on from.
    #[error("there was no WAL to follow")]
    NoFrames,
    /// The frames of then are gone.
    #[error("the WAL was restarted")]
    Restarted,
    /// Frames of then were replaced.
    #[error("the WAL was cut and written again")]
    Rewritten,
    /// Nobody had the database open for a while, and the file was written to.
    #[error("the database was closed meanwhile")]
    Reopened,
}

/// What the two moments by themselves tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continuation {
    Unchanged,
    /// If the frames up to this moment are still the same.
    Frames(WalMoment),
    /// If the former generation ended at this moment.
    Restart(WalMoment),
    /// All that came since is in the WAL.
    Rested,
    Scan(Doubt),
}

/// Tells what may have changed between `earlier` and the pinned state.
///
/// Reads at most the WAL. The claim is about databases that SQLite alone writes to; edits past it
/// are noticed where the file's times show them.
pub fn since<'pin>(pin: &'pin Pin, earlier: &Moment) -> Result<Since<'pin>> {
    let Some(now) = pin.moment() else {
        return Ok(Since::Anything { image: pin.image()?, doubt: Doubt::PrivateCopy });
    };
    let anything = |image, doubt| Ok(Since::Anything { image, doubt });
    match continues(earlier, now) {
        Continuation::Unchanged => Ok(Since::Nothing),
        Continuation::Scan(doubt) => anything(pin.image()?, doubt),
        Continuation::Frames(then) => {
            let mut tail = Tail::new(then.position.frames, now.page_count);
            let image = pin.image_and(&mut tail)?;
            match candidates(earlier, now, &then, tail) {
                Ok(pages) => Ok(Since::Pages { image, pages }),
                Err(doubt) => anything(image, doubt),
            }
        }
        Continuation::Rested => {
            let mut tail = Tail::new(0, now.page_count);
            let image = pin.image_and(&mut tail)?;
            let pages = tail.candidates(earlier.page_count, now.page_count);
            Ok(Since::Pages { image, pages })
        }
        Continuation::Restart(then) => {
            let mut tail = Tail::new(0, now.page_count);
            let image = pin.image_and(&mut tail)?;
            let position = &then.position;
            // In this order; see above.
            let next = image.frame_mark(position.frames.saturating_add(1))?;
            let last = image.frame_mark(position.frames)?;
            if !ended_at(position, last, next) {
                return anything(image, Doubt::Restarted);
            }
            match pages_of(earlier, now, &then, tail) {
                Ok(pages) => Ok(Since::Pages { image, pages }),
                Err(doubt) => anything(image, doubt),
            }
        }
    }
}

fn continues(earlier: &Moment, now: &Moment) -> Continuation {
    use Continuation::{Restart, Rested, Scan, Unchanged};
    if earlier.journal_mode != now.journal_mode {
        return Scan(Doubt::JournalMode);
    }
    if !earlier.file.is_same_file(&now.file) {
        return Scan(Doubt::Replaced);
    }
    let same_times = earlier.file == now.file;
    let is_left_alone = same_times && earlier.change_counter == now.change_counter;
    let by_wal = match (&earlier.wal, &now.wal) {
        (Some(then), Some(now)) => by_wal(then, now, same_times),
        (None, None) if is_left_alone => Scan(Doubt::Unsettled),
        (None, None) => Scan(Doubt::Written),
        _ => Scan(Doubt::NoFrames),
    };
    let was_all_in_file = earlier.wal.is_none_or(|wal| wal.is_complete());
    let has_rested = was_all_in_file && is_left_alone && earlier.settled;
    match by_wal {
        Scan(_) | Restart(_) if has_rested && now.wal.is_none() => Unchanged,
        Scan(_) | Restart(_) if has_rested => Rested,
        _ => by_wal,
    }
}

/// What two moments of a WAL tell; `same_times` if the database file was not written to.
fn by_wal(then: &WalMoment, now: &WalMoment, same_times: bool) -> Continuation {
    use Continuation::{Frames, Restart, Scan, Unchanged};
    if then.position.salts != now.position.salts {
        if !is_next_generation(&then.position, &now.position) {
            return Scan(Doubt::Restarted);
        }
        // The restart tells that what was missing then is in the file now.
        if !same_times && then.is_complete() && now.backfilled == 0 {
            return Scan(Doubt::Written);
        }
        return Restart(*then);
    }
    if then.position.frames > now.position.frames {
        return Scan(Doubt::Rewritten);
    }
    if !same_times && now.backfilled <= then.backfilled {
        return Scan(Doubt::Written);
    }
    if then.position.frames < now.position.frames {
        return Frames(*then);
    }
    if then.position.checksum != now.position.checksum {
        return Scan(Doubt::Rewritten);
    }
    if !same_times && !same_index(then, now, 0) {
        return Scan(Doubt::Reopened);
    }
    Unchanged
}

/// Whether the log was restarted once, and is still so short that the end of the former one shows.
fn is_next_generation(then: &WalPosition, now: &WalPosition) -> bool {
    let first_salt = |position: &WalPosition| {
        let [a, b, c, d, ..] = position.salts;
        u32::from_be_bytes([a, b, c, d])
    };
    first_salt(now) == first_salt(then).wrapping_add(1) && now.frames < then.frames
}

/// Whether a generation ended at this position, given what stands at its last frame and at the next.
fn ended_at(position: &WalPosition, last: Option<FrameMark>, next: Option<FrameMark>) -> bool {
    // Zeros are of no generation: a power failure may leave them in the place of a frame.
    last.is_some_and(|last| position.ends_at(&last))
        && next.is_some_and(|next| next.salts != position.salts && next.salts != [0; 8])
}

/// Whether the index of the WAL is the one of then. A new one counts from 0, and only commits that
/// came after it, which are among those added since: it cannot reach the sum if there was any
/// commit in the former one.
fn same_index(then: &WalMoment, now: &WalMoment, added: u32) -> bool {
    then.commits > 0 && then.commits.checked_add(added) == Some(now.commits)
}

/// The same, once the frames since then have been read.
fn is_same_index(now: &Moment, then: &WalMoment, tail: &Tail) -> bool {
    now.wal.is_some_and(|wal| same_index(then, &wal, tail.commits))
}

/// The pages of frames that are known to be all since then, unless the file may have been written to
/// past SQLite as well.
fn pages_of(earlier: &Moment, now: &Moment, then: &WalMoment, tail: Tail) -> Result<Bitmap, Doubt> {
    if earlier.file != now.file && !is_same_index(now, then, &tail) {
        return Err(Doubt::Reopened);
    }
    Ok(tail.candidates(earlier.page_count, now.page_count))
}

/// The pages to look at, once the frames have been read.
fn candidates(
    earlier: &Moment,
    now: &Moment,
    then: &WalMoment,
    tail: Tail,
) -> Result<Bitmap, Doubt> {
    if tail.checksum != Some(then.position.checksum) {
        return Err(Doubt::Rewritten);
    }
    pages_of(earlier, now, then, tail)
}

#[cfg(test)]
mod tests;
