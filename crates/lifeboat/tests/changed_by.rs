//! How a backup finds out what changed, and that its points are right whichever way it took.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;

use common::{Machine, Notes, assert_clean, back_up_with, content, database, restored};
use lifeboat::{ChangedBy, Context, DatabaseSource};
use rusqlite::Connection;

/// A machine whose application has its database open.
struct Running {
    machine: Machine,
    application: Connection,
    /// Repository, backup, content.
    backups: Vec<(&'static str, String, Vec<u8>)>,
}

impl Running {
    fn new(journal_mode: &str) -> Self {
        let machine = Machine::new();
        machine.create(journal_mode, 40);
        let application = machine.open();
        let running = Self { machine, application, backups: Vec::new() };
        for repository in ["one", "two"] {
            running.context(repository).init(&lifeboat::Silent).unwrap();
        }
        running.execute("PRAGMA wal_autocheckpoint=0");
        running
    }

    fn context(&self, repository: &str) -> Context {
        self.machine.context_of(repository)
    }

    fn execute(&self, sql: &str) {
        let mut statement = self.application.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while rows.next().unwrap().is_some() {}
    }

    fn change(&self) {
        self.execute(
            "UPDATE t SET b = randomblob(2900) WHERE a = (SELECT a FROM t ORDER BY random() LIMIT 1)",
        );
    }

    /// How it found out, why if it says so, and what it wrote.
    fn back_up_to(
        &mut self,
        repository: &'static str,
        rescan: bool,
    ) -> (ChangedBy, String, DatabaseSource) {
        let notes = Notes::default();
        let context = self.context(repository);
        let report = back_up_with(&context, "app.db", rescan, &notes).unwrap();
        let id = report.manifest.id.to_string();
        self.backups.push((repository, id, content(&self.machine.database())));
        let database = database(&report);
        let rows: i64 =
            self.application.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(database.tables["t"], u64::try_from(rows).ok());
        (report.changed_by["app"], notes.text(), database)
    }

    fn back_up(&mut self) -> ChangedBy {
        self.back_up_to("one", false).0
    }

    fn state_file(&self) -> PathBuf {
        self.machine.path(".local/state/lifeboat/databases/app/state.json")
    }

    fn edit_state(&self, edit: impl FnOnce(&mut serde_json::Value)) {
        let text = std::fs::read(self.state_file()).unwrap();
        let mut state = serde_json::from_slice(&text).unwrap();
        edit(&mut state);
        std::fs::write(self.state_file(), serde_json::to_vec(&state).unwrap()).unwrap();
    }

    /// Every backup restores to what the database was.
    #[track_caller]
    fn assert_all_restore(&self) {
        for repository in ["one", "two"] {
            let context = self.context(repository);
            let opened = context.open_repository().unwrap();
            assert_clean(&opened, repository);
            for (of, id, bytes) in &self.backups {
                if *of == repository {
                    let found = restored(&opened, id, &self.machine.path("restored.db"));
                    assert!(found == *bytes, "backup {id} in {repository}");
                }
            }
        }
    }
}

#[test]
fn a_wal_is_followed_and_nothing_is_read_where_nothing_changed() {
    let mut running = Running::new("wal");
    assert_eq!(running.back_up(), ChangedBy::Whole);
    // However long that took.
    running.edit_state(settle(false));
    running.change();
    // No frame was in the WAL before.
    assert_eq!(running.back_up(), ChangedBy::Scan);
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    for sql in [
        "INSERT INTO t(b) VALUES (randomblob(50000))",
        "CREATE TABLE u AS SELECT * FROM t",
        "DROP TABLE u",
        "DELETE FROM t WHERE a % 3 = 0",
        "VACUUM",
    ] {
        running.execute(sql);
        assert_eq!(running.back_up(), ChangedBy::Wal, "{sql}");
        let (by, _, database) = running.back_up_to("one", false);
        assert_eq!(
            (by, database.changed_pages, database.stored_bytes),
            (ChangedBy::Unchanged, 0, 0)
        );
    }
    running.execute("PRAGMA wal_checkpoint(PASSIVE)");
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    running.edit_state(settle(false));
    running.change();
    assert_eq!(running.back_up(), ChangedBy::Scan);
    running.change();
    assert_eq!(running.back_up(), ChangedBy::Wal);
    let (by, notes, _) = running.back_up_to("one", true);
    assert!(by == ChangedBy::Scan && notes.contains("asked for"), "{notes}");
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    running.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(running.back_up(), ChangedBy::Scan);
    running.edit_state(settle(true));
    assert_eq!(running.back_up(), ChangedBy::Unchanged, "the WAL is empty");
    running.edit_state(settle(true));
    running.change();
    assert_eq!(running.back_up(), ChangedBy::Wal);
    running.assert_all_restore();
}

/// Says of the last capture whether the times of the file were old enough.
fn settle(settled: bool) -> impl FnOnce(&mut serde_json::Value) {
    move |state| state["captured"]["seen"]["moment"]["settled"] = settled.into()
}

#[test]
fn a_rollback_journal_database_is_not_read_where_nothing_changed() {
    let mut running = Running::new("delete");
    running.back_up();
    running.edit_state(settle(false));
    let (by, notes, _) = running.back_up_to("one", false);
    assert!(by == ChangedBy::Scan && notes.contains("had just been written"), "{notes}");
    running.edit_state(settle(true));
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    running.edit_state(settle(true));
    running.change();
    assert_eq!(running.back_up(), ChangedBy::Scan);
    running.edit_state(settle(true));
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    running.assert_all_restore();
}

/// One repository brings another up to what was captured for it, whichever way that was found.
#[test]
fn two_repositories_follow_one_wal() {
    let mut running = Running::new("wal");
    running.change();
    for repository in ["one", "two"] {
        assert_eq!(running.back_up_to(repository, false).0, ChangedBy::Whole);
    }
    for round in 0..4 {
        running.change();
        assert_eq!(running.back_up_to("one", false).0, ChangedBy::Wal);
        running.change();
        if round % 2 == 0 {
            assert_eq!(running.back_up_to("two", false).0, ChangedBy::Wal);
        }
        running.back_up_to("one", false);
        // What a capture that failed has left must not be taken for a change.
        let left = running.state_file().with_file_name("changes");
        std::fs::write(left, "of a capture that was killed").unwrap();
        let (by, _, database) = running.back_up_to("two", false);
        assert_eq!(by, ChangedBy::Unchanged);
        assert_eq!(database.changed_pages > 0, round % 2 == 1, "{round}");
    }
    running.assert_all_restore();
}

#[test]
fn everything_is_read_once_a_week_and_after_an_older_version() {
    let mut running = Running::new("wal");
    running.change();
    running.back_up();
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    running.edit_state(|state| {
        state["captured"]["seen"]["scanned"] = "2020-01-01T00:00:00.000Z".into();
    });
    let (by, notes, _) = running.back_up_to("one", false);
    assert!(by == ChangedBy::Scan && notes.contains("a week ago"), "{notes}");
    assert_eq!(running.back_up(), ChangedBy::Unchanged);
    running.edit_state(|state| {
        state["captured"].as_object_mut().unwrap().remove("seen");
        state.as_object_mut().unwrap().remove("given");
    });
    assert_eq!(running.back_up(), ChangedBy::Scan);
    running.change();
    assert_eq!(running.back_up(), ChangedBy::Wal);
    running.assert_all_restore();
}

/// A backup that follows the WAL believes the page array no more than a scan does.
#[test]
fn a_damaged_page_array_is_noticed_by_every_backup_that_uses_it() {
    let mut running = Running::new("wal");
    running.change();
    running.back_up();
    let pages = running.state_file().with_file_name("pages");
    let mut bytes = std::fs::read(&pages).unwrap();
    bytes[256 + 32 * 30 + 20] ^= 1;
    std::fs::write(&pages, bytes).unwrap();
    assert_eq!(running.back_up(), ChangedBy::Unchanged, "it is not used");
    running.change();
    let (_, notes, database) = running.back_up_to("one", false);
    assert!(notes.contains("StateRebuilt") && notes.contains("adds up to"), "{notes}");
    assert!(database.changed_from.is_some());
    running.change();
    assert_eq!(running.back_up(), ChangedBy::Wal);
    running.assert_all_restore();
}
