//! G1, G2: a ledger whose sum never changes, kept by several writers, backed up and restored all the
//! while. Every restored file is a state that the ledger was in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Machine, assert_clean, back_up, restored, start};
use rusqlite::Connection;

const ACCOUNTS: i64 = 800;
/// What each account begins with.
const BALANCE: i64 = 1000;
/// Pairs of backup and restore for each database; `LIFEBOAT_SOAK` multiplies them.
const PAIRS: u32 = 100;
/// Longer than this no transaction may wait, in seconds.
const PATIENCE: f64 = 20.0;

struct Ledger {
    name: &'static str,
    journal_mode: &'static str,
}

const LEDGERS: [Ledger; 2] = [
    Ledger { name: "wal.db", journal_mode: "wal" },
    Ledger { name: "rollback.db", journal_mode: "delete" },
];

fn value<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> T {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn open(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    connection
}

fn create(path: &Path, journal_mode: &str) {
    let connection = open(path);
    let mode: String = value(&connection, &format!("PRAGMA journal_mode = {journal_mode}"));
    assert_eq!(mode, journal_mode);
    let sql = format!(
        "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER, owner TEXT);
         CREATE TABLE entries(id INTEGER PRIMARY KEY AUTOINCREMENT, giver, taker, amount);
         CREATE INDEX by_giver ON entries(giver, amount);
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {ACCOUNTS})
         INSERT INTO accounts SELECT i, {BALANCE}, hex(randomblob(150)) FROM n;"
    );
    connection.execute_batch(&sql).unwrap();
}

/// The number of the last entry.
fn last_entry(path: &Path) -> i64 {
    value(&open(path), "SELECT coalesce(max(id), 0) FROM entries")
}

/// Every account has what its entries say, and together they have what they began with; returns
/// the number of the last entry.
fn assert_balanced(bytes: &[u8], scratch: &Path, what: &str) -> i64 {
    let _ = std::fs::remove_dir_all(scratch);
    std::fs::create_dir(scratch).unwrap();
    let path = scratch.join("ledger.db");
    std::fs::write(&path, bytes).unwrap();
    let connection = open(&path);
    assert_eq!(value::<String>(&connection, "PRAGMA integrity_check"), "ok", "{what}");
    let sum: i64 = value(&connection, "SELECT sum(balance) FROM accounts");
    assert_eq!(sum, ACCOUNTS * BALANCE, "{what}");
    let wrong: i64 = value(
        &connection,
        &format!(
            "SELECT count(*) FROM (
                SELECT id, balance - {BALANCE} AS change FROM accounts
                UNION ALL SELECT giver, amount FROM entries
                UNION ALL SELECT taker, -amount FROM entries
             ) GROUP BY id HAVING sum(change) <> 0 UNION ALL SELECT 0 LIMIT 1"
        ),
    );
    assert_eq!(wrong, 0, "{what}");
    value(&connection, "SELECT coalesce(max(id), 0) FROM entries")
}

struct Writer {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Writer {
    fn start(database: &Path, seed: usize) -> Self {
        let mut command = Command::new("python3");
        command.arg("-c").arg(include_str!("writer.py")).arg(database).arg(seed.to_string());
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut writer = Self { child, output };
        assert_eq!(writer.line(), "ready");
        writer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Transactions, and the longest of them in seconds.
    fn finish(mut self) -> (u64, f64) {
        writeln!(self.child.stdin.take().unwrap(), "enough").unwrap();
        let line = self.line();
        assert!(self.child.wait().unwrap().success(), "{line}");
        let (transactions, longest) = line.split_once(' ').unwrap();
        (transactions.parse().unwrap(), longest.parse().unwrap())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_python() -> bool {
    let found = Command::new("python3")
        .args(["-c", "import sqlite3"])
        .status()
        .is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "python3 is missing");
    found
}

fn schema(path: &Path) -> String {
    value(&open(path), "SELECT group_concat(sql, ';') FROM sqlite_schema")
}

#[test]
fn storm_of_transfers() {
    if !has_python() {
        println!("skipped: python3 is not installed");
        return;
    }
    let machine = Machine::new();
    let soak =
        std::env::var("LIFEBOAT_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    let mut schemas = Vec::new();
    let mut writers = Vec::new();
    for (number, ledger) in LEDGERS.iter().enumerate() {
        let path = machine.path(ledger.name);
        create(&path, ledger.journal_mode);
        schemas.push(schema(&path));
        writers.extend([0, 1].map(|one| Writer::start(&path, 2 * number + one)));
    }
    let context = machine.context();
    context.init(&lifeboat::Silent).unwrap();
    let opened = context.open_repository().unwrap();
    let mut last = [0; LEDGERS.len()];
    for pair in 0..PAIRS * soak {
        for (number, ledger) in LEDGERS.iter().enumerate() {
            let path = machine.path(ledger.name);
            let what = format!("{} in pair {pair}", ledger.name);
            let before = last_entry(&path);
            let report = back_up(&context, ledger.name).unwrap();
            let after = last_entry(&path);
            let id = report.manifest.id.to_string();
            let bytes = restored(&opened, &id, &machine.path("restored.db"));
            let found = assert_balanced(&bytes, &machine.path("scratch"), &what);
            assert!((before..=after).contains(&found), "{what}: {before} <= {found} <= {after}");
            assert!(found >= last[number], "{what}");
            last[number] = found;
            let database = report.databases().next().unwrap();
            assert_eq!(database.changed_from.is_none(), pair == 0, "{what}");
        }
    }
    for writer in writers {
        let (transactions, longest) = writer.finish();
        println!("{transactions} transactions, the longest took {longest:.3} s");
        assert!(transactions > u64::from(PAIRS), "{transactions}");
        assert!(longest < PATIENCE, "a transaction took {longest} s");
    }
    for (number, ledger) in LEDGERS.iter().enumerate() {
        let path = machine.path(ledger.name);
        assert_eq!(schema(&path), schemas[number]);
        let mode: String = value(&open(&path), "PRAGMA journal_mode");
        assert_eq!(mode, ledger.journal_mode);
        let last_backup = back_up(&context, ledger.name).unwrap().manifest.id.to_string();
        let bytes = restored(&opened, &last_backup, &machine.path("restored.db"));
        assert!(bytes == std::fs::read(&path).unwrap(), "{}: the last backup differs", ledger.name);
    }
    assert_clean(&opened, "at the end");
}
