//! Form `litestream`: what a user sees, and what the real Litestream makes of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod vfs;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Database, Home, files_below, require_tool};
use lifeboat_storage::secrecy::SecretString;
use vfs::Vfs;

/// Two tables by value, so that a page in the wrong place or time shows.
const ROWS: &str = "SELECT count(*), total(a), total(length(b)) FROM t; \
    SELECT a, hex(substr(b, 1, 8)) FROM t ORDER BY a DESC LIMIT 20; \
    SELECT name FROM sqlite_schema ORDER BY name;";

/// A home with a repository for Litestream as the default one of every command.
fn home_for_litestream() -> Home {
    let home = Home::new();
    home.ok(&["init", "--form", "litestream"]);
    home
}

/// What plain SQLite answers.
fn rows(database: &Path) -> Vec<String> {
    let output = Command::new("sqlite3").arg("-batch").arg(database).arg(ROWS).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The one lineage below a repository: what Litestream calls a replica.
fn replica(repository: &Path) -> PathBuf {
    let files = files_below(&repository.join("databases"));
    let mut roots: Vec<_> = files
        .iter()
        .filter(|file| file.file_name().unwrap() == "origin.json.zst")
        .map(|file| file.parent().unwrap().to_owned())
        .collect();
    assert_eq!(roots.len(), 1, "{roots:?}");
    roots.remove(0)
}

/// The LTX files of a replica as `<level>/<min>-<max>`, without leading zeros.
fn ltx(replica: &Path) -> Vec<String> {
    let files = files_below(&replica.join("ltx"));
    let short = |file: &PathBuf| {
        let level = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let range = file.file_stem().unwrap().to_str().unwrap().split('-');
        let range: Vec<_> = range.map(|txid| u64::from_str_radix(txid, 16).unwrap()).collect();
        format!("{level}/{}-{}", range[0], range[1])
    };
    files.iter().map(short).collect()
}

fn ltx_file(replica: &Path, level: u8, min: u64, max: u64) -> PathBuf {
    replica.join(format!("ltx/{level}/{min:016x}-{max:016x}.ltx"))
}

/// A database at a transaction, as the application had it.
struct Point {
    txid: String,
    /// In milliseconds since the beginning of 1970: the time of the file that ends there.
    millis: i64,
    rows: Vec<String>,
}

/// Backs up after each step; the points.
fn back_up_steps(home: &Home, database: &Database, steps: &[&str]) -> Vec<Point> {
    let mut points = Vec::new();
    for (txid, step) in (1..).zip(steps) {
        database.execute(step);
        home.ok(&["backup", "app.db"]);
        let replica = replica(&home.repository());
        let level = if txid == 1 { 9 } else { 0 };
        let modified = ltx_file(&replica, level, txid, txid).metadata().unwrap().modified();
        let since = modified.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        let millis = i64::try_from(since.as_millis()).unwrap();
        points.push(Point { txid: format!("{txid:016x}"), millis, rows: rows(&database.path) });
    }
    points
}

/// Litestream reads the newest point, rows and bytes, and each of these at its time.
fn assert_read(vfs: &Vfs, replica: &Path, points: &[Point], newest: &[u8]) {
    let sql = format!("SELECT litestream_txid(); {ROWS}");
    let expected =
        |point: &Point| [std::slice::from_ref(&point.txid), point.rows.as_slice()].concat();
    let last = points.last().unwrap();
    assert_eq!(vfs.query(replica, &sql).unwrap(), expected(last));
    let hydrated = vfs.hydrated(replica).unwrap();
    assert!(hydrated == newest, "{} bytes, not {}", hydrated.len(), newest.len());
    // Litestream takes what is older than a time, so a point counts a millisecond after its own.
    let (mut then, mut answers) = (String::new(), Vec::new());
    for (number, point) in points.iter().enumerate() {
        let moments = [(point.millis, number.checked_sub(1)), (point.millis + 1, Some(number))];
        for (millis, found) in moments {
            let time = jiff::Timestamp::from_millisecond(millis).unwrap();
            let query = format!("SELECT litestream_set_time('{time:.3}'); {sql}");
            match found {
                Some(found) => {
                    then.push_str(&query);
                    answers.extend(expected(&points[found]));
                }
                None => assert!(vfs.query(replica, &query).is_err(), "nothing is before {time}"),
            }
        }
    }
    assert_eq!(vfs.query(replica, &then).unwrap(), answers);
}

/// Growth, a new schema, less than before, and growth again.
/// Each is one commit, so that a replication never captures half of it.
const HISTORY: &[&str] = &[
    "INSERT INTO t(b) SELECT randomblob(3000) FROM t LIMIT 30",
    "UPDATE t SET b = randomblob(3000) WHERE a % 7 = 0",
    "BEGIN; CREATE TABLE u(c TEXT); CREATE INDEX i ON t(b); INSERT INTO u VALUES ('new'); COMMIT",
    "BEGIN; DROP INDEX i; DELETE FROM t WHERE a > 20; COMMIT",
    "VACUUM",
    "INSERT INTO t(b) SELECT randomblob(5000) FROM t LIMIT 9",
];

#[test]
fn litestream_reads_every_point_of_a_history() {
    let Some(vfs) = Vfs::find() else { return };
    for (page_size, auto_vacuum) in [(512, "NONE"), (4096, "FULL"), (65536, "NONE")] {
        let home = home_for_litestream();
        let database = Database { path: home.path("app.db") };
        database.execute(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum}; \
             PRAGMA journal_mode = wal; CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)"
        ));
        database.add(60);
        let points = back_up_steps(&home, &database, HISTORY);
        let replica = replica(&home.repository());
        assert_eq!(ltx(&replica), ["0/2-2", "0/3-3", "0/4-4", "0/5-5", "0/6-6", "9/1-1"]);
        assert_read(&vfs, &replica, &points, &database.bytes());
        assert!(home.restored(&["app"]) == database.bytes());
    }
}

/// A repository that fell behind gets what it lacks at level 1; one that lost something, a base.
#[test]
fn litestream_reads_merges_and_later_bases() {
    let Some(vfs) = Vfs::find() else { return };
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 60);
    for repository in ["one", "two"] {
        home.ok(&["-r", repository, "init", "--form", "litestream"]);
    }
    let back_up = |repository: &str, change: u32| {
        if change > 0 {
            database.change(change);
        }
        home.ok(&["-r", repository, "backup", "app.db"]);
    };
    let read = |repository: &str, txid: u64, files: &[&str]| {
        let replica = replica(&home.path(repository));
        assert_eq!(ltx(&replica), files, "{repository}");
        let sql = format!("SELECT litestream_txid(); {ROWS}");
        let found = vfs.query(&replica, &sql).unwrap();
        assert_eq!(
            (found[0].as_str(), &found[1..]),
            (&*format!("{txid:016x}"), &*rows(&database.path))
        );
        assert!(vfs.hydrated(&replica).unwrap() == database.bytes());
        home.ok(&["-r", repository, "check", "--read-data"]);
    };
    back_up("one", 0);
    back_up("two", 3);
    back_up("two", 4);
    back_up("one", 5);
    read("one", 4, &["1/2-4", "9/1-1"]);
    // Nothing has changed since, and neither has what "two" lacks: told once, and then no more.
    for _ in 0..2 {
        back_up("two", 0);
        back_up("one", 0);
    }
    read("two", 4, &["0/3-3", "0/4-4", "9/1-2"]);
    read("one", 4, &["1/2-4", "9/1-1"]);

    back_up("one", 6);
    std::fs::remove_file(ltx_file(&replica(&home.path("one")), 0, 5, 5)).unwrap();
    back_up("one", 7);
    let replica = replica(&home.path("one"));
    assert_eq!(ltx(&replica), ["1/2-4", "9/1-1", "9/1-6"]);
    back_up("one", 8);
    let found = vfs.query(&replica, "SELECT litestream_txid()").unwrap();
    assert_eq!(found, [format!("{:016x}", 7)]);
    assert!(vfs.hydrated(&replica).unwrap() == database.bytes());
}

/// What Litestream serves page by page it does not verify; what it restores it does, and so do we.
/// While we replicate, Litestream's reader follows the replica; afterwards it goes back in it.
#[test]
fn litestream_follows_while_we_replicate() {
    let Some(vfs) = Vfs::find() else { return };
    let home = home_for_litestream();
    let database = Database::create(&home.path("app.db"), "wal", 60);
    let application = database.open();
    let mut replication = home.command(&["replicate", "app.db", "--interval", "50ms", "-q"]);
    let mut replication = Running(replication.spawn().unwrap());
    let protected = |than: &str| {
        let status = || home.json(&["status"])["databases"][0].clone();
        let began = std::time::Instant::now();
        loop {
            let status = status();
            let txid = status["txid"].as_str().unwrap_or_default().to_owned();
            if txid.as_str() > than && status["repositories"][0]["protected_txid"] == *txid {
                return txid;
            }
            assert!(began.elapsed().as_secs() < 60, "{status}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let mut txid = protected("");
    let replica = replica(&home.repository());
    let mut following = vfs.follow(&replica);
    let mut points = Vec::new();
    for step in HISTORY {
        application.execute_batch(step).unwrap();
        txid = protected(&txid);
        let number = u64::from_str_radix(&txid, 16).unwrap();
        let modified = ltx_file(&replica, 0, number, number).metadata().unwrap().modified();
        let since = modified.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        let millis = i64::try_from(since.as_millis()).unwrap();
        let (txid, rows) = (txid.clone(), rows(&database.path));
        let began = std::time::Instant::now();
        while following.ask("SELECT litestream_txid()") != txid {
            assert!(began.elapsed().as_secs() < 60, "it does not come to {txid}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let counted = following.ask("SELECT count(*), total(a), total(length(b)) FROM t");
        assert_eq!(counted, rows[0]);
        points.push(Point { txid, millis, rows });
    }
    replication.terminate();
    drop(application);
    // The base is a point of its own, before all of these.
    let (first, later) = points.split_first().unwrap();
    assert!(later.iter().all(|point| point.millis > first.millis));
    let sql = format!("SELECT litestream_txid(); {ROWS}");
    for point in &points {
        let time = jiff::Timestamp::from_millisecond(point.millis + 1).unwrap();
        let query = format!("SELECT litestream_set_time('{time:.3}'); {sql}");
        let expected = [std::slice::from_ref(&point.txid), point.rows.as_slice()].concat();
        assert_eq!(vfs.query(&replica, &query).unwrap(), expected);
    }
    assert!(vfs.hydrated(&replica).unwrap() == database.bytes());
}

/// Killed when dropped.
struct Running(std::process::Child);

impl Running {
    /// Ends it as a service manager does.
    fn terminate(&mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_flipped_bit_is_refused_by_both() {
    let Some(vfs) = Vfs::find() else { return };
    let home = home_for_litestream();
    let database = Database::create(&home.path("app.db"), "wal", 60);
    home.ok(&["backup", "app.db"]);
    database.change(3);
    home.ok(&["backup", "app.db"]);
    let replica = replica(&home.repository());
    let newest = home.ids(&[]).remove(0);
    assert!(vfs.hydrated(&replica).is_ok());
    for file in files_below(&replica.join("ltx")) {
        let whole = std::fs::read(&file).unwrap();
        // In the last page's content, and in the file's checksum.
        for from_end in [whole.len() / 2, 3] {
            let mut damaged = whole.clone();
            damaged[whole.len() - from_end] ^= 0x10;
            std::fs::write(&file, &damaged).unwrap();
            let refused = vfs.hydrated(&replica).unwrap_err();
            assert!(refused.contains("hydration failed"), "{refused}");
            let check = home.run(&["check", "--read-data"]);
            assert_eq!(check.code, Some(1), "{check:?}");
            assert!(check.out.contains("cannot be restored"), "{check:?}");
            let restore = home.run(&["restore", "--backup", &newest, "--target", "out.db"]);
            restore.fails(1, file.file_name().unwrap().to_str().unwrap(), "check --read-data");
            assert!(!home.path("out.db").exists());
        }
        std::fs::write(&file, &whole).unwrap();
    }
}

/// The promise of the format's container: by hand, a sealed file becomes one that Litestream reads.
#[test]
fn sealed_files_are_litestreams_once_unsealed_by_hand() {
    let Some(vfs) = Vfs::find() else { return };
    if !require_tool("age") || !require_tool("zstd") {
        return;
    }
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 60);
    home.ok(&["backup", "app.db"]);
    database.change(3);
    home.ok(&["backup", "app.db"]);

    let identity = files_below(&home.repository().join("identities")).remove(0);
    let password = std::fs::read_to_string(home.password_file()).unwrap();
    let password = SecretString::from(password.trim().to_owned());
    let wrapped = std::fs::read(identity).unwrap();
    let secret = lifeboat_storage::unwrap_with_passphrase(&wrapped, &password).unwrap();
    let secret = home.write("secret", secret);
    let by_hand = home.path("replica");
    for sealed in files_below(&home.repository().join("databases")) {
        let Some(level) = sealed.parent().unwrap().to_str().unwrap().split("/ltx/").nth(1) else {
            continue;
        };
        // <min>-<max>-<time>.ltx.zst.age
        let name = sealed.file_name().unwrap().to_str().unwrap();
        let target = by_hand.join(format!("ltx/{level}/{}.ltx", &name[..33]));
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let script = "age -d -i \"$1\" \"$2\" | zstd -d > \"$3\"";
        let files = [&secret, &sealed, &target];
        let status = Command::new("sh").args(["-euc", script, "sh"]).args(files).status().unwrap();
        assert!(status.success());
    }
    assert_eq!(ltx(&by_hand), ["0/2-2", "9/1-1"]);
    let found = vfs.query(&by_hand, &format!("SELECT litestream_txid(); {ROWS}")).unwrap();
    assert_eq!((found[0].as_str(), &found[1..]), ("0000000000000002", &*rows(&database.path)));
    assert!(vfs.hydrated(&by_hand).unwrap() == database.bytes());
}

#[test]
fn a_session() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 60);
    let made = home.run(&["init", "--form", "litestream"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.err.contains("is not encrypted (form litestream)"), "{made:?}");
    assert_eq!(home.json(&["-r", "other", "init", "--form", "litestream"])["form"], "litestream");
    assert!(!home.password_file().exists());
    home.run(&["init", "--form", "litestream"]).fails(1, "already holds a repository", "use it");

    let first = home.run(&["backup", "app.db", "--verify"]);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""), "{first:?}");
    let at_first = database.bytes();
    database.change(3);
    home.ok(&["backup", "app.db", "--name", "second"]);
    assert_eq!(home.ids(&[]).len(), 2);
    let first = home.ids(&[]).remove(1);
    assert!(home.restored(&["app", "--backup", &first]) == at_first);
    assert!(home.restored(&["app"]) == database.bytes());
    let dumped = home.command(&["dump", "app"]).output().unwrap();
    assert!(dumped.stdout == database.bytes());
    assert!(home.ok(&["check", "--read-data"]).starts_with("no damage: 2 backups"));
    assert!(home.ok(&["stats"]).contains("2 backups in"));
    assert!(home.ok(&["ls"]).contains("60 rows"));
}

/// Another host that writes to it is told once what it is.
#[test]
fn the_first_backup_of_a_host_says_that_nothing_is_encrypted() {
    let home = home_for_litestream();
    Database::create(&home.path("app.db"), "wal", 5);
    std::fs::remove_dir_all(home.state()).unwrap();
    let first = home.run(&["backup", "app.db"]);
    assert!(first.err.contains("is not encrypted"), "{first:?}");
    let second = home.run(&["backup", "app.db"]);
    assert_eq!((second.code, second.err.as_str()), (Some(0), ""), "{second:?}");
}

/// Whoever gives a password expects encryption. The default password file is for other repositories.
#[test]
fn a_password_is_refused() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    let file = home.write("password", "secret\n");
    let file = file.to_str().unwrap();
    let (problem, hint) =
        ("is not encrypted (form litestream), but a password was given", "leave it out");
    home.run(&["-p", file, "init", "--form", "litestream"]).fails(2, problem, hint);
    assert!(files_below(&home.repository()).is_empty());
    home.ok(&["init", "--form", "litestream"]);
    home.run(&["-p", file, "backup", "app.db"]).fails(2, problem, hint);
    home.run(&["--password-command", "echo x", "backups"]).fails(2, problem, hint);
    let mut command = home.command(&["backup", "app.db"]);
    command.env("RESTIC_PASSWORD", "x");
    common::Ran::of(command.output().unwrap()).fails(2, problem, hint);
    home.write(".config/lifeboat/password", "another\n");
    home.ok(&["backup", "app.db"]);
    home.ok(&["check", "--read-data"]);
}

/// Whoever can write to the place could wait there for backups that they can read.
#[test]
fn an_encrypted_repository_is_not_replaced_by_an_open_one() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    home.ok(&["backup", "app.db"]);
    let kept = home.ok(&["-r", "other", "init", "--form", "litestream"]);
    assert_eq!(kept, "");
    let open = std::fs::read(home.path("other/lifeboat.json")).unwrap();
    let marker = home.repository().join("lifeboat.json");
    let sealed = std::fs::read(&marker).unwrap();
    let swapped = String::from_utf8(sealed).unwrap().replace("\"sealed\"", "\"litestream\"");
    for forged in [swapped.into_bytes(), open] {
        std::fs::write(&marker, forged).unwrap();
        let backup = home.run(&["backup", "app.db"]);
        backup.fails(1, "is not encrypted (form litestream), the one there before was", "replaced");
    }
    let files = files_below(&home.repository());
    assert!(!files.iter().any(|file| file.extension().is_some_and(|it| it == "ltx")), "{files:?}");
    // By its owner it is, in a place that was emptied.
    std::fs::remove_dir_all(home.repository()).unwrap();
    home.ok(&["init", "--form", "litestream"]);
    home.ok(&["backup", "app.db"]);
}

/// Litestream cannot restore a database without a page.
#[test]
fn an_empty_database_is_refused() {
    let home = home_for_litestream();
    home.write("empty.db", "");
    let backup = home.run(&["backup", "empty.db"]);
    backup.fails(1, "is empty, which a repository of form litestream cannot hold", "when it has");
}
