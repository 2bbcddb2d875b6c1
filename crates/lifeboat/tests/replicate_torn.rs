//! G4: a replication into a storage that cuts an object short says so, and heals it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::Machine;
use common::tearing::{Says, findings, tear, tearing, torn};
use lifeboat::{
    BackupRequest, Event, Events, FollowEnd, FollowRequest, OpenRepository, PointChoice,
    PointRestoreRequest, PointSelection, PointsRequest, ReplicateRequest, Request, Silent, Stop,
    backup, follow, plan_point_restore, points, replicate, restore_point,
};
use rusqlite::Connection;

/// Restores a point, which SQLite and the checksums find sound.
fn restore_to(
    opened: &OpenRepository<'_>,
    point: PointChoice,
    target: &Path,
) -> lifeboat::Result<()> {
    let selection = PointSelection { source: None, host: None, lineage: None, point };
    let target = Some(target.to_owned());
    let request = PointRestoreRequest { selection, target, force: true, no_verify: false };
    let plan = plan_point_restore(opened, &request, &Silent)?;
    restore_point(opened, plan, &Silent).map(drop)
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(match event {
            Event::Protected { .. } => "protected".to_owned(),
            Event::Failing { error, .. } => format!("failing: {error}"),
            Event::Lacking { reason, .. } => format!("lacking: {reason}"),
            _ => return,
        });
    }
}

impl Told {
    /// Whether this was told after so many other things.
    fn has(&self, what: &str, after: usize) -> bool {
        self.0.lock().unwrap().iter().skip(after).any(|one| one.contains(what))
    }

    /// Waits until it was; how much has been told then.
    fn wait_for(&self, what: &str, after: usize) -> usize {
        let began = Instant::now();
        while !self.has(what, after) {
            assert!(began.elapsed() < Duration::from_secs(60), "no {what}: {:?}", self.0);
            std::thread::sleep(Duration::from_millis(10));
        }
        self.0.lock().unwrap().len()
    }
}

/// Ends the replication, also when the test fails.
struct Ends<'a>(&'a Stop);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn rows(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT b FROM t ORDER BY a").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.flat_map(std::result::Result::unwrap).collect()
}

#[test]
fn a_replication_says_so_and_heals() {
    for says in [Says::Done, Says::Failed] {
        let machine = Machine::new();
        machine.create("wal", 20);
        let context = tearing(&machine);
        let sources = Request::of(vec!["app.db".to_owned()]);
        let request = BackupRequest { sources: sources.clone(), ..BackupRequest::default() };
        backup(&context, &request, &Silent).unwrap();
        let follower = FollowRequest {
            source: "app".to_owned(),
            host: None,
            target: machine.path("standby.db"),
            interval: Duration::from_millis(10),
            once: true,
            force: false,
        };
        let opened = context.open_repository().unwrap();
        let catch_up =
            || follow(&opened, &follower, &AtomicBool::new(false), &Silent, &|_| ()).unwrap().end;
        assert_eq!(catch_up(), FollowEnd::CaughtUp);

        let interval = Some(Duration::from_millis(20));
        let replication = ReplicateRequest { sources, interval, take_over: false, once: false };
        let (stop, told) = (Stop::new().unwrap(), Told::default());
        std::thread::scope(|scope| {
            let running = scope.spawn(|| replicate(&context, &replication, &stop, &told, &Silent));
            let ends = Ends(&stop);
            machine.change(1);
            let before = told.wait_for("protected", 0);
            tear(says);
            machine.change(2);
            let after = told.wait_for("lacking: other bytes", before);
            // What is captured while the repository is brought up gets there without a word.
            for row in 3..20 {
                machine.change(row);
                std::thread::sleep(Duration::from_millis(500));
            }
            assert!(told.has("protected", after), "{:?}", told.0);
            drop(ends);
            assert_eq!(running.join().unwrap().unwrap().problems, [""; 0]);
        });
        let problem = if says == Says::Done { "just written, expected" } else { "injected fault" };
        assert!(told.has(problem, 0), "{:?}", told.0);

        // Those who only look at names and sizes cannot know; those who read do, and go around it.
        let object = torn();
        assert!(findings(&opened, false).is_empty());
        assert!(findings(&opened, true).contains(&object));
        assert_eq!(catch_up(), FollowEnd::CaughtUp);
        let (standby, restored) = (machine.path("standby.db"), machine.path("point.db"));
        assert!(rows(&standby) == rows(&machine.database()));
        let databases = points(&opened, &PointsRequest::default()).unwrap();
        let found = &databases[0].lineages[0].points;
        assert!(found.len() >= 4, "{found:?}");
        for point in found {
            match restore_to(&opened, PointChoice::Txid(point.txid), &restored) {
                Ok(()) => {}
                // Where it was brought up by what had come since as well, this one is lost.
                Err(lifeboat::Error::PointUnrestorable { source, .. }) => {
                    assert!(source.to_string().contains(&object), "{source}");
                }
                Err(error) => panic!("{says:?} {point:?}: {error:?}"),
            }
        }
        restore_to(&opened, PointChoice::Newest, &restored).unwrap();
        assert!(rows(&restored) == rows(&machine.database()));

        let last = backup(&context, &request, &Silent).unwrap();
        assert!(findings(&opened, false).is_empty());
        let named = last.databases().flat_map(|database| &database.objects);
        assert!(named.into_iter().all(|named| named.key != object), "vouched for {object}");
    }
}
