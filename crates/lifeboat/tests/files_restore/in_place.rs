//! Files where they came from, with the databases among them.

use std::fs;

use lifeboat::{
    FilesRestoreRequest, Overwrite, PlacedAction, Replaced, Silent, plan_files_restore,
};
use rusqlite::Connection;

use crate::look::{assert_same, look_without};
use crate::machine::{Files, stored, usual};

/// Files with a database in WAL mode that its application has open.
fn live() -> (Files, Connection) {
    let files = Files::new();
    files.write("etc/app.conf", "port = 1");
    fs::create_dir(files.root().join("data")).unwrap();
    let connection = Connection::open(files.root().join("data/live.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; \
             CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)",
        )
        .unwrap();
    let report = files.back_up();
    assert_eq!(report.manifest.sources.len(), 2);
    (files, connection)
}

fn rows(files: &Files) -> i64 {
    let database = files.root().join("data/live.db");
    Connection::open(database)
        .unwrap()
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn files_and_their_databases_come_back_and_what_was_there_is_kept() {
    let (files, connection) = live();
    let before = look_without(&files.root(), &["data/live.db"]);
    connection.execute_batch("INSERT INTO t VALUES (3)").unwrap();
    drop(connection);
    fs::write(files.root().join("etc/app.conf"), "port = 2").unwrap();
    fs::remove_dir_all(files.root().join("etc")).unwrap();
    files.write("etc/app.conf", "port = 2");
    files.write("etc/new.conf", "new");

    let report = files.restore(&FilesRestoreRequest { delete: true, ..usual() });
    assert_eq!(report.problem_count, 0, "{report:?}");
    assert_eq!(report.directory, files.base(), "not the root of the file system");
    assert_eq!((report.put.replaced, report.put.removed), (1, 1));
    let safe = report.put.moved_to[0].join("files/etc");
    assert_eq!(report.put.moved_to[0].parent(), Some(files.base().as_path()));
    assert_eq!(fs::read(safe.join("app.conf")).unwrap(), b"port = 2");
    assert_eq!(fs::read(safe.join("new.conf")).unwrap(), b"new");
    assert_same(&look_without(&files.root(), &["data/live.db"]), &before, "in place");
    assert_eq!(rows(&files), 2);
    let [database] = report.databases.as_slice() else { panic!("{report:?}") };
    let Replaced::Former(former) = &database.replaced else { panic!("{database:?}") };
    let former = Connection::open(&former.database).unwrap();
    let kept: i64 = former.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 3);
}

#[test]
fn a_database_in_use_is_a_problem_and_the_files_are_restored() {
    let (files, connection) = live();
    fs::write(files.root().join("etc/app.conf"), "port = 2").unwrap();
    let _reader: i64 =
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (4)").unwrap();
    let report = files.restore(&usual());
    assert_eq!((report.problem_count, report.databases.len()), (1, 0), "{report:?}");
    assert_eq!(report.problems[0].path, files.root().join("data/live.db"));
    assert_eq!(fs::read(files.root().join("etc/app.conf")).unwrap(), b"port = 1");
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(rows(&files), 3);
}

#[test]
fn the_rule_for_files_holds_for_databases() {
    let (files, connection) = live();
    drop(connection);
    let planned = |overwrite| {
        let context = files.context();
        let opened = context.open_repository().unwrap();
        let request = FilesRestoreRequest { overwrite, ..usual() };
        let plan = plan_files_restore(&opened, stored(&opened, None), &request, &Silent).unwrap();
        plan.databases[0].action
    };
    assert_eq!(planned(Overwrite::Always), PlacedAction::Replace);
    assert_eq!(planned(Overwrite::IfChanged), PlacedAction::Replace);
    assert_eq!(planned(Overwrite::Never), PlacedAction::Skip);
    crate::random::set_time(&files.root().join("data/live.db"), 1000);
    assert_eq!(planned(Overwrite::IfNewer), PlacedAction::Replace);
    crate::random::set_time(&files.root().join("data/live.db"), 5_000_000_000);
    assert_eq!(planned(Overwrite::IfNewer), PlacedAction::Skip);
    let bytes = fs::read(files.root().join("data/live.db")).unwrap();
    let report = files.restore(&FilesRestoreRequest { overwrite: Overwrite::Never, ..usual() });
    assert_eq!((report.databases.len(), report.problem_count), (0, 0));
    assert!(fs::read(files.root().join("data/live.db")).unwrap() == bytes);
    fs::remove_file(files.root().join("data/live.db")).unwrap();
    assert_eq!(planned(Overwrite::Never), PlacedAction::Create);
}

#[test]
fn the_databases_go_with_the_files_to_another_place() {
    let (files, connection) = live();
    let report = files.restore_to("out");
    assert_eq!((report.problem_count, report.databases.len()), (0, 1), "{report:?}");
    let copy = files.restored_root("out").join("data/live.db");
    let rows: i64 = Connection::open(&copy)
        .unwrap()
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
    drop(connection);

    // Only what was chosen of them.
    let include = vec!["*.conf".to_owned()];
    let target = Some(files.base().join("chosen"));
    let report = files.restore(&FilesRestoreRequest { include, target, ..usual() });
    assert_eq!((report.databases.len(), report.put.files), (0, 1));

    // Not through a link.
    let root = files.restored_root("linked");
    fs::create_dir_all(&root).unwrap();
    std::os::unix::fs::symlink(files.root().join("data"), root.join("data")).unwrap();
    let target = Some(files.base().join("linked"));
    let request = FilesRestoreRequest { target, overwrite: Overwrite::Never, ..usual() };
    let report = files.restore(&request);
    let of_database = |problem: &&lifeboat::RestoreProblem| problem.path.ends_with("live.db");
    assert!(report.databases.is_empty(), "{report:?}");
    assert!(report.problem_count > 0 || report.problems.iter().find(of_database).is_none());
}

#[test]
fn what_belongs_to_lifeboat_is_never_taken_away() {
    let files = Files::new();
    files.write("a", "a");
    let repository = files.root().join("backups");
    let context = files.machine.context_of(repository.to_str().unwrap());
    context.init(&Silent).unwrap();
    let report = crate::common::back_up(&context, files.root().to_str().unwrap()).unwrap();
    assert!(!report.is_partial(), "{report:?}");
    files.write("extra", "extra");
    let opened = context.open_repository().unwrap();
    let request = FilesRestoreRequest { delete: true, ..usual() };
    let plan = plan_files_restore(&opened, stored(&opened, None), &request, &Silent).unwrap();
    let report = lifeboat::restore_files(&opened, &plan, &Silent).unwrap();
    assert_eq!((report.put.removed, report.problem_count), (1, 0), "{report:?}");
    assert!(repository.join("lifeboat.json").exists());
    crate::common::assert_clean(&opened, "after the restore");
}
