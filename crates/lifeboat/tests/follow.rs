//! G2, G4: a standby is a captured state as a whole at every moment, and one that is not what it
//! should be is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    Machine, Notes, back_up_base, backup_app, content, context, database, objects_below, start,
};
use lifeboat::{
    Context, Error, FollowEnd, FollowEvent, FollowReport, FollowRequest, Result, Rewrite, Silent,
    Time, follow,
};
use lifeboat_repository::{Claim, DatabaseAddress};
use lifeboat_storage::Storage;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty};
use rusqlite::Connection;

static NEVER: AtomicBool = AtomicBool::new(false);

fn request(target: &Path) -> FollowRequest {
    FollowRequest {
        source: "app".to_owned(),
        host: None,
        target: target.to_owned(),
        interval: Duration::from_millis(10),
        once: true,
        force: false,
    }
}

/// Catches up, and tells what happened.
fn try_once(
    context: &Context,
    request: &FollowRequest,
) -> Result<(FollowReport, Vec<FollowEvent>)> {
    let events = Mutex::new(Vec::new());
    let opened = context.open_repository()?;
    let tell = |event: &FollowEvent| events.lock().unwrap().push(event.clone());
    let report = follow(&opened, request, &NEVER, &Silent, &tell)?;
    Ok((report, events.into_inner().unwrap()))
}

/// A machine whose database is backed up and followed.
struct Ship {
    machine: Machine,
    context: Context,
}

impl Ship {
    fn new(form: &str, journal_mode: &str) -> Self {
        let machine = Machine::new();
        machine.create(journal_mode, 20);
        let context = machine.context();
        match form {
            "sealed" => drop(context.init(&Silent).unwrap()),
            _ => drop(context.init_litestream(&Silent).unwrap()),
        }
        backup_app(&context).unwrap();
        Self { machine, context }
    }

    fn standby(&self) -> PathBuf {
        self.machine.path("standby.db")
    }

    fn sidecar(&self) -> PathBuf {
        self.machine.path("standby.db-lifeboat")
    }

    fn back_up(&self, row: u32) {
        self.machine.change(row);
        backup_app(&self.context).unwrap();
    }

    /// Catches up with the newest backup; what happened.
    #[track_caller]
    fn follow(&self) -> Vec<FollowEvent> {
        let (report, events) = try_once(&self.context, &request(&self.standby())).unwrap();
        assert_eq!(report.end, FollowEnd::CaughtUp, "{events:?}");
        self.assert_same();
        events
    }

    #[track_caller]
    fn behind(&self) -> String {
        let (report, events) = try_once(&self.context, &request(&self.standby())).unwrap();
        match report.end {
            FollowEnd::Behind(reason) => reason,
            end => panic!("{end:?}: {events:?}"),
        }
    }

    #[track_caller]
    fn assert_same(&self) {
        assert!(masked(&self.standby()) == masked(&self.machine.database()), "it differs");
        assert_sound(&self.standby());
    }

    /// The objects of level 0, oldest first.
    fn captures(&self) -> Vec<PathBuf> {
        let objects = objects_below(&self.machine.path(".local/share/lifeboat/repository"));
        objects.into_iter().filter(|path| path.display().to_string().contains("/ltx/0/")).collect()
    }
}

/// The pages without the bytes that SQLite writes by itself.
fn masked(path: &Path) -> Vec<u8> {
    let mut pages = content(path);
    for own in [18..20, 24..32, 40..44, 92..100] {
        pages[own].fill(0);
    }
    pages
}

fn assert_sound(path: &Path) {
    let reader = Connection::open(path).unwrap();
    let check: String = reader.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

/// Why a standby was rewritten, if it was; how many files were applied.
fn told(events: &[FollowEvent]) -> (Vec<Rewrite>, usize) {
    let rewrites = events.iter().filter_map(|event| match event {
        FollowEvent::Rewritten { why, .. } => Some(*why),
        _ => None,
    });
    let applied = events.iter().filter(|event| matches!(event, FollowEvent::Applied { .. }));
    (rewrites.collect(), applied.count())
}

#[test]
fn every_backup_is_followed() {
    for (form, journal_mode) in [("sealed", "wal"), ("sealed", "delete"), ("litestream", "wal")] {
        let ship = Ship::new(form, journal_mode);
        assert_eq!(told(&ship.follow()), (vec![Rewrite::First], 0));
        assert_eq!(told(&ship.follow()), (vec![], 0));
        for row in 1..4 {
            ship.back_up(row);
            assert_eq!(told(&ship.follow()), (vec![], 1));
        }
        for row in 4..9 {
            ship.back_up(row);
        }
        // A base that is newer is not read for what the captures bring.
        ship.machine.open().execute_batch("DELETE FROM t WHERE a > 5; VACUUM").unwrap();
        backup_app(&ship.context).unwrap();
        assert_eq!(told(&ship.follow()), (vec![], 6));
    }
}

#[test]
fn a_replica_without_pins_origin_and_checksums_is_followed() {
    let ship = Ship::new("litestream", "wal");
    ship.back_up(1);
    ship.follow();
    for row in 2..5 {
        ship.back_up(row);
    }
    for object in objects_below(&ship.machine.path(".local/share/lifeboat/repository")) {
        let name = object.display().to_string();
        if name.contains("/pins/") || name.contains("/origin") || name.contains("/backups/") {
            std::fs::remove_file(&object).unwrap();
        } else if name.contains("/ltx/") {
            forget_checksums(&object);
        }
    }
    assert_eq!(told(&ship.follow()), (vec![], 3));
    std::fs::remove_file(ship.standby()).unwrap();
    assert_eq!(told(&ship.follow()), (vec![Rewrite::First], 0));
}

/// Makes an LTX file one that Litestream may have written.
fn forget_checksums(path: &Path) {
    use lifeboat_ltx::{Decoder, Encoder};
    let (bytes, modified) = (std::fs::read(path).unwrap(), path.metadata().unwrap().modified());
    let mut decoder = Decoder::new(bytes.as_slice()).unwrap();
    let mut header = decoder.header().clone();
    (header.checksum_before, header.checksum_after, header.node) = (None, None, 0);
    let mut encoder = Encoder::new(Vec::new(), &header).unwrap();
    let mut page = Vec::new();
    while let Some((pgno, _)) = decoder.next_page(&mut page).unwrap() {
        encoder.write_page(pgno, &page).unwrap();
    }
    std::fs::write(path, encoder.finish().unwrap().0).unwrap();
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(modified.unwrap()).unwrap();
}

#[test]
fn what_is_no_standby_of_the_database_is_refused() {
    let ship = Ship::new("sealed", "wal");
    let target = ship.standby();
    for there in [target.clone(), ship.machine.path("standby.db-wal")] {
        std::fs::write(&there, "precious").unwrap();
        let refused = try_once(&ship.context, &request(&target)).unwrap_err();
        assert!(
            matches!(refused, Error::Database(lifeboat_sqlite::Error::TargetExists { .. })),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(&there).unwrap(), b"precious");
        std::fs::remove_file(there).unwrap();
    }
    std::fs::write(&target, "precious").unwrap();
    let forced = FollowRequest { force: true, ..request(&target) };
    let (_, events) = try_once(&ship.context, &forced).unwrap();
    let former = events.iter().find_map(|event| match event {
        FollowEvent::Rewritten { former, .. } => former.clone(),
        _ => None,
    });
    assert_eq!(std::fs::read(former.unwrap()).unwrap(), b"precious");
    ship.assert_same();

    std::fs::copy(ship.machine.database(), ship.machine.path("other.db")).unwrap();
    common::back_up(&ship.context, "other.db").unwrap();
    let other = FollowRequest { source: "other".to_owned(), ..request(&target) };
    let refused = try_once(&ship.context, &other).unwrap_err();
    assert!(refused.to_string().contains("is a standby of app"), "{refused}");
    let missing = FollowRequest { source: "nothing".to_owned(), ..request(&target) };
    assert!(matches!(try_once(&ship.context, &missing), Err(Error::NoDatabase { .. })));
    let by_path = ship.machine.database().display().to_string();
    let by_path = FollowRequest { source: by_path, ..request(&target) };
    assert_eq!(told(&try_once(&ship.context, &by_path).unwrap().1), (vec![], 0));
}

/// As after a process that was killed after the commit.
#[test]
fn a_sidecar_that_is_behind_costs_no_base() {
    let ship = Ship::new("sealed", "wal");
    for row in 1..4 {
        ship.follow();
        let before = std::fs::read(ship.sidecar()).unwrap();
        ship.back_up(row);
        ship.follow();
        std::fs::write(ship.sidecar(), before).unwrap();
        assert_eq!(told(&ship.follow()), (vec![], 1));
    }
}

#[test]
fn a_foreign_write_is_undone() {
    let ship = Ship::new("sealed", "wal");
    ship.follow();
    let write = |sql: &str| Connection::open(ship.standby()).unwrap().execute_batch(sql).unwrap();
    write("DELETE FROM t WHERE a = 7");
    assert_eq!(told(&ship.follow()), (vec![Rewrite::Diverged], 0));
    write("DELETE FROM t WHERE a = 7");
    ship.back_up(2);
    assert_eq!(told(&ship.follow()).0, vec![Rewrite::Diverged]);
    write("PRAGMA journal_mode = delete; CREATE TABLE mine(a)");
    assert_eq!(told(&ship.follow()), (vec![Rewrite::Diverged], 0));
    // Another page size, and no database at all: the file is moved aside.
    for damage in ["pages", "garbage"] {
        match damage {
            "pages" => write("PRAGMA journal_mode = delete; PRAGMA page_size = 1024; VACUUM"),
            _ => std::fs::write(ship.standby(), "garbage").unwrap(),
        }
        assert_eq!(told(&ship.follow()), (vec![Rewrite::Diverged], 0), "{damage}");
    }
    std::fs::remove_file(ship.standby()).unwrap();
    assert_eq!(told(&ship.follow()), (vec![Rewrite::First], 0));
}

#[test]
fn a_newer_lineage_is_followed() {
    let ship = Ship::new("sealed", "delete");
    ship.follow();
    let lineage = |ship: &Ship| database(&backup_app(&ship.context).unwrap()).lineage;
    let first = lineage(&ship);
    ship.machine.open().execute_batch("PRAGMA page_size = 1024; VACUUM").unwrap();
    assert_ne!(lineage(&ship), first);
    let events = ship.follow();
    assert_eq!(told(&events), (vec![Rewrite::Lineage], 0));
    ship.back_up(3);
    assert_eq!(told(&ship.follow()), (vec![], 1));
    // Another host's state: the same database under the same name.
    std::fs::remove_dir_all(ship.machine.path(".local/state/lifeboat/databases")).unwrap();
    ship.machine.open().execute_batch("CREATE TABLE another(a)").unwrap();
    let elsewhere = ship.machine.context_of("elsewhere");
    elsewhere.init(&Silent).unwrap();
    backup_app(&ship.context).unwrap();
    ship.follow();
    ship.back_up(4);
    assert_eq!(told(&ship.follow()), (vec![], 1));
}

/// The clock of a host that took over may be behind that of the one before it.
#[test]
fn a_closed_lineage_gives_way_to_an_older_one() {
    let ship = Ship::new("litestream", "delete");
    ship.back_up(1);
    ship.follow();
    let later = std::time::SystemTime::now() + Duration::from_secs(3600);
    for capture in ship.captures() {
        std::fs::File::options().append(true).open(capture).unwrap().set_modified(later).unwrap();
    }
    ship.machine.open().execute_batch("PRAGMA page_size = 1024; VACUUM").unwrap();
    let own = Some(database(&backup_app(&ship.context).unwrap()).lineage);
    let stays = try_once(&ship.context, &request(&ship.standby())).unwrap();
    assert_eq!(told(&stays.1), (vec![], 0));
    let address = DatabaseAddress::new(&ship.context.host_name(), "app").unwrap();
    let (holder, ttl) = ("pi", Duration::from_secs(60));
    let claim = Claim { holder, hostname: holder, ttl, own, take_over: true };
    let opened = ship.context.open_repository().unwrap();
    opened.repository().take_lease(&address, &claim, Time::now()).unwrap();
    assert_eq!(told(&ship.follow()), (vec![Rewrite::Lineage], 0));
    assert_eq!(told(&ship.follow()), (vec![], 0));
}

/// Without a repository around it, a replica's files name a lineage that its place does not.
#[test]
fn a_bare_replica_is_followed() {
    let ship = Ship::new("litestream", "wal");
    let bare = ship.machine.path("bare");
    let context = ship.machine.context_of("bare");
    let request = FollowRequest { source: "bare".to_owned(), ..request(&ship.standby()) };
    for expected in [(vec![Rewrite::First], 0), (vec![], 1)] {
        ship.back_up(1);
        let capture = ship.captures().pop().unwrap();
        let ltx = capture.parent().and_then(Path::parent).unwrap();
        common::copy_directory(ltx, &bare.join("ltx"));
        let (report, events) = try_once(&context, &request).unwrap();
        assert_eq!((told(&events), report.end), (expected, FollowEnd::CaughtUp));
        ship.assert_same();
    }
}

#[test]
fn damage_is_gone_around_or_said() {
    let ship = Ship::new("sealed", "wal");
    ship.follow();
    ship.back_up(1);
    ship.back_up(2);
    let captures = ship.captures();
    let mut bytes = std::fs::read(&captures[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&captures[0], &bytes).unwrap();
    let reason = ship.behind();
    assert!(reason.contains("there is more up to 0000000000000003"), "{reason}");
    assert_sound(&ship.standby());
    let notes = Notes::default();
    let opened = ship.context.open_repository().unwrap();
    follow(&opened, &request(&ship.standby()), &NEVER, &notes, &|_| ()).unwrap();
    assert!(notes.text().contains("DamagedObject"), "{}", notes.text());
    // A base leads past it.
    ship.machine.change(3);
    back_up_base(&ship.context).unwrap();
    assert_eq!(told(&ship.follow()), (vec![Rewrite::Gap], 0));

    // What is gone is a gap, too; what comes before it is applied.
    for row in 4..7 {
        ship.back_up(row);
    }
    let last = ship.captures().pop().unwrap();
    let gone = ship.captures().into_iter().rev().nth(1).unwrap();
    let bytes = std::fs::read(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    assert!(ship.behind().contains("there is more"));
    std::fs::write(&gone, bytes).unwrap();
    assert_eq!(told(&ship.follow()), (vec![], 2));
    // A repository that was set back.
    std::fs::remove_file(last).unwrap();
    let (report, events) = try_once(&ship.context, &request(&ship.standby())).unwrap();
    assert_eq!((told(&events), report.end), ((vec![Rewrite::Gap], 0), FollowEnd::CaughtUp));
}

/// Ends what another thread does, also when this one fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_standby_is_kept_until_told_to_stop() {
    let ship = Ship::new("sealed", "wal");
    let stop = AtomicBool::new(false);
    let events = Mutex::new(Vec::new());
    let request = FollowRequest { once: false, ..request(&ship.standby()) };
    let holds = |txid: u64| {
        let events = events.lock().unwrap();
        events.iter().any(|event| match event {
            FollowEvent::Applied { point, .. } | FollowEvent::Rewritten { point, .. } => {
                point.txid.get() == txid
            }
            _ => false,
        })
    };
    let wait_for = |what: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}", events.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    };
    thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let context = ship.machine.context();
            let opened = context.open_repository().unwrap();
            let tell = |event: &FollowEvent| events.lock().unwrap().push(event.clone());
            follow(&opened, &request, &stop, &Silent, &tell).unwrap()
        });
        let ends = Ends(&stop);
        wait_for(&|| holds(1));
        let busy = try_once(&ship.context, &request).unwrap_err();
        assert!(matches!(busy, Error::Database(lifeboat_sqlite::Error::TargetInUse { .. })));
        for row in 1..6 {
            ship.back_up(row);
            wait_for(&|| holds(u64::from(row) + 1));
        }
        // The repository is away for a while.
        let (repository, away) =
            (ship.machine.path(".local/share/lifeboat/repository"), ship.machine.path("away"));
        std::fs::rename(&repository, &away).unwrap();
        let told = |wanted: &str| format!("{:?}", events.lock().unwrap().last()).contains(wanted);
        wait_for(&|| told("Failing") || told("Behind"));
        std::fs::rename(&away, &repository).unwrap();
        wait_for(&|| told("CaughtUp"));
        // Someone writes to the standby, and nothing is new.
        let foreign = Connection::open(ship.standby()).unwrap();
        foreign.execute_batch("DELETE FROM t").unwrap();
        wait_for(&|| {
            let events = events.lock().unwrap();
            events
                .iter()
                .any(|event| matches!(event, FollowEvent::Rewritten { why: Rewrite::Diverged, .. }))
        });
        drop(foreign);
        drop(ends);
        let report = follower.join().unwrap();
        assert_eq!(report.point.unwrap().txid.get(), 6);
    });
    ship.assert_same();
    assert!(!ship.machine.path("standby.db-wal").exists(), "it was not closed");
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static FAULTY: RefCell<Option<Faulty<Arc<dyn Storage>>>> = const { RefCell::new(None) };
}

fn faulty(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    let storage = Faulty::new(storage, FAULT.get());
    FAULTY.replace(Some(storage.clone()));
    Arc::new(storage)
}

#[test]
fn a_storage_that_fails_at_any_operation_tears_nothing() {
    for kind in [FaultKind::Once, FaultKind::FromThenOn, FaultKind::Tear] {
        for begun in [false, true] {
            let mut at = 0;
            loop {
                let ship = Ship::new("sealed", "wal");
                if begun {
                    ship.follow();
                }
                let before = begun.then(|| masked(&ship.standby()));
                ship.back_up(2);
                FAULT.set(Some(Fault { at, kind }));
                let context = ship.machine.context().with_storage_between(faulty);
                let result = try_once(&context, &request(&ship.standby()));
                let operations = FAULTY.with_borrow(|faulty| faulty.as_ref().unwrap().operations());
                if !result.is_ok_and(|(report, _)| report.end == FollowEnd::CaughtUp) {
                    assert!(operations.len() > at, "operation {at}");
                    if let Some(before) = before {
                        assert!(masked(&ship.standby()) == before, "operation {at}");
                    } else {
                        assert!(!ship.standby().exists(), "operation {at}");
                    }
                }
                ship.follow();
                if operations.len() <= at {
                    assert!(at > 5, "{kind:?}: {operations:?}");
                    break;
                }
                at += 1;
            }
        }
    }
}

/// In a child process: follows until it is killed.
#[test]
fn child() {
    let Some(home) = std::env::var_os("LIFEBOAT_TEST_HOME").map(PathBuf::from) else { return };
    let context = context(&home, None);
    let opened = context.open_repository().unwrap();
    let request = FollowRequest { once: false, ..request(&home.join("standby.db")) };
    let tell = |event: &FollowEvent| {
        let log = std::fs::File::options().create(true).append(true).open(home.join("log"));
        writeln!(log.unwrap(), "{event:?}").unwrap();
    };
    follow(&opened, &request, &NEVER, &Silent, &tell).unwrap();
}

#[test]
fn a_kill_at_any_moment_tears_nothing() {
    let ship = Ship::new("sealed", "wal");
    let writer = ship.machine.open();
    writer.execute_batch("ALTER TABLE t ADD COLUMN state INTEGER DEFAULT 0").unwrap();
    backup_app(&ship.context).unwrap();
    ship.follow();
    let (standby, over) = (ship.standby(), AtomicBool::new(false));
    let checks = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let reader = Connection::open(&standby).unwrap();
            reader.busy_timeout(Duration::from_secs(10)).unwrap();
            let (mut checks, mut newest) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                // A state that was captured: all rows have its number.
                let sql = "SELECT min(state), max(state) FROM t";
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                let (least, most): (i64, i64) = reader.query_row(sql, [], read).unwrap();
                assert_eq!(least, most);
                assert!(most >= newest, "{most} after {newest}");
                newest = most;
                let sql = "PRAGMA quick_check";
                let check: String = reader.query_row(sql, [], |row| row.get(0)).unwrap();
                assert_eq!(check, "ok");
                checks += 1;
            }
            checks
        });
        let ends = Ends(&over);
        for kill in 0..30_u64 {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .args(["child", "--exact", "--test-threads", "1"])
                .env("LIFEBOAT_TEST_HOME", ship.machine.directory.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let mut child = start(&mut command);
            let began = Instant::now();
            let log = || std::fs::read_to_string(ship.machine.path("log")).unwrap_or_default();
            while log().matches("Began").count() as u64 <= kill {
                assert!(began.elapsed() < Duration::from_secs(60), "{}", log());
                thread::sleep(Duration::from_millis(2));
            }
            for round in 0..3 {
                let extra = if kill % 5 == 0 { "; VACUUM" } else { "" };
                let state = 3 * kill + round + 1;
                let sql = format!("UPDATE t SET state = {state}, b = randomblob(4000){extra}");
                writer.execute_batch(&sql).unwrap();
                backup_app(&ship.context).unwrap();
                thread::sleep(Duration::from_millis(kill * 7 % 60));
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        drop(ends);
        reader.join().unwrap()
    });
    assert!(checks > 30, "{checks}");
    let (rewrites, _) = told(&ship.follow());
    assert!(rewrites.is_empty(), "{rewrites:?}");
    let log = std::fs::read_to_string(ship.machine.path("log")).unwrap();
    assert!(log.matches("Applied").count() > 30, "{log}");
    assert!(!log.contains("Rewritten"), "{log}");
}
