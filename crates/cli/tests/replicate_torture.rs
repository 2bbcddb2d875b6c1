//! G2: whatever an application does to its database, and whatever happens to the replication, what was
//! reported as stored is restored byte for byte, and every point is a state that was committed.
//!
//! Replicas of live databases went wrong for others in these ways; a step here, or a test that is
//! named, fails if one comes back:
//!
//! | what went wrong | caught by |
//! |---|---|
//! | a checkpoint between the copy of the WAL's end and its reset: commits are lost | checkpoint, `replicate_storm` |
//! | pages that a commit added are missing, which shows at the restore | insert, auto-vacuum; every point is restored |
//! | a checkpoint or a restart of the WAL while nobody replicates, new pages upon an old chain | killed, with writes |
//! | after a restore the numbers begin again, and nothing is stored until they have caught up | an older copy in its place |
//! | "nothing changed" concluded from the size of a WAL that is used again | checkpoint, and an insert of one page |
//! | every checkpoint is taken for a strange one: the whole database again each time | `replicate_storm`, if a lineage begins |
//! //! | pages behind the end of a database that shrank | vacuum, delete |
//! | a RESTART checkpoint waits for the replica while writers wait for it | an application that waits 20 s fails |
//! | the WAL grows without end beside a reader that stays | `sqlite::tracker_storm`; hand-overs in `replicate_storm` |
//! | a closed descriptor drops the locks of the process | `sqlite::no_harm` |
//! | local files are never removed | the spool is empty at the end |
//! | power is lost: the WAL is shorter than what was copied, and goes on differently | loses power |
//! | two databases under one path, one after the other: the `-wal` of one removed by the end of the other | exchanges |
//! | an upload that came through but was not answered is made twice | `lifeboat::replicate_faults` |
//! | half an upload has its name already | killed at any moment, everything is read at the end |
//! | a rewritten, older point: times that go back | points are in the order of the states |

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod torture;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Dice, Home, Replication, context, files_below, for_each_point};
use lifeboat::{
    Activity, CheckOptions, DatabaseStatus, RestoreRequest, Selection, Silent, check, plan_restore,
    restore, status, yield_databases,
};
use rusqlite::Connection;
use serde_json::Value;
use torture::Application;

const STEPS: usize = 60;
const REPOSITORIES: [&str; 2] = ["one", "two"];
/// How long a backup may be refused, while a replication starts or finds its repository again.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backup that was reported as made.
struct Made {
    repository: usize,
    id: String,
    image: Vec<u8>,
    what: String,
}

struct Torture {
    home: Home,
    dice: Dice,
    application: Application,
    replication: Option<Replication>,
    told: Vec<Value>,
    made: Vec<Made>,
    /// Which repository cannot be reached.
    away: Option<usize>,
}

impl Torture {
    fn begin(seed: u64) -> Self {
        let home = Home::new();
        home.write(
            "lifeboat.toml",
            "[repository.one]\nurl = \"one\"\n[repository.two]\nurl = \"two\"\n",
        );
        for repository in REPOSITORIES {
            home.ok(&["init", "-r", repository]);
        }
        let mut dice = Dice::new(seed);
        let application = Application::new(&home.path("app.db"), &mut dice);
        let replication = Some(Replication::start(&home));
        let (told, made, away) = (Vec::new(), Vec::new(), None);
        let torture = Self { home, dice, application, replication, told, made, away };
        torture.wait_until_it_follows();
        torture
    }

    /// Does something; what it was.
    fn step(&mut self) -> &'static str {
        let Self { application, dice, .. } = self;
        match dice.below(32) {
            0..7 => {
                let rows = 1 + dice.below(60);
                application.insert(rows);
                "insert"
            }
            7..10 => {
                application.update(dice);
                "update"
            }
            10..12 => {
                application.delete(dice);
                "delete"
            }
            12..15 => {
                application.vacuum(dice);
                "vacuum"
            }
            15 => {
                application.change_its_mind();
                "change its mind"
            }
            16 => {
                application.reshape(dice);
                "reshape"
            }
            17..20 => {
                application.checkpoint(dice);
                "checkpoint"
            }
            20..22 => {
                let crash = dice.chance(50);
                application.close(crash);
                "close"
            }
            22 => {
                self.let_go();
                self.application.change_journal(&mut self.dice);
                "change the journal"
            }
            23 => {
                self.let_go();
                self.application.change_page_size(&mut self.dice);
                "change the page size"
            }
            24..27 => self.exchange(),
            27 => {
                self.kill();
                self.application.lose_power(&mut self.dice);
                self.start();
                "lose power"
            }
            28..31 => {
                self.kill();
                for _ in 0..self.dice.below(4) {
                    self.step_of_the_application();
                }
                self.start();
                "killed"
            }
            _ => self.move_a_repository(),
        }
    }

    /// While nobody replicates.
    fn step_of_the_application(&mut self) {
        let Self { application, dice, .. } = self;
        match dice.below(5) {
            0 => application.insert(20),
            1 => application.update(dice),
            2 => application.vacuum(dice),
            3 => application.close(false),
            _ => application.checkpoint(dice),
        }
    }

    /// So that the application can change what no reader may see.
    fn let_go(&mut self) {
        let request = lifeboat::Request::of(vec!["app.db".to_owned()]);
        // Refused while it just starts: the application stays as it is then.
        let _ = yield_databases(&context(&self.home, "one"), &request, Duration::from_secs(1));
    }

    /// Another database takes the place, at one moment or step by step.
    fn exchange(&mut self) -> &'static str {
        let other = self.home.path("other.db");
        let what = match self.dice.below(3) {
            0 => "make anew",
            1 => {
                let sql = "CREATE TABLE t(a INTEGER PRIMARY KEY, b);
                           INSERT INTO t(b) VALUES (randomblob(9000)), (hex(randomblob(3000)))";
                let connection = Connection::open(&other).unwrap();
                connection.pragma_update(None, "journal_mode", "wal").unwrap();
                connection.execute_batch(sql).unwrap();
                "rename another over it"
            }
            _ => {
                let older = self.dice.below(self.made.len());
                std::fs::write(&other, &self.made[older].image).unwrap();
                "an older copy in its place"
            }
        };
        let other = other.exists().then_some(other);
        let (replication, application) =
            (self.replication.as_ref().unwrap(), &mut self.application);
        if self.dice.chance(50) {
            replication.while_it_stands(|| application.exchange(other.as_deref()));
        } else {
            application.history.tear();
            application.exchange(other.as_deref());
        }
        if other.is_none() {
            self.application.make(&mut self.dice);
        }
        what
    }

    /// A repository goes away, or comes back.
    fn move_a_repository(&mut self) -> &'static str {
        let (from, to) = ([".away", ""], ["", ".away"]);
        let (number, back) = match self.away.take() {
            Some(number) => (number, 0),
            None => (self.dice.below(2), 1),
        };
        let path = |suffix| self.home.path(&format!("{}{suffix}", REPOSITORIES[number]));
        std::fs::rename(path(to[1 - back]), path(from[1 - back])).unwrap();
        self.away = (back == 1).then_some(number);
        self.application.insert(3);
        "move a repository"
    }

    fn kill(&mut self) {
        // At any moment of what it does.
        self.application.insert(5);
        std::thread::sleep(Duration::from_millis(self.dice.below(40) as u64));
        self.told.extend(self.replication.take().unwrap().kill());
    }

    fn start(&mut self) {
        self.replication = Some(Replication::start(&self.home));
        self.wait_until_it_follows();
    }

    /// A backup that comes first keeps the state to itself.
    fn wait_until_it_follows(&self) {
        let context = context(&self.home, "one");
        let until = Instant::now() + PATIENCE;
        loop {
            let known = status(&context);
            let follows =
                |one: &DatabaseStatus| matches!(one.activity, Activity::Following | Activity::Idle);
            if known.as_ref().is_ok_and(|known| known.iter().any(follows)) {
                return;
            }
            assert!(Instant::now() < until, "it never follows: {known:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Backs up, as soon as that can be done; the replication makes the capture.
    fn back_up(&mut self, repository: usize, what: &str) {
        let arguments = ["backup", "app.db", "--json", "-r", REPOSITORIES[repository]];
        let until = Instant::now() + PATIENCE;
        let ran = loop {
            let ran = self.home.run(&arguments);
            if ran.code == Some(0) || Instant::now() > until {
                break ran;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        if ran.code != Some(0) {
            let told = self.replication.take().unwrap().kill();
            panic!("{what}: {}; {:#?}", ran.err, told.last_chunk::<20>());
        }
        let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
        let id = summary["backup_id"].as_str().unwrap().to_owned();
        let (image, what) = (self.application.image(), what.to_owned());
        self.made.push(Made { repository, id, image, what });
    }

    /// Everything comes back as it was.
    fn assert_kept(mut self) {
        let times =
            |told: &[Value]| told.iter().filter(|one| one["message_type"] == "captured").count();
        self.told.extend(self.replication.take().unwrap().stop());
        assert!(times(&self.told) > 10);
        let spool = files_below(&self.home.state());
        let spool: Vec<_> =
            spool.iter().filter(|path| path.extension().is_some_and(|end| end == "ltx")).collect();
        assert!(spool.is_empty(), "left in the spool: {spool:?}");
        for (number, repository) in REPOSITORIES.into_iter().enumerate() {
            let context = context(&self.home, repository);
            let opened = context.open_repository().unwrap();
            let report = check(&opened, CheckOptions::all(), &Silent).unwrap();
            assert!(report.is_clean(), "{repository}: {report:?}");
            for made in self.made.iter().filter(|made| made.repository == number) {
                let target = self.home.path("restored.db");
                let selection = Selection { backup: Some(made.id.clone()), ..Selection::default() };
                let request = RestoreRequest {
                    selection,
                    target: Some(target.clone()),
                    ..RestoreRequest::default()
                };
                let plan = plan_restore(&opened, &request, &Silent).unwrap();
                restore(&opened, plan, &Silent).unwrap();
                let restored = std::fs::read(&target).unwrap();
                let what = format!("{repository}, backup {} after {}", made.id, made.what);
                assert_same(&restored, &made.image, &what);
                std::fs::remove_file(&target).unwrap();
            }
            let mut protected: Vec<(String, Value)> = Vec::new();
            let mut state = 0;
            for_each_point(&opened, self.home.directory(), |point, path: &Path| {
                let found = self.application.history.find(state, &std::fs::read(path).unwrap());
                state = found.unwrap_or_else(|| panic!("{repository}: {point:?} never was"));
                protected.push((point.txid.to_string(), serde_json::to_value(point.time).unwrap()));
            });
            let told = self.told.iter().filter(|event| event["message_type"] == "protected");
            let location = self.home.path(repository);
            for event in told.filter(|event| event["repository"] == location.to_str().unwrap()) {
                let point = (event["txid"].as_str().unwrap().to_owned(), event["time"].clone());
                assert!(protected.contains(&point), "{repository}: {point:?} is gone");
            }
        }
    }
}

/// Fails with the numbers of the differing pieces of 512 bytes.
#[track_caller]
fn assert_same(actual: &[u8], expected: &[u8], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let pairs = actual.chunks(512).zip(expected.chunks(512)).enumerate();
    let differing: Vec<_> =
        pairs.filter(|(_, (one, other))| one != other).map(|(number, _)| number).collect();
    assert!(differing.is_empty(), "{what}: {differing:?} differ");
}

#[allow(clippy::print_stdout, reason = "tells what was done before a failure")]
fn torture(seed: u64) {
    let mut torture = Torture::begin(seed);
    torture.back_up(0, "the beginning");
    for number in 0..STEPS {
        let what = format!("step {number}: {}", torture.step());
        println!("{what}, {}", torture.application.state());
        let repository = torture.away.map_or_else(|| torture.dice.below(2), |away| 1 - away);
        torture.back_up(repository, &what);
    }
    if torture.away.is_some() {
        torture.move_a_repository();
    }
    for repository in [0, 1] {
        torture.back_up(repository, "the end");
    }
    torture.assert_kept();
}

#[test]
fn whatever_happens_to_a_replicated_database() {
    torture(1);
}
