//! G2, G3: whatever operation of the storage a backup dies or fails at, the backups before it are
//! whole, and the next one is made as if nothing had been.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{Machine, assert_clean, backup_app, context, restored, start};
use lifeboat::Context;
use lifeboat_storage::Storage;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};

/// More operations than any backup of these tests has.
const TOO_MANY: usize = 200;

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static FAULTY: RefCell<Option<Faulty<Arc<dyn Storage>>>> = const { RefCell::new(None) };
}

/// A storage that is faulty as this thread says.
fn faulty(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    let storage = Faulty::new(storage, FAULT.get());
    FAULTY.replace(Some(storage.clone()));
    Arc::new(storage)
}

/// The operations of the last faulty storage.
fn operations() -> Vec<Operation> {
    FAULTY.with_borrow(|faulty| faulty.as_ref().map(Faulty::operations).unwrap_or_default())
}

/// A machine at a certain moment, and the backups it has made: repository, id, database.
struct Moment {
    machine: Machine,
    repository: Option<&'static str>,
    backups: Vec<(Option<&'static str>, String, Vec<u8>)>,
}

impl Moment {
    fn context(&self) -> Context {
        context(self.machine.directory.path(), self.repository)
    }

    fn back_up(&mut self) {
        let report = backup_app(&self.context()).unwrap();
        let id = report.manifest.id.to_string();
        self.backups.push((self.repository, id, self.machine.bytes()));
    }

    fn copy(&self) -> Self {
        let machine = self.machine.copy();
        // The copies lie elsewhere: the state knows the database by its path.
        let state = machine.path(".local/state/lifeboat/databases/app/state.json");
        if let Ok(text) = std::fs::read_to_string(&state) {
            let path = |machine: &Machine| machine.database().to_str().unwrap().to_owned();
            std::fs::write(&state, text.replace(&path(&self.machine), &path(&machine))).unwrap();
        }
        Self { machine, repository: self.repository, backups: self.backups.clone() }
    }

    /// Every backup is there as it was made, and nothing is damaged.
    fn assert_whole(&self, what: &str) {
        let mut repositories: Vec<_> =
            self.backups.iter().map(|(repository, ..)| *repository).collect();
        repositories.sort_unstable();
        repositories.dedup();
        for repository in repositories {
            let context = context(self.machine.directory.path(), repository);
            let opened = context.open_repository().unwrap();
            assert_clean(&opened, what);
            let of_this = self.backups.iter().filter(|(of, ..)| *of == repository);
            for (_, id, bytes) in of_this {
                let restored = restored(&opened, id, &self.machine.path("restored.db"));
                assert!(restored == *bytes, "{what}: backup {id} restores another database");
            }
        }
    }

    /// After something went wrong: the next backups are made, of the unchanged database and of a
    /// changed one, and everything restores.
    fn assert_goes_on(&mut self, what: &str) {
        self.back_up();
        self.machine.change(7);
        self.back_up();
        self.assert_whole(what);
    }
}

fn before_the_first_backup() -> Moment {
    let machine = Machine::new();
    machine.create("wal", 20);
    machine.context().init(&lifeboat::Silent).unwrap();
    Moment { machine, repository: None, backups: Vec::new() }
}

fn before_the_repository() -> Moment {
    let machine = Machine::new();
    machine.create("wal", 20);
    Moment { machine, repository: None, backups: Vec::new() }
}

/// Two backups were made, and the database has changed since.
fn before_a_later_backup(journal_mode: &str) -> Moment {
    let machine = Machine::new();
    machine.create(journal_mode, 20);
    let mut moment = Moment { machine, repository: None, backups: Vec::new() };
    moment.back_up();
    moment.machine.change(3);
    moment.back_up();
    moment.machine.change(4);
    moment
}

/// Two repositories have backups of one database, and the one in use is behind the other.
fn before_a_backup_to_one_of_two() -> Moment {
    let machine = Machine::new();
    machine.create("wal", 20);
    for repository in ["one", "two"] {
        machine.context_of(repository).init(&lifeboat::Silent).unwrap();
    }
    let mut moment = Moment { machine, repository: Some("one"), backups: Vec::new() };
    for (row, repository) in [(3, "one"), (4, "two"), (5, "one"), (6, "two")] {
        moment.repository = Some(repository);
        moment.machine.change(row);
        moment.back_up();
    }
    moment.machine.change(7);
    moment.repository = Some("one");
    moment
}

/// The same in a repository for Litestream, whose names have no times.
fn before_a_later_backup_for_litestream() -> Moment {
    let machine = Machine::new();
    machine.create("wal", 20);
    machine.context().init_litestream(&lifeboat::Silent).unwrap();
    let mut moment = Moment { machine, repository: None, backups: Vec::new() };
    for row in [3, 4] {
        moment.back_up();
        moment.machine.change(row);
    }
    moment
}

/// In a child process: one backup that aborts where the environment says.
#[test]
fn child() {
    let Some(home) = std::env::var_os("LIFEBOAT_TEST_HOME") else { return };
    let number = |name| std::env::var(name).ok()?.parse::<usize>().ok();
    let at = number("LIFEBOAT_TEST_ABORT_AT").unwrap();
    let repository = std::env::var("LIFEBOAT_TEST_REPOSITORY").ok();
    FAULT.set(Some(Fault { at, kind: FaultKind::Abort }));
    let context = context(Path::new(&home), repository.as_deref()).with_storage_between(faulty);
    backup_app(&context).unwrap();
}

/// Whether a backup in a process of its own lived through to its end.
fn survives(moment: &Moment, at: usize) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--test-threads", "1"])
        .env("LIFEBOAT_TEST_HOME", moment.machine.directory.path())
        .env("LIFEBOAT_TEST_ABORT_AT", at.to_string());
    if let Some(repository) = moment.repository {
        command.env("LIFEBOAT_TEST_REPOSITORY", repository);
    }
    let output = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = output.wait_with_output().unwrap();
    let aborted = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(6);
    assert!(aborted || output.status.success(), "operation {at}: {output:?}");
    !aborted
}

/// Aborts at every operation in turn; `after` tells what holds then. How many there were.
fn abort_everywhere(moment: &Moment, mut after: impl FnMut(Moment, &str)) -> usize {
    for at in 0..TOO_MANY {
        let crashed = moment.copy();
        if survives(&crashed, at) {
            return at;
        }
        after(crashed, &format!("aborted at operation {at}"));
    }
    panic!("more than {TOO_MANY} operations");
}

#[test]
fn aborted_before_there_was_anything() {
    let operations = abort_everywhere(&before_the_repository(), |mut moment, what| {
        moment.back_up();
        moment.assert_whole(what);
    });
    assert!(operations > 20, "{operations}");
}

#[test]
fn aborted_in_the_first_backup() {
    let operations = abort_everywhere(&before_the_first_backup(), |mut moment, what| {
        moment.assert_goes_on(what);
    });
    assert!(operations > 10, "{operations}");
}

#[test]
fn aborted_in_a_later_backup() {
    for journal_mode in ["wal", "delete"] {
        let moment = before_a_later_backup(journal_mode);
        let operations = abort_everywhere(&moment, |mut moment, what| {
            moment.assert_goes_on(what);
        });
        assert!(operations > 5, "{operations}");
    }
}

#[test]
fn aborted_in_a_backup_to_one_of_two_repositories() {
    let operations = abort_everywhere(&before_a_backup_to_one_of_two(), |mut moment, what| {
        moment.repository = Some("two");
        moment.back_up();
        moment.repository = Some("one");
        moment.back_up();
        moment.machine.change(7);
        moment.back_up();
        moment.repository = Some("two");
        moment.assert_goes_on(what);
    });
    assert!(operations > 5, "{operations}");
}

#[test]
fn aborted_in_a_later_backup_for_litestream() {
    let moment = before_a_later_backup_for_litestream();
    let operations = abort_everywhere(&moment, |mut moment, what| moment.assert_goes_on(what));
    assert!(operations > 5, "{operations}");
}

/// Fails at every operation in turn instead.
fn fail_everywhere(moment: &Moment, kind: FaultKind) {
    for at in 0..TOO_MANY {
        let mut failed = moment.copy();
        FAULT.set(Some(Fault { at, kind }));
        let context = failed.context().with_storage_between(faulty);
        let result = backup_app(&context);
        drop(context);
        let operations = operations();
        let what = format!("{kind:?} at operation {at}, {:?}", operations.get(at));
        match result {
            Ok(report) => {
                let id = report.manifest.id.to_string();
                failed.backups.push((failed.repository, id, failed.machine.bytes()));
            }
            Err(error) => {
                let text = format!("{:?}", error_chain(&error));
                assert!(operations.len() > at, "{what}: {text}");
            }
        }
        failed.assert_goes_on(&what);
        if operations.len() <= at {
            assert!(at > 5, "{what}");
            return;
        }
    }
    panic!("more than {TOO_MANY} operations");
}

fn error_chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn failed_once() {
    fail_everywhere(&before_a_later_backup("wal"), FaultKind::Once);
}

#[test]
fn failed_from_then_on() {
    fail_everywhere(&before_a_later_backup("delete"), FaultKind::FromThenOn);
}

#[test]
fn failed_half_done() {
    fail_everywhere(&before_a_later_backup("wal"), FaultKind::Tear);
}

#[test]
fn failed_in_the_first_backup() {
    fail_everywhere(&before_the_first_backup(), FaultKind::Tear);
}

/// Also where the file came through and only the answer was lost.
#[test]
fn failed_half_done_for_litestream() {
    fail_everywhere(&before_a_later_backup_for_litestream(), FaultKind::Tear);
}
