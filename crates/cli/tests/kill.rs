//! G2, G3: the program is killed, at random moments and at the system calls that make things durable;
//! what it had made before is whole, and the next run goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Database, Home, require_tool, skip};

const SIGKILL: i32 = 9;
/// Random kills; `LIFEBOAT_SOAK` multiplies them.
const KILLS: u32 = 30;

/// The system calls after which something is on the disk that was not.
const STEPS: [&str; 6] = [
    "fsync,fdatasync",
    "rename,renameat,renameat2",
    "link,linkat",
    "unlink,unlinkat",
    "mkdir,mkdirat",
    "write,pwrite64",
];

/// Backups that were reported as made, newest first.
struct Made {
    backups: Vec<(String, Vec<u8>)>,
}

impl Made {
    /// After a run that may have been killed: the next backup works, every byte of the repository is
    /// sound and leads to all that was backed up. One backup, each time another, is compared.
    fn assert_goes_on(&mut self, home: &Home, database: &Database, turn: usize, what: &str) {
        let source = home.backup(&["app.db"]);
        let id = source["backup_id"].as_str().unwrap().to_owned();
        self.backups.insert(0, (id, database.bytes()));
        let check = home.json(&["check", "--read-data"]);
        assert_eq!(check["clean"], true, "{what}: {check}");
        let whole = check["restorable"].as_array().unwrap();
        for (id, _) in &self.backups {
            assert!(whole.iter().any(|found| found == id), "{what}: {id} is gone");
        }
        let (id, bytes) = &self.backups[turn % self.backups.len()];
        assert!(home.restored(&["-b", id]) == *bytes, "{what}: {id} restores another database");
    }
}

fn begin(journal_mode: &str) -> (Home, Database, Made) {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), journal_mode, 100);
    let mut made = Made { backups: Vec::new() };
    for row in [1, 2] {
        database.change(row);
        made.assert_goes_on(&home, &database, 0, "before");
    }
    (home, database, made)
}

#[test]
fn killed_at_random_moments() {
    let soak =
        std::env::var("LIFEBOAT_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let (home, database, mut made) = begin("wal");
    let began = Instant::now();
    home.ok(&["backup", "app.db"]);
    let whole = began.elapsed();
    let mut killed = 0;
    for turn in 0..KILLS * soak {
        // Every third time nothing has changed since the backup that was killed.
        if turn % 3 != 0 {
            database.change(turn % 90 + 1);
        }
        let mut child = home.command(&["backup", "app.db"]).stdout(Stdio::null()).spawn().unwrap();
        // Spread over the whole run without a generator of random numbers.
        std::thread::sleep(whole * (turn * 37 % 100) / 100);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        killed += u32::from(status.signal() == Some(SIGKILL));
        made.assert_goes_on(&home, &database, turn as usize, &format!("kill {turn}"));
    }
    assert!(killed > KILLS / 6, "{killed} of {KILLS} were killed in time");
}

/// Whether strace may trace here.
fn can_trace() -> bool {
    if !require_tool("strace") {
        return false;
    }
    let home = Home::new();
    let works = home.program("strace").args(["-qq", "-e", "trace=none", "true"]).output();
    let works = works.is_ok_and(|output| output.status.success());
    if !works {
        skip("strace may not trace here");
    }
    works
}

/// Runs a backup that is killed when it enters a call of this group for the n-th time; whether it was.
fn killed_at(home: &Home, calls: &str, number: usize) -> bool {
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let output = home
        .program("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject])
        .args([env!("CARGO_BIN_EXE_lifeboat"), "backup", "app.db"])
        .output()
        .unwrap();
    // strace ends as its child did.
    let killed = output.status.signal() == Some(SIGKILL) || output.status.code() == Some(128 + 9);
    assert!(killed || output.status.success(), "{calls} {number}: {output:?}");
    killed
}

#[test]
fn killed_at_each_step() {
    if !can_trace() {
        return;
    }
    for (journal_mode, steps) in [("wal", &STEPS[..]), ("delete", &STEPS[..2])] {
        let mut kills = 0;
        for calls in steps {
            let (home, database, mut made) = begin(journal_mode);
            // Of the many small ones, some.
            let every = if *calls == "write,pwrite64" { 5 } else { 1 };
            for number in (1..).step_by(every) {
                database.change(u32::try_from(number % 90 + 1).unwrap());
                let killed = killed_at(&home, calls, number);
                let what = format!("{journal_mode}, killed at {calls} {number}");
                made.assert_goes_on(&home, &database, number, &what);
                if !killed {
                    break;
                }
                kills += 1;
            }
        }
        assert!(kills >= 10, "{kills}");
    }
}

/// The very first backup, which makes everything.
#[test]
fn killed_while_everything_is_made() {
    if !can_trace() {
        return;
    }
    let mut kills = 0;
    for calls in &STEPS[..2] {
        for number in (1..).step_by(2) {
            let home = Home::new();
            let database = Database::create(&home.path("app.db"), "wal", 10);
            let killed = killed_at(&home, calls, number);
            home.ok(&["backup", "app.db"]);
            let what = format!("killed at {calls} {number}");
            assert!(home.restored(&[]) == database.bytes(), "{what}");
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 10, "{kills}");
}

/// G6: a restore that is killed leaves the former database or the new one, and nothing lost.
#[test]
fn killed_while_restoring() {
    if !can_trace() {
        return;
    }
    let (home, database, made) = begin("wal");
    let (id, old) = made.backups.last().unwrap();
    let new = database.bytes();
    for calls in ["fsync,fdatasync", "rename,renameat,renameat2", "link,linkat,unlink,unlinkat"] {
        for number in 1.. {
            std::fs::write(&database.path, &new).unwrap();
            let inject = format!("inject={calls}:signal=KILL:when={number}");
            let status = home
                .program("strace")
                .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")])
                .args(["-e", &inject])
                .args([env!("CARGO_BIN_EXE_lifeboat"), "restore", "--force", "-b", id])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            let what = format!("killed at {calls} {number}");
            let present = std::fs::read(&database.path).unwrap();
            assert!(present == new || present == *old, "{what}");
            if present == *old {
                let aside = std::fs::read_dir(home.directory()).unwrap().find_map(|entry| {
                    let path = entry.unwrap().path();
                    let is_aside = path.to_str().unwrap().contains(".before-restore-");
                    (is_aside && std::fs::read(&path).unwrap() == new).then_some(path)
                });
                std::fs::remove_file(aside.expect(&what)).unwrap();
            }
            home.ok(&["restore", "--force", "-b", id]);
            assert!(std::fs::read(&database.path).unwrap() == *old, "{what}");
            for entry in std::fs::read_dir(home.directory()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                assert!(!name.contains(".lifeboat-"), "{what}: {name} is left");
                if name.contains(".before-restore-") {
                    std::fs::remove_file(path).unwrap();
                }
            }
            if status.success() {
                break;
            }
        }
    }
}

/// What was waiting for a lock when it was killed has changed nothing and holds nothing.
#[test]
fn killed_while_waiting_for_a_writer() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "delete", 10);
    let writer = database.open();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut child = home.command(&["backup", "app.db"]).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    writer.execute_batch("INSERT INTO t(b) VALUES (1); COMMIT").unwrap();
    drop(writer);
    home.ok(&["backup", "app.db"]);
    assert!(home.restored(&[]) == database.bytes());
}
