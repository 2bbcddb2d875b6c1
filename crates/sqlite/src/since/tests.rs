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
        let changes: [Change; 2] = [|now| now.file.changed_ns += 1, |now| now.change_counter += 1];
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
