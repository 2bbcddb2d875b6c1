//! `lifeboat follow`, as a user and as a service manager see it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use common::{Database, Home, files_below, scrub};
use serde_json::Value;

fn begin() -> (Home, Database) {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 50);
    home.ok(&["backup", "app.db"]);
    (home, database)
}

const ONCE: [&str; 5] = ["follow", "app", "--target", "copy.db", "--once"];

#[test]
fn a_copy_catches_up() {
    let (home, database) = begin();
    let first = home.ok(&ONCE);
    assert_eq!(
        scrub(&first, &home),
        "following app to ~/copy.db\n\
         restored (there was none), at transaction 0000000000000001 of DATE TIME\n\
         caught up at transaction 0000000000000001 of DATE TIME\n"
    );
    database.change(7);
    home.ok(&["backup", "app.db"]);
    let second = home.ok(&["follow", "app.db", "--target", "copy.db", "--once", "-v"]);
    assert!(second.contains("applied transaction 0000000000000002 of"), "{second}");
    let summary = home.json(&ONCE);
    assert_eq!(summary["caught_up"], true);
    assert_eq!(summary["txid"], "0000000000000002");

    home.run(&["follow", "nothing", "--target", "copy.db", "--once"]).fails(
        1,
        "no database nothing in",
        "`lifeboat points` lists the databases of this host",
    );
    home.run(&["follow", "app", "--target", "app.db", "--once"]).fails(
        1,
        "app.db exists already",
        "--force replaces it",
    );
    home.run(&["follow", "app", "--target", "copy.db", "--interval", "0s"])
        .fails_usage("expected a time like 1s or 5m, at least 10ms, found \"0s\"");
    assert_eq!(home.run(&["backup", "app.db"]).code, Some(0));
}

#[test]
fn no_progress_is_an_exit_code() {
    let (home, database) = begin();
    home.ok(&ONCE);
    for row in [7, 8] {
        database.change(row);
        home.ok(&["backup", "app.db"]);
    }
    let mut objects = files_below(&home.repository()).into_iter();
    let capture = objects.find(|path| path.to_string_lossy().contains("/ltx/0/")).unwrap();
    std::fs::remove_file(capture).unwrap();
    let behind = home.run(&ONCE);
    assert_eq!(behind.code, Some(3), "{behind:?}");
    assert!(behind.err.contains("warning: no progress: no sound file leads on"), "{behind:?}");
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_signal_ends_it_cleanly() {
    let (home, database) = begin();
    for signal in ["-TERM", "-INT"] {
        let mut running = Running(
            home.command(&["follow", "app", "--target", "copy.db", "--interval", "20ms", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let child = &mut running.0;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wait_for = |wanted: &str| {
            loop {
                let line = lines.next().expect("it goes on").unwrap();
                let message: Value = serde_json::from_str(&line).unwrap();
                if message["message_type"] == wanted {
                    return message;
                }
            }
        };
        wait_for("caught_up");
        // Its lock is held: else whoever closes the copy next would take its WAL away.
        let inode = home.path("copy.db").metadata().unwrap().ino();
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let is_its = |line: &str| line.contains("POSIX") && line.contains(&format!(":{inode} "));
        assert!(locks.lines().any(is_its), "{locks}");
        assert!(home.path("copy.db-wal").exists());
        database.change(9);
        home.ok(&["backup", "app.db"]);
        wait_for("applied");
        home.run(&ONCE).fails(11, "is in use", "stop the application first");
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let summary = wait_for("summary");
        assert_eq!(summary["caught_up"], false);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(!home.path("copy.db-wal").exists());
    }
}
