//! G1, G8: the application's files are what they were, and secrets stay secret.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Database, Home, Tool, files_below, require_tool};

/// Content, times and permissions of every file of a directory; of `-shm`, which is memory that
/// processes share, only that it is there.
fn state_of(directory: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64, u32, u64)> {
    let files = files_below(directory).into_iter().map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file = path.metadata().unwrap();
        if name.ends_with("-shm") {
            return (name, (Vec::new(), 0, 0, file.mode(), file.ino()));
        }
        let content = std::fs::read(&path).unwrap();
        (name, (content, file.mtime(), file.mtime_nsec(), file.mode(), file.ino()))
    });
    files.collect()
}

/// Locks that anybody holds on a file.
fn locks(path: &Path) -> Vec<String> {
    let inode = format!(":{} ", path.metadata().unwrap().ino());
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    // Number and order of the lines depend on the locks of the whole machine.
    let lines = locks.lines().filter(|line| line.contains(&inode));
    let locks = lines.filter_map(|line| line.split_once(": ")).map(|(_, lock)| lock.to_owned());
    let mut locks: Vec<String> = locks.collect();
    locks.sort();
    locks
}

/// Databases that nobody has open: nothing beside them appears, changes or goes away.
#[test]
fn databases_at_rest() {
    for journal_mode in ["wal", "delete", "truncate", "persist", "memory", "off"] {
        let home = Home::new();
        let database = Database::create(&home.path("srv/app.db"), journal_mode, 50);
        let before = state_of(&home.path("srv"));
        home.ok(&["backup", "srv/app.db", "--verify"]);
        home.ok(&["backup", "srv"]);
        home.ok(&["backup", "--dry-run", "srv"]);
        assert!(state_of(&home.path("srv")) == before, "{journal_mode}");
        assert_eq!(locks(&database.path), Vec::<String>::new(), "{journal_mode}");
    }
}

/// A database that an application has open, with pages in its WAL.
#[test]
fn a_database_in_use() {
    if !require_tool("python3") {
        return;
    }
    for (journal_mode, code) in [
        ("wal", "c.execute('INSERT INTO t(b) VALUES (randomblob(3000))')"),
        ("delete", "c.execute('INSERT INTO t(b) VALUES (randomblob(3000))')"),
        ("wal", "c.execute('BEGIN'); c.execute('INSERT INTO t(b) VALUES (randomblob(3000))')"),
        ("delete", "c.execute('BEGIN'); c.execute('INSERT INTO t(b) VALUES (randomblob(3000))')"),
        ("wal", "c.execute('BEGIN'); c.execute('SELECT * FROM t').fetchone()"),
    ] {
        let home = Home::new();
        let database = Database::create(&home.path("srv/app.db"), journal_mode, 50);
        let application = Tool::holding(database.text(), code);
        let (before, held) = (state_of(&home.path("srv")), locks(&database.path));
        home.ok(&["backup", "srv/app.db"]);
        home.ok(&["backup", "srv/app.db", "--verify"]);
        assert!(state_of(&home.path("srv")) == before, "{journal_mode} {code}");
        assert_eq!(locks(&database.path), held, "the application's own locks, and no other");
        assert!(application.finish());
        let mode: String =
            database.open().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, journal_mode);
    }
}

/// What a killed application left is copied, not repaired.
#[test]
fn a_hot_journal_and_an_abandoned_wal() {
    if !require_tool("python3") {
        return;
    }
    for journal_mode in ["wal", "delete"] {
        let home = Home::new();
        let database = Database::create(&home.path("srv/app.db"), journal_mode, 300);
        let before = database.bytes();
        // A small cache is spilled into the file before the commit that never comes.
        let application = Tool::holding(
            database.text(),
            "c.execute('PRAGMA cache_size = 5'); c.execute('BEGIN IMMEDIATE'); \
             c.execute('UPDATE t SET b = randomblob(3000)')",
        );
        drop(application);
        let left = state_of(&home.path("srv"));
        assert!(left.len() > 1, "{journal_mode}: {:?}", left.keys());
        let ran = home.run(&["backup", "srv/app.db"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(
            ran.err.contains("a private copy was read"),
            journal_mode == "delete",
            "{ran:?}"
        );
        let after = state_of(&home.path("srv"));
        assert!(after.keys().eq(left.keys()), "{:?} {:?}", left.keys(), after.keys());
        assert!(after == left, "{journal_mode}");
        let restored = home.restored(&[]);
        // A rollback writes the change counter anew; the rows are those of before.
        assert!(restored[4096..] == before[4096..], "{journal_mode}");
    }
}

#[test]
fn secrets_are_nowhere_to_be_seen() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 3000);
    home.ok(&["init"]);
    let secret = "correct-horse-battery-staple";
    home.write("secret", format!("{secret}\n"));
    home.ok(&["init", "-r", "other", "-p", "secret"]);
    let mut seen = String::new();
    for arguments in [
        &["backup", "app.db", "-v"][..],
        &["backup", "app.db", "--json"],
        &["backups"],
        &["ls", "--json"],
        &["check", "--read-data"],
        &["config", "show", "--json"],
        &["stats"],
        &["key", "add", "--new-password-command", "cat secret"],
        &["key", "passwd", "--new-password-command", "cat secret"],
        &["key", "rotate", "--json"],
        &["key", "list"],
        &["restore", "-t", "x.db"],
        &["restore", "-t", "no/x.db"],
    ] {
        let mut command = home.command(arguments);
        command.args(["-r", "other", "--password-command", "cat secret"]);
        let output = command.output().unwrap();
        seen += &String::from_utf8_lossy(&output.stdout);
        seen += &String::from_utf8_lossy(&output.stderr);
    }
    // While it runs, its arguments and those of its children are for everyone to read.
    let mut command = home.command(&["backup", "app.db", "-r", "other", "--verify"]);
    command.env("LIFEBOAT_PASSWORD", secret).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        let line = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
        seen += &String::from_utf8_lossy(&line);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(seen.len() > 1000);
    assert!(!seen.contains(secret), "{seen}");
    assert!(!seen.contains("AGE-SECRET-KEY"), "{seen}");
    let own = home.path("secret");
    for file in files_below(home.directory()).into_iter().filter(|file| *file != own) {
        let content = std::fs::read(&file).unwrap();
        for secret in [secret.as_bytes(), b"AGE-SECRET-KEY"] {
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{}", file.display());
        }
    }
    assert!(home.restored(&["-r", "other", "-p", "secret"]) == database.bytes());
}

/// A restored database may be read by whom the original could, and by nobody else.
#[test]
fn permissions_come_back() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "delete", 5);
    for mode in [0o600, 0o640, 0o664] {
        std::fs::set_permissions(&database.path, PermissionsExt::from_mode(mode)).unwrap();
        database.change(1);
        home.ok(&["backup", "app.db"]);
        home.ok(&["restore", "-t", "x.db"]);
        assert_eq!(home.path("x.db").metadata().unwrap().mode() & 0o7777, mode);
        // What is replaced passes its own on.
        std::fs::set_permissions(home.path("x.db"), PermissionsExt::from_mode(0o604)).unwrap();
        home.ok(&["restore", "-t", "x.db", "--force"]);
        assert_eq!(home.path("x.db").metadata().unwrap().mode() & 0o7777, 0o604);
        std::fs::remove_file(home.path("x.db")).unwrap();
    }
}
