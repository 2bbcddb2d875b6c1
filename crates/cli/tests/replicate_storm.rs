//! G2: while several processes write to a bank, and they, the replication and its repository are killed
//! and taken away at random, every point that was reported as stored is a whole bank.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{Dice, Home, Replication, Tool, content, context, for_each_point, require_tool};
use lifeboat::{CheckOptions, Silent, check};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const STORM: &str = include_str!("../../sqlite/tests/common/storm.py");
const BANK: &str = include_str!("../../sqlite/tests/common/bank.sql");
/// All that the accounts of `bank.sql` have.
const SUM: i64 = 300_000;
const WRITERS: usize = 3;
/// How long a storm lasts, if `LIFEBOAT_STORM_SECONDS` says nothing else; `LIFEBOAT_SOAK` multiplies it.
const SECONDS: f64 = 5.0;
/// At most so many points are checked by SQLite; the bank of each is counted.
const CHECKED: usize = 1_000;

struct Storm {
    home: Home,
    dice: Dice,
    checkpoints: &'static [&'static str],
    writers: Vec<Tool>,
    replication: Option<Replication>,
    told: Vec<Value>,
    away: bool,
    killed: u32,
}

impl Storm {
    fn begin(journal_mode: &str, checkpoints: &'static [&'static str]) -> Self {
        let home = Home::new();
        home.write(
            "lifeboat.toml",
            "[repository.one]\nurl = \"one\"\n[replicate]\nwal-limit = \"4MiB\"\n",
        );
        home.ok(&["init"]);
        let connection = Connection::open(home.path("app.db")).unwrap();
        let sql = format!("PRAGMA journal_mode = {journal_mode}");
        connection.query_row(&sql, [], |_| Ok(())).unwrap();
        connection.execute_batch(BANK).unwrap();
        let dice = Dice::new(1);
        let replication = Some(Replication::start(&home));
        let (writers, told, away, killed) = (Vec::new(), Vec::new(), false, 0);
        Self { home, dice, checkpoints, writers, replication, told, away, killed }
    }

    fn start_writers(&mut self) {
        while self.writers.len() < WRITERS {
            let database = self.home.path("app.db");
            let checkpoint = self.dice.choose(self.checkpoints);
            let seed = self.dice.below(1 << 30).to_string();
            let arguments = [database.to_str().unwrap(), checkpoint, &seed];
            let mut writer = Tool::python(STORM, &arguments);
            assert_eq!(writer.line(), "ready");
            self.writers.push(writer);
        }
    }

    fn kill_the_replication(&mut self) {
        self.told.extend(self.replication.take().unwrap().kill());
        self.killed += 1;
    }

    /// Something bad happens.
    fn strike(&mut self) {
        match self.dice.below(10) {
            0..4 => {
                let unlucky = self.dice.below(WRITERS);
                self.writers.swap_remove(unlucky);
            }
            4..7 => self.kill_the_replication(),
            // Nobody is left: whoever comes next finds the WAL or the journal of the dead.
            7 => {
                self.kill_the_replication();
                self.writers.clear();
            }
            _ => self.move_the_repository(),
        }
        std::thread::sleep(Duration::from_millis(self.dice.below(50) as u64));
        self.start_writers();
        if self.replication.is_none() {
            // Without any repository that it can reach, it does not begin.
            if self.away {
                self.move_the_repository();
            }
            self.replication = Some(Replication::start(&self.home));
        }
    }

    fn move_the_repository(&mut self) {
        let (here, there) = (self.home.path("one"), self.home.path("one.away"));
        let (from, to) = if self.away { (there, here) } else { (here, there) };
        std::fs::rename(from, to).unwrap();
        self.away = !self.away;
    }

    /// The writers end, and the replication brings everything into the repository.
    fn end(&mut self) {
        for writer in self.writers.drain(..) {
            assert!(writer.finish(), "a writer failed");
        }
        if self.away {
            self.move_the_repository();
        }
        // Whoever asks for a backup has a replication that waits after failures try at once.
        let until = Instant::now() + Duration::from_secs(60);
        while self.home.run(&["backup", "app.db"]).code != Some(0) {
            assert!(Instant::now() < until, "no backup any more");
            std::thread::sleep(Duration::from_millis(300));
        }
        self.told.extend(self.replication.take().unwrap().stop());
    }

    /// Every point is a whole bank, later ones are not older, and none that was told of is missing.
    #[allow(clippy::print_stdout, reason = "says how much a long storm has done")]
    fn assert_kept(&self) {
        let context = context(&self.home, "one");
        let opened = context.open_repository().unwrap();
        let report = check(&opened, CheckOptions::all(), &Silent).unwrap();
        assert!(report.is_clean(), "{report:?}");
        let mut points: Vec<(String, String)> = Vec::new();
        let (mut ticks, mut last) = (0, Vec::new());
        for_each_point(&opened, self.home.directory(), |point, path| {
            let time = serde_json::to_value(point.time).unwrap().to_string();
            points.push((point.txid.to_string(), time));
            let bank = Bank::read(path, points.len() <= CHECKED);
            assert_eq!((bank.answer.as_str(), bank.sum), ("ok", SUM), "{point:?}");
            assert!(bank.ticks >= ticks, "{point:?}: {ticks} ticks, then {}", bank.ticks);
            ticks = bank.ticks;
            last = std::fs::read(path).unwrap();
        });
        assert!(last == content(&self.home.path("app.db")), "the end is another database");
        let told = self.told.iter().filter(|event| event["message_type"] == "protected");
        let told: Vec<(String, String)> =
            told.map(|event| (text(&event["txid"]), event["time"].to_string())).collect();
        let found: HashSet<_> = points.iter().collect();
        let missing: Vec<_> = told.iter().filter(|point| !found.contains(point)).collect();
        assert!(missing.is_empty(), "{missing:?} are gone");
        let begins = |event: &&Value| event["message_type"] == "new_lineage";
        let lineages = self.told.iter().filter(begins).count();
        let done = format!(
            "{:?}: {ticks} commits, {} points of which {} were told, {} replications killed, \
             {} new lineages",
            self.checkpoints,
            points.len(),
            told.len(),
            self.killed,
            lineages,
        );
        println!("{done}");
        assert!(lineages == 0, "{done}");
        assert!(ticks > 10 && told.len() > 5, "{done}");
    }
}

struct Bank {
    answer: String,
    sum: i64,
    ticks: i64,
}

impl Bank {
    fn read(path: &Path, whole: bool) -> Self {
        let url = format!("file:{}?immutable=1", path.to_str().unwrap());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(url, flags).unwrap();
        let number = |sql| connection.query_row(sql, [], |row| row.get(0)).unwrap();
        let check = if whole { "PRAGMA integrity_check" } else { "SELECT 'ok'" };
        Self {
            answer: connection.query_row(check, [], |row| row.get(0)).unwrap(),
            sum: number("SELECT sum(balance) FROM accounts"),
            ticks: number("SELECT ticks FROM clock"),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn setting(name: &str) -> Option<f64> {
    std::env::var(name).ok()?.parse().ok()
}

fn storm(journal_mode: &str, checkpoints: &'static [&'static str]) {
    if !require_tool("python3") {
        return;
    }
    let mut storm = Storm::begin(journal_mode, checkpoints);
    storm.start_writers();
    let seconds = setting("LIFEBOAT_STORM_SECONDS").unwrap_or(SECONDS);
    let seconds = seconds * setting("LIFEBOAT_SOAK").unwrap_or(1.0);
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        std::thread::sleep(Duration::from_millis(100 + storm.dice.below(900) as u64));
        storm.strike();
    }
    storm.end();
    storm.assert_kept();
}

#[test]
fn banks_with_a_wal() {
    storm("wal", &["auto", "none", "passive", "full", "restart", "truncate", "mixed"]);
}

#[test]
fn banks_with_a_rollback_journal() {
    storm("delete", &["delete"]);
}
