//! Long work shows how far it is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Database, Home, Ran, require_tool};
use serde_json::Value;

/// 200 MiB: some tenths of a second of work.
const ROWS: u32 = 50_000;

/// A shell command that backs up to a repository, and holds the binary up for a second amid its
/// work: as soon as something lies there that is being written.
fn slowly(repository: &str, options: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_lifeboat");
    format!(
        "{binary} backup app.db -r {repository} {options} & \
         until find {repository}/tmp -type f -size +64k 2>/dev/null | grep -q .; do sleep 0.01; done; \
         kill -STOP $!; sleep 1.2; kill -CONT $!; wait $!"
    )
}

#[test]
fn a_bar_with_rate_and_time_left() {
    if !require_tool("script") {
        return;
    }
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", ROWS);
    let terminal = |repository: &str, options: &str| {
        let mut script = home.program("script");
        script
            .args(["-qec", &slowly(repository, options), "/dev/null"])
            .env("TERM", "xterm")
            .env("COLUMNS", "120");
        let ran = Ran::of(script.output().unwrap());
        assert_eq!(ran.code, Some(0), "{repository}: {ran:?}");
        ran.out
    };
    home.ok(&["init", "-r", "one"]);
    let shown = terminal("one", "");
    assert!(shown.contains("storing app ["), "{shown}");
    let frame = shown.split('\r').find(|frame| frame.contains(" left")).unwrap_or_default();
    for part in ["%  ", "MiB/", "/s", "=>"] {
        assert!(frame.contains(part), "{part:?} is not in {frame:?}");
    }
    assert!(shown.contains("all of it"), "{shown}");

    home.ok(&["init", "-r", "two"]);
    assert_eq!(terminal("two", "--quiet"), "");

    // Elsewhere than on a terminal there is no bar.
    home.ok(&["init", "-r", "three"]);
    let run = home.program("sh").args(["-c", &slowly("three", "")]).output();
    let ran = Ran::of(run.unwrap());
    assert!(ran.code == Some(0) && !ran.err.contains('['), "{ran:?}");

    home.ok(&["init", "-r", "four"]);
    let run = home.program("sh").args(["-c", &slowly("four", "--json")]).output();
    let run = Ran::of(run.unwrap());
    assert_eq!(run.code, Some(0), "{run:?}");
    let lines: Vec<Value> =
        run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let status: Vec<&Value> =
        lines.iter().filter(|line| line["message_type"] == "status").collect();
    assert!(!status.is_empty(), "{lines:?}");
    for line in status {
        let (done, total) = (line["bytes_done"].as_u64(), line["total_bytes"].as_u64());
        assert!(done > Some(0) && done <= total, "{line}");
        assert!(line["what"].as_str().unwrap().ends_with(" app"), "{line}");
    }
    assert_eq!(lines.last().unwrap()["message_type"], "summary");
}
