//! Other processes write and checkpoint while this one follows, step after step, hands the WAL over
//! and starts again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{
    Place, Reader, Tool, Tracked, Went, assert_same, bank, page_table, require_tool, soak, value,
};
use lifeboat_sqlite::{HandOver, Patience};

const WRITERS: u64 = 2;
/// How long each storm lasts; `LIFEBOAT_SOAK` multiplies it.
const SECONDS: f64 = 0.8;

#[derive(Debug, Default)]
struct Score {
    steps: u32,
    /// Steps whose image was compared with what SQLite itself shows.
    compared: u32,
    restarts: u32,
    handed_over: u32,
    killed: u32,
    largest_wal: u64,
}

fn writer(place: &Place, checkpoint: &str, seed: u64) -> Tool {
    let arguments = [place.database.to_str().unwrap(), checkpoint, &seed.to_string()];
    Tool::python(include_str!("common/storm.py"), &arguments)
}

/// Follows while two processes write; `limit` is that of the WAL in bytes. With `kills` they are
/// killed now and then, wherever they are, and others come.
#[allow(clippy::print_stdout, reason = "says how much a long storm has done")]
fn storm(checkpoint: &str, limit: u64, kills: bool) -> Score {
    let place = bank("wal");
    let mut writers: Vec<_> = (0..WRITERS).map(|seed| writer(&place, checkpoint, seed)).collect();
    for writer in &mut writers {
        assert_eq!(writer.line(), "ready");
    }
    let (first, second) = (Reader::new(&place), Reader::new(&place));
    let mut tracked = Tracked::begin(&place.database);
    let mut score = Score::default();
    let start = Instant::now();
    for round in 0.. {
        if start.elapsed().as_secs_f64() > SECONDS * soak() {
            break;
        }
        // Readers of our own keep the WAL, so that only some rounds have them.
        let before = (round % 4 == 0).then(|| first.begin());
        let went = tracked.advance();
        if let Some(before) = before {
            let same = second.begin() == before;
            second.end();
            let expected = same.then(|| page_table(&first.0));
            first.end();
            if let Some(expected) = expected {
                let what = format!("{checkpoint}, step {}", score.steps);
                assert_same(&tracked.captured.bytes, &expected, 4096, &what);
                score.compared += 1;
            }
        }
        match went {
            Went::Nowhere => {}
            Went::On(..) => score.steps += 1,
            Went::Astray(doubt) => panic!("{checkpoint}: lost after {score:?}: {doubt}"),
        }
        score.largest_wal = score.largest_wal.max(tracked.tracker().wal_bytes());
        if tracked.tracker().wal_bytes() > limit {
            let handed_over = tracked.hand_over(&Patience::default());
            score.handed_over += u32::from(handed_over == HandOver::Done);
            assert!(!matches!(handed_over, HandOver::Lost(_)), "{checkpoint}: {handed_over:?}");
        }
        if kills && round % 48 == 47 {
            writers.remove(0).kill();
            writers.push(writer(&place, checkpoint, round));
            score.killed += 1;
        }
        std::thread::sleep(Duration::from_millis(round % 5));
    }
    for writer in writers {
        assert!(writer.finish(), "a writer failed");
    }
    tracked.advance();
    score.restarts = tracked.captured.restarts;
    let rest = place.open();
    assert_same(&tracked.captured.bytes, &page_table(&rest), 4096, "the end");
    assert_eq!(value::<String>(&rest, "PRAGMA integrity_check"), "ok");
    println!("{checkpoint}, limit {limit}: {score:?}");
    score
}

#[test]
fn steps_under_every_kind_of_checkpoint() {
    if !require_tool("python3") {
        return;
    }
    // Writers without a pause leave an automatic checkpoint no moment to end in: then the WAL is
    // handed over when it has grown.
    let (limit, no_limit) = (1 << 20, u64::MAX);
    let mut compared = 0;
    for (checkpoint, limit, kills) in [
        ("auto", limit, false),
        ("none", no_limit, false),
        ("none", limit, true),
        ("passive", limit, false),
        ("full", limit, false),
        ("restart", no_limit, false),
        ("truncate", no_limit, false),
        ("mixed", limit, false),
        ("mixed", limit, true),
    ] {
        let score = storm(checkpoint, limit, kills);
        assert!(score.steps > 2, "{checkpoint}: {score:?}");
        let restarts = (checkpoint, limit) != ("none", no_limit);
        assert_eq!(score.restarts > 0, restarts, "{checkpoint}: {score:?}");
        assert!(score.largest_wal < limit.saturating_mul(50), "{checkpoint}: {score:?}");
        compared += score.compared;
    }
    assert!(compared > 0);
}
