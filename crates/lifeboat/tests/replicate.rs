//! Continuous replication through the library: what is committed gets into every repository, and
//! whatever happens to databases and repositories meanwhile, nothing that was promised is lost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Machine;
use common::replication::{
    Log, beside, is_protected, is_sound, of, only, only_if, wait_for, with_two_repositories,
};
use lifeboat::{
    Activity, Context, DatabaseStatus, ReplicateRequest, Request, Silent, Stop, replicate, status,
    yield_databases,
};
use rusqlite::Connection;

#[test]
fn what_is_committed_is_protected() {
    for mode in ["wal", "delete"] {
        let machine = Machine::new();
        machine.create(mode, 40);
        let context = machine.context();
        let report = beside(&context, &["app.db"], |log| {
            wait_for("the first capture", || only_if(&context));
            let connection = machine.open();
            for row in 1..20 {
                let sql = format!("UPDATE t SET b = randomblob(2500) WHERE a = {row}");
                connection.execute_batch(&sql).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
            wait_for("points", || log.count("Protected") > 2);
            is_protected(&context, &machine.database());
            connection.execute_batch("DELETE FROM t WHERE a > 10; VACUUM").unwrap();
            is_protected(&context, &machine.database());
            let standing = only(&context);
            assert_eq!(standing.activity, Activity::Following);
            assert_eq!(standing.txid, standing.repositories[0].protected_txid);
            assert!(standing.repositories[0].points > Some(3), "{standing:?}");
            assert_eq!(standing.repositories[0].lease.as_ref().unwrap().epoch, 1);
        });
        assert!(report.problems.is_empty(), "{mode}: {:?}", report.problems);
        is_sound(&context);
        assert_eq!(only(&context).activity, Activity::Stopped);
    }
}

/// Whoever waits for the end of a replication may rely on all of it being stored.
#[test]
fn the_end_stores_what_is_there() {
    let machine = Machine::new();
    machine.create("wal", 5);
    let context = machine.context();
    let connection = machine.open();
    beside(&context, &["app.db"], |log| {
        wait_for("the first capture", || log.count("Joined") > 0 && only_if(&context));
        connection.execute_batch("UPDATE t SET b = zeroblob(77)").unwrap();
        wait_for("a capture", || log.count("Captured") > 0);
    });
    let standing = only(&context);
    assert_eq!(standing.txid, standing.repositories[0].protected_txid);
    assert_eq!(standing.spool_files, 0);
}

fn is_followed(context: &Context) -> bool {
    matches!(only(context).activity, Activity::Following | Activity::Idle)
}

/// The same again: nothing is captured, no base is stored, and it goes on from any end.
#[test]
fn a_new_start_goes_on() {
    let machine = Machine::new();
    machine.create("wal", 30);
    let context = machine.context();
    let once = ReplicateRequest {
        sources: Request::of(vec!["app.db".to_owned()]),
        interval: None,
        take_over: false,
        once: true,
    };
    let run = |log: &Log| {
        let report = replicate(&context, &once, &Stop::new().unwrap(), log, &Silent).unwrap();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
    };
    run(&Log::default());
    let first = only(&context);
    run(&Log::default());
    assert_eq!(only(&context).txid, first.txid);
    machine.change(3);
    let log = Log::default();
    run(&log);
    assert_eq!((log.count("Captured"), log.count("Lacking")), (1, 0), "{}", log.text());
    let second = only(&context);
    assert_eq!(second.txid.map(lifeboat_ltx::Txid::get), Some(2));
    assert_eq!(second.lineage, first.lineage);
    is_protected(&context, &machine.database());
}

#[test]
fn a_repository_that_is_away_catches_up() {
    let (machine, context) = with_two_repositories("");
    machine.create("wal", 20);
    let away = machine.path("away");
    beside(&context, &["app.db"], |log| {
        let both = || {
            if !only_if(&context) {
                return false;
            }
            let standing = only(&context);
            let there =
                |at: usize| standing.repositories.get(at).and_then(|one| one.protected_txid);
            standing.txid.is_some() && there(0) == standing.txid && there(1) == standing.txid
        };
        wait_for("both bases", both);
        fs::rename(machine.path("two"), &away).unwrap();
        for row in 1..10 {
            machine.change(row);
            wait_for("the one that is there", || {
                let standing = only(&context);
                standing.repositories[0].protected_txid == standing.txid
            });
        }
        wait_for("trouble", || log.count("Failing") > 0);
        let standing = only(&context);
        assert!(standing.repositories[1].lag_bytes > 0, "{standing:?}");
        assert!(standing.repositories[1].problem.is_some());
        assert_eq!(standing.repositories[0].problem, None);
        fs::rename(&away, machine.path("two")).unwrap();
        wait_for("the one that was away", both);
        wait_for("the end of trouble", || log.count("Working") > 0);
    });
    for name in ["one", "two"] {
        let context = of(&machine, Some(name));
        is_protected(&context, &machine.database());
        is_sound(&context);
    }
}

/// One repository gets every capture, the other gathers them: fewer objects, the same end.
#[test]
fn a_repository_may_have_its_own_interval() {
    let (machine, _) = with_two_repositories("");
    let path = machine.path("lifeboat.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("[repository.two]", "[repository.two]\ninterval = '1s'", 1))
        .unwrap();
    let context = of(&machine, None);
    machine.create("wal", 20);
    beside(&context, &["app.db"], |log| {
        let count = || log.count("Captured");
        wait_for("both bases", || {
            only_if(&context) && only(&context).repositories.iter().all(|one| one.points == Some(1))
        });
        for row in 1..16 {
            let before = count();
            machine.change(row);
            wait_for("a capture", || count() > before);
            std::thread::sleep(Duration::from_millis(100));
        }
        wait_for("both", || only(&context).spool_files == 0);
        let points: Vec<_> = only(&context).repositories.iter().map(|one| one.points).collect();
        assert!(
            points[0].min(points[1]) < points[0].max(points[1]).map(|most| most / 2),
            "{points:?}"
        );
    });
    for name in ["one", "two"] {
        let context = of(&machine, Some(name));
        is_protected(&context, &machine.database());
        is_sound(&context);
    }
}

/// What is captured then waits in the spool; a repository that was never there is a mistake of the user's.
#[test]
fn a_start_while_the_only_repository_is_away() {
    let machine = Machine::new();
    machine.create("wal", 10);
    let (place, away) = (machine.path("r"), machine.path("away"));
    let context = machine.context_of(&place.display().to_string());
    let request = ReplicateRequest {
        sources: Request::of(vec!["app.db".to_owned()]),
        interval: None,
        take_over: false,
        once: true,
    };
    let run = || replicate(&context, &request, &Stop::new().unwrap(), &Silent, &Silent);
    assert!(run().unwrap_err().to_string().contains("no repository"));
    context.init(&Silent).unwrap();
    assert!(run().unwrap().problems.is_empty());
    fs::rename(&place, &away).unwrap();
    machine.change(2);
    beside(&context, &["app.db"], |log| {
        wait_for("a capture", || log.count("Captured") > 0);
        machine.change(3);
        wait_for("another", || log.count("Captured") > 1);
        fs::rename(&away, &place).unwrap();
        wait_for("the repository", || log.count("Protected") > 1);
    });
    is_protected(&context, &machine.database());
    is_sound(&context);
}

/// Points are dropped and not the database: a repository that was away for too long gets what it lacks as
/// one file.
#[test]
fn a_full_spool_costs_points_only() {
    let (machine, context) = with_two_repositories("[replicate]\nspool-limit = '64KiB'");
    machine.create("wal", 20);
    let away = machine.path("away");
    beside(&context, &["app.db"], |log| {
        let behind = || {
            let standing = only(&context);
            standing.repositories.iter().any(|one| one.protected_txid != standing.txid)
        };
        wait_for("both bases", || only_if(&context) && !behind());
        fs::rename(machine.path("two"), &away).unwrap();
        for row in 1..20 {
            machine.change(row);
            std::thread::sleep(Duration::from_millis(30));
        }
        wait_for("a full spool", || log.count("Dropped") > 0);
        assert!(only(&context).spool_bytes <= 64 << 10);
        fs::rename(&away, machine.path("two")).unwrap();
        wait_for("the one that was away", || !behind());
    });
    for name in ["one", "two"] {
        let context = of(&machine, Some(name));
        is_protected(&context, &machine.database());
        is_sound(&context);
    }
}

/// Locks that this process holds on a file.
fn locks_on(path: &Path) -> usize {
    use std::os::unix::fs::MetadataExt;
    let Ok(file) = path.metadata() else { return 0 };
    let (inode, own) = (format!(":{} ", file.ino()), format!(" {} ", std::process::id()));
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().filter(|line| line.contains(&inode) && line.contains(&own)).count()
}

#[test]
fn an_idle_database_is_let_go_and_a_write_wakes_the_replication() {
    let machine = Machine::new();
    machine.create("wal", 10);
    fs::write(machine.path("lifeboat.toml"), "[replicate]\nidle = '300ms'\n").unwrap();
    let context = of(&machine, None);
    let database = machine.database();
    // In another process: this one's own locks do not show where the application holds them, too.
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  for line in sys.stdin:\n    c.execute(line)\n    print('done', flush=True)\n";
    let mut application = std::process::Command::new("python3");
    application.args(["-c", script]).arg(&database);
    application.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut application = common::start(&mut application);
    let mut run = |sql: &str| {
        use std::io::{BufRead, BufReader, Write};
        writeln!(application.stdin.as_mut().unwrap(), "{sql}").unwrap();
        let mut line = String::new();
        BufReader::new(application.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    };
    let shm = PathBuf::from(format!("{}-shm", database.display()));
    beside(&context, &["app.db"], |log| {
        wait_for("the first capture", || only_if(&context));
        for round in 0..3 {
            wait_for("idleness", || only(&context).activity == Activity::Idle);
            assert_eq!((locks_on(&database), locks_on(&shm)), (0, 0));
            let captured = log.count("Captured");
            run(&format!("UPDATE t SET b = zeroblob({}) WHERE a = 2", round + 20));
            wait_for("a capture after a write", || log.count("Captured") > captured);
        }
        run("PRAGMA wal_checkpoint(TRUNCATE)");
        is_protected(&context, &database);
    });
    application.kill().unwrap();
    application.wait().unwrap();
}

#[test]
fn a_database_that_is_not_open_anywhere_is_not_looked_at_again_and_again() {
    let machine = Machine::new();
    machine.create("wal", 10);
    fs::write(machine.path("lifeboat.toml"), "[replicate]\nidle = '100ms'\n").unwrap();
    let context = of(&machine, None);
    beside(&context, &["app.db"], |_| {
        wait_for("idleness", || only_if(&context) && only(&context).activity == Activity::Idle);
        let lists = |directory: &Path| fs::metadata(directory).unwrap().modified().unwrap();
        let before = lists(machine.directory.path());
        std::thread::sleep(Duration::from_millis(300));
        // No WAL came and went.
        assert_eq!(lists(machine.directory.path()), before);
    });
}

#[test]
fn databases_join_a_watched_directory() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("data/deep")).unwrap();
    fs::write(machine.path("data/notes.txt"), "no database").unwrap();
    let make = |name: &str| {
        let connection = Connection::open(machine.path(name)).unwrap();
        connection.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
    };
    make("data/first.db");
    let context = machine.context();
    beside(&context, &["data"], |log| {
        let known = |count| {
            move |context: &Context| {
                let databases = status(context).unwrap();
                let protected = |database: &DatabaseStatus| {
                    database.repositories.iter().any(|one| one.protected_txid.is_some())
                };
                databases.iter().filter(|database| protected(database)).count() == count
            }
        };
        wait_for("the first", || known(1)(&context));
        make("data/second.db");
        wait_for("the second", || known(2)(&context));
        make("data/deep/third.db");
        wait_for("the third", || known(3)(&context));
        fs::create_dir(machine.path("data/new")).unwrap();
        make("data/new/fourth.db");
        wait_for("the fourth", || known(4)(&context));
        assert_eq!(log.count("Joined"), 4);
    });
}

/// One that is missing is told, and keeps nobody else from being protected.
#[test]
fn a_database_that_is_missing_may_come() {
    let machine = Machine::new();
    machine.create("wal", 3);
    let context = machine.context();
    let missing = machine.path("later.db");
    let report = beside(&context, &["app.db", "later.db"], |log| {
        assert!(!missing.exists());
        wait_for("that it is missed", || log.count("Failing") > 0);
        let connection = Connection::open(&missing).unwrap();
        connection.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (1)").unwrap();
        wait_for("it", || log.count("Joined") == 2);
        wait_for("both", || status(&context).unwrap().len() == 2);
        is_protected(&context, &missing);
    });
    // That it was missing at first is said at the end, too.
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
}

/// What applications and people do to a database's file.
#[test]
fn a_database_may_be_replaced_beneath() {
    let machine = Machine::new();
    machine.create("wal", 20);
    let context = machine.context();
    let path = machine.database();
    beside(&context, &["app.db"], |log| {
        wait_for("the first capture", || only_if(&context));
        is_protected(&context, &path);
        // Put back from a copy, as an application's own restore does it.
        let copy = machine.path("copy.db");
        fs::copy(&path, &copy).unwrap();
        machine.change(4);
        is_protected(&context, &path);
        fs::rename(&copy, &path).unwrap();
        is_protected(&context, &path);
        // Gone, and made again.
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
        wait_for("that it is missed", || log.count("Failing") > 0);
        machine.create("wal", 3);
        wait_for("that it works again", || log.count("Working") > 0);
        wait_for("that it is followed", || is_followed(&context));
        is_protected(&context, &path);
        // Another journal, and another page size: that takes a new lineage.
        let lineage = only(&context).lineage;
        yield_databases(&context, &Request::of(vec!["app.db".into()]), Duration::from_secs(2))
            .unwrap();
        let connection = machine.open();
        let mode: String =
            connection.query_row("PRAGMA journal_mode = delete", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "delete");
        connection.execute_batch("PRAGMA page_size = 8192; VACUUM").unwrap();
        drop(connection);
        wait_for("a new lineage", || {
            let standing = only(&context);
            standing.lineage.is_some()
                && standing.lineage != lineage
                && standing.repositories[0].protected_txid.is_some()
        });
        wait_for("that it is followed", || is_followed(&context));
        is_protected(&context, &path);
    });
    is_sound(&context);
}

/// A second replication of the same state directory is refused the database, and says so.
#[test]
fn two_replications_do_not_mix() {
    let machine = Machine::new();
    machine.create("wal", 5);
    let context = machine.context();
    beside(&context, &["app.db"], |_| {
        wait_for("the first capture", || only_if(&context));
        let report = beside(&machine.context(), &["app.db"], |second| {
            wait_for("a refusal", || second.count("Failing") > 0);
            assert!(second.text().contains("another process"), "{}", second.text());
        });
        assert!(!report.problems.is_empty());
        is_protected(&context, &machine.database());
    });
}

/// A copy of the state directory on another machine is another host: it gets no lease.
#[test]
fn two_hosts_do_not_mix() {
    let machine = Machine::new();
    machine.create("wal", 5);
    let text = format!("host = 'pi'\n[repository.r]\nurl = '{}'\n", machine.path("r").display());
    fs::write(machine.path("lifeboat.toml"), text).unwrap();
    let context = of(&machine, None);
    context.init(&Silent).unwrap();
    let other = Machine::new();
    other.create("wal", 9);
    fs::copy(machine.path("lifeboat.toml"), other.path("lifeboat.toml")).unwrap();
    fs::create_dir_all(other.path(".config")).unwrap();
    fs::create_dir_all(other.path(".config/lifeboat")).unwrap();
    let password = ".config/lifeboat/password";
    fs::copy(machine.path(password), other.path(password)).unwrap();
    let theirs = of(&other, None);
    beside(&context, &["app.db"], |_| {
        wait_for("the first capture", || only_if(&context));
        beside(&theirs, &["app.db"], |log| {
            wait_for("a refusal", || log.count("Failing") > 0);
            assert!(log.text().contains("is written by host"), "{}", log.text());
        });
        is_protected(&context, &machine.database());
    });
    is_sound(&context);
}
