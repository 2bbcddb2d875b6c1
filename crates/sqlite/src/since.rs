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
mod tests {
    use super::{Continuation, Doubt, candidates, continues, ended_at};
    use crate::moment::{FileStamp, Moment, WalMoment};
    use crate::tail::Tail;
    use crate::wal::{FrameHeader, FrameMark};
    use crate::{JournalMode, WalPosition};

    const FILE: FileStamp =
        FileStamp { device: 1, inode: 2, size: 40_960, modified_ns: 5, changed_ns: 6 };

    const WAL: WalMoment = WalMoment {
        position: WalPosition { salts: [7; 8], frames: 20, checksum: [8, 9] },
        commits: 4,
        backfilled: 10,
    };

    fn rollback() -> Moment {
        Moment {
            journal_mode: JournalMode::Rollback,
            page_count: 10,
            change_counter: 3,
            wal: None,
            file: FILE,
            settled: true,
        }
    }

    fn wal() -> Moment {
        Moment { journal_mode: JournalMode::Wal, wal: Some(WAL), settled: false, ..rollback() }
    }

    type Change = fn(&mut Moment);

    fn position(moment: &mut Moment) -> &mut WalPosition {
        &mut moment.wal.as_mut().unwrap().position
    }

    /// The log begun anew, with these frames.
    fn restarted(now: &mut Moment, frames: u32) {
        let wal = now.wal.as_mut().unwrap();
        let salts = [7, 7, 7, 8, 1, 1, 1, 1];
        wal.position = WalPosition { salts, frames, checksum: [1, 1] };
        wal.backfilled = 0;
    }

    fn checkpointed(moment: &mut Moment) {
        moment.file.modified_ns += 1;
        moment.file.changed_ns += 1;
        moment.wal.as_mut().unwrap().backfilled += 1;
    }

    #[test]
    fn rollback_journals() {
        use Continuation::{Scan, Unchanged};
        let cases: [(&str, Change, Continuation); 8] = [
            ("nothing", |_| (), Unchanged),
            ("now unsettled", |now| now.settled = false, Unchanged),
            ("counter", |now| now.change_counter += 1, Scan(Doubt::Written)),
            ("size", |now| now.file.size += 1, Scan(Doubt::Written)),
            ("modified", |now| now.file.modified_ns += 1, Scan(Doubt::Written)),
            ("changed", |now| now.file.changed_ns += 1, Scan(Doubt::Written)),
            ("inode", |now| now.file.inode += 1, Scan(Doubt::Replaced)),
            ("device", |now| now.file.device += 1, Scan(Doubt::Replaced)),
        ];
        for (what, change, expected) in cases {
            let mut now = rollback();
            change(&mut now);
            assert_eq!(continues(&rollback(), &now), expected, "{what}");
        }
        let unsettled = Moment { settled: false, ..rollback() };
        assert_eq!(continues(&unsettled, &rollback()), Scan(Doubt::Unsettled));
        assert_eq!(continues(&rollback(), &wal()), Scan(Doubt::JournalMode));
        assert_eq!(continues(&wal(), &rollback()), Scan(Doubt::JournalMode));
    }

    #[test]
    fn wals() {
        use Continuation::{Frames, Restart, Scan, Unchanged};
        let cases: [(&str, Change, Continuation); 20] = [
            ("nothing", |_| (), Unchanged),
            ("counter alone", |now| now.change_counter += 1, Unchanged),
            ("commits", |now| position(now).frames += 5, Frames(WAL)),
            ("fewer frames", |now| position(now).frames -= 1, Scan(Doubt::Rewritten)),
            ("other frames", |now| position(now).checksum = [8, 8], Scan(Doubt::Rewritten)),
            ("salts", |now| position(now).salts[7] = 0, Scan(Doubt::Restarted)),
            ("a restart", |now| restarted(now, 3), Restart(WAL)),
            ("a restart, nearly as long", |now| restarted(now, 19), Restart(WAL)),
            ("a restart, as long", |now| restarted(now, 20), Scan(Doubt::Restarted)),
            (
                "two restarts",
                |now| {
                    restarted(now, 3);
                    position(now).salts[3] += 1;
                },
                Scan(Doubt::Restarted),
            ),
            (
                "a checkpoint and a restart",
                |now| {
                    checkpointed(now);
                    restarted(now, 3);
                },
                Restart(WAL),
            ),
            (
                "a restart and a switch of the file",
                |now| {
                    restarted(now, 3);
                    now.file.inode += 1;
                },
                Scan(Doubt::Replaced),
            ),
            ("no WAL", |now| now.wal = None, Scan(Doubt::NoFrames)),
            ("inode", |now| now.file.inode += 1, Scan(Doubt::Replaced)),
            ("checkpoint", checkpointed, Unchanged),
            (
                "commits and a checkpoint",
                |now| {
                    checkpointed(now);
                    position(now).frames += 5;
                },
                Frames(WAL),
            ),
            ("edit", |now| now.file.changed_ns += 1, Scan(Doubt::Written)),
            (
                "edit and commits",
                |now| {
                    now.file.size += 4096;
                    position(now).frames += 5;
                },
                Scan(Doubt::Written),
            ),
            (
                "edit and a new index",
                |now| {
                    now.file.modified_ns += 1;
                    now.wal.as_mut().unwrap().backfilled = 0;
                },
                Scan(Doubt::Written),
            ),
            (
                "a checkpoint of a new index",
                |now| {
                    checkpointed(now);
                    now.wal.as_mut().unwrap().commits = 0;
                },
                Scan(Doubt::Reopened),
            ),
        ];
        for (what, change, expected) in cases {
            let mut now = wal();
            change(&mut now);
            assert_eq!(continues(&wal(), &now), expected, "{what}");
        }
        // All frames were in the file, and none of the new ones is: a checkpoint does not explain it.
        let complete = Moment { wal: Some(WalMoment { backfilled: 20, ..WAL }), ..wal() };
        let mut now = complete;
        restarted(&mut now, 3);
        assert_eq!(continues(&complete, &now), Restart(complete.wal.unwrap()));
        now.file.modified_ns += 1;
        assert_eq!(continues(&complete, &now), Scan(Doubt::Written));
        now.wal.as_mut().unwrap().backfilled = 2;
        assert_eq!(continues(&complete, &now), Restart(complete.wal.unwrap()));
        let empty = Moment { wal: None, ..wal() };
        assert_eq!(continues(&empty, &wal()), Scan(Doubt::NoFrames));
        // An index that never had a commit looks like any new one.
        let idle = Moment { wal: Some(WalMoment { commits: 0, ..WAL }), ..wal() };
        let mut now = idle;
        assert_eq!(continues(&idle, &now), Unchanged);
        checkpointed(&mut now);
        assert_eq!(continues(&idle, &now), Scan(Doubt::Reopened));
    }

    #[test]
    fn at_rest() {
        use Continuation::{Frames, Restart, Rested, Scan, Unchanged};
        let empty = Moment { wal: None, settled: true, ..wal() };
        let complete = WalMoment { backfilled: 20, ..WAL };
        let checkpointed = Moment { wal: Some(complete), ..empty };
        let mut other_wal = wal();
        position(&mut other_wal).salts = [9; 8];
        let mut restarted_wal = checkpointed;
        restarted(&mut restarted_wal, 3);
        for earlier in [empty, checkpointed] {
            assert_eq!(continues(&earlier, &empty), Unchanged);
            assert_eq!(continues(&earlier, &other_wal), Rested);
            assert_eq!(continues(&earlier, &restarted_wal), Rested);
            let changes: [Change; 2] =
                [|now| now.file.changed_ns += 1, |now| now.change_counter += 1];
            for change in changes {
                for mut now in [empty, other_wal] {
                    change(&mut now);
                    assert!(matches!(continues(&earlier, &now), Scan(_)), "{now:?}");
                }
            }
        }
        let unsettled = |moment| Moment { settled: false, ..moment };
        assert_eq!(continues(&unsettled(empty), &empty), Scan(Doubt::Unsettled));
        assert_eq!(continues(&unsettled(empty), &other_wal), Scan(Doubt::NoFrames));
        assert_eq!(continues(&unsettled(checkpointed), &empty), Scan(Doubt::NoFrames));
        assert_eq!(continues(&unsettled(checkpointed), &restarted_wal), Restart(complete));
        // Fewer frames to look at.
        let mut longer = checkpointed;
        position(&mut longer).frames += 5;
        assert_eq!(continues(&checkpointed, &longer), Frames(complete));
        assert_eq!(continues(&checkpointed, &checkpointed), Unchanged);
        // A frame that was not in the file may be gone with the WAL.
        let partial = Moment { settled: true, ..wal() };
        for now in [empty, other_wal] {
            assert!(matches!(continues(&partial, &now), Scan(_)), "{now:?}");
        }
    }

    #[test]
    fn a_generation_ended_where_frames_of_a_longer_one_follow() {
        let own = FrameMark { salts: [7; 8], checksum: [8, 9] };
        let other = FrameMark { salts: [6; 8], checksum: [5, 5] };
        let later = FrameMark { checksum: [1, 2], ..own };
        let zeros = FrameMark { salts: [0; 8], checksum: [0, 0] };
        let cases = [
            (Some(own), Some(other), true),
            (Some(own), Some(later), false),
            (Some(own), Some(zeros), false),
            (Some(own), None, false),
            (Some(later), Some(other), false),
            (Some(other), Some(other), false),
            (None, None, false),
        ];
        for (last, next, expected) in cases {
            assert_eq!(ended_at(&WAL.position, last, next), expected, "{last:?} {next:?}");
        }
    }

    /// Frames behind the twentieth, as pages and the size after the commit that they end.
    fn tail(page_count: u32, frames: &[(u32, u32)]) -> Tail {
        let mut tail = Tail::new(20, page_count);
        tail.take(19, &FrameHeader { pgno: 9, commit: 1 }, [0, 0]);
        tail.take(20, &FrameHeader { pgno: 8, commit: 10 }, [8, 9]);
        for (frame, (pgno, commit)) in (21..).zip(frames) {
            tail.take(frame, &FrameHeader { pgno: *pgno, commit: *commit }, [1, 1]);
        }
        tail
    }

    fn after(page_count: u32, frames: &[(u32, u32)]) -> Moment {
        let mut now = wal();
        now.page_count = page_count;
        position(&mut now).frames += u32::try_from(frames.len()).unwrap();
        let commits = frames.iter().filter(|(_, commit)| *commit > 0).count();
        now.wal.as_mut().unwrap().commits += u32::try_from(commits).unwrap();
        now
    }

    #[test]
    fn candidates_are_the_pages_of_the_frames_and_those_above_the_smallest_size() {
        type Frames = &'static [(u32, u32)];
        let cases: [(Frames, u32, &[u32]); 6] = [
            (&[(3, 10)], 10, &[3]),
            (&[(3, 0), (1, 10), (3, 10)], 10, &[1, 3]),
            (&[(12, 0), (1, 12)], 12, &[1, 11, 12]),
            (&[(1, 12)], 12, &[1, 11, 12]),
            (&[(1, 6)], 6, &[1]),
            (&[(9, 0), (1, 6), (10, 0), (1, 9)], 9, &[1, 7, 8, 9]),
        ];
        for (frames, page_count, expected) in cases {
            let now = after(page_count, frames);
            let found = candidates(&wal(), &now, &WAL, tail(page_count, frames)).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{frames:?}");
        }
    }

    #[test]
    fn frames_are_believed_if_the_former_ones_are_the_same() {
        let frames = [(3, 10)];
        let mut rewritten = tail(10, &frames);
        rewritten.checksum = Some([8, 8]);
        let now = after(10, &frames);
        assert_eq!(candidates(&wal(), &now, &WAL, rewritten), Err(Doubt::Rewritten));

        let mut now = after(10, &frames);
        checkpointed(&mut now);
        assert!(candidates(&wal(), &now, &WAL, tail(10, &frames)).is_ok());
        // Somebody else made a new index on the way, which counted the one commit, or none.
        for commits in [0, 1, 4, 6] {
            now.wal.as_mut().unwrap().commits = commits;
            let found = candidates(&wal(), &now, &WAL, tail(10, &frames));
            assert_eq!(found, Err(Doubt::Reopened), "{commits}");
        }
    }
}
