//! Putting a staged database in place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use common::{Place, Tool, require_tool, run, value};
use lifeboat_sqlite::{Error, Replaced, place, replace, resolve_target, sidecars};
use rusqlite::Connection;

/// A database with `rows` rows at a path.
fn make(path: &Path, rows: u32) {
    let connection = Connection::open(path).unwrap();
    run(&connection, "CREATE TABLE t(x)");
    run(&connection, &format!("INSERT INTO t SELECT 1 FROM pragma_function_list LIMIT {rows}"));
}

fn rows(path: &Path) -> i64 {
    value(&Connection::open(path).unwrap(), "SELECT count(*) FROM t")
}

struct Setup {
    place: Place,
    staged: PathBuf,
    aside: PathBuf,
}

impl Setup {
    fn new() -> Self {
        let place = Place::new();
        let (staged, aside) = (place.path("staged"), place.path("former"));
        make(&staged, 7);
        Self { place, staged, aside }
    }

    fn replace(&self) -> lifeboat_sqlite::Result<Replaced> {
        replace(&self.staged, &self.place.database, &self.aside)
    }

    /// Nothing happened: everything is where it was.
    #[track_caller]
    fn untouched(&self, names: &[String]) {
        assert_eq!(self.place.names(), names);
        assert_eq!(rows(&self.staged), 7);
    }
}

/// A database whose writer was killed, so that its last rows stand in the WAL alone.
fn killed_writer(path: &Path) {
    let mut writer = Tool::application(path);
    writer.run("PRAGMA journal_mode=wal; CREATE TABLE t(x); PRAGMA wal_checkpoint; INSERT INTO t VALUES (1), (2), (3)");
    writer.kill();
}

#[test]
fn the_former_database_stands_aside_with_its_wal() {
    if !require_tool("python3") {
        return;
    }
    let setup = Setup::new();
    killed_writer(&setup.place.database);
    std::fs::write(setup.place.sidecar("-journal"), "").unwrap();
    let Replaced::Former(aside) = setup.replace().unwrap() else { panic!("nothing was there") };
    assert_eq!(aside.database, setup.aside);
    let moved: Vec<_> = aside.moved.iter().map(|(_, to)| to.file_name().unwrap()).collect();
    assert_eq!(moved, ["former-wal", "former-journal", "former-shm", "former"]);
    let names = ["app.db", "former", "former-journal", "former-shm", "former-wal"];
    assert_eq!(setup.place.names(), names);
    assert_eq!(rows(&setup.place.database), 7);
    assert_eq!(rows(&setup.aside), 3);
}

#[test]
fn a_free_target_is_placed() {
    let setup = Setup::new();
    assert_eq!(setup.replace().unwrap(), Replaced::Nothing);
    assert_eq!(setup.place.names(), ["app.db"]);
    make(&setup.staged, 7);
    place(&setup.staged, &setup.place.path("other.db")).unwrap();
    assert_eq!(setup.place.names(), ["app.db", "other.db"]);
}

#[test]
fn placing_refuses_a_target_or_a_companion_of_it() {
    let setup = Setup::new();
    for suffix in ["", "-wal", "-journal", "-shm"] {
        let left = setup.place.sidecar(suffix);
        std::fs::write(&left, "").unwrap();
        assert_eq!(sidecars(&setup.place.database).len(), usize::from(!suffix.is_empty()));
        let error = place(&setup.staged, &setup.place.database).unwrap_err();
        let Error::TargetExists { path } = &error else { panic!("{error:?}") };
        assert_eq!(*path, left);
        std::fs::remove_file(left).unwrap();
    }
    symlink("nowhere", &setup.place.database).unwrap();
    assert!(matches!(place(&setup.staged, &setup.place.database), Err(Error::TargetExists { .. })));
    setup.untouched(&["app.db".into(), "staged".into()]);
}

#[test]
fn a_stale_wal_without_its_database_is_moved_aside() {
    let setup = Setup::new();
    std::fs::write(setup.place.sidecar("-wal"), "stale").unwrap();
    let Replaced::Former(aside) = setup.replace().unwrap() else { panic!("nothing was there") };
    assert_eq!(aside.moved, [(setup.place.sidecar("-wal"), setup.place.path("former-wal"))]);
    assert_eq!(setup.place.names(), ["app.db", "former-wal"]);
    assert_eq!(rows(&setup.place.database), 7);
}

#[test]
fn a_database_that_another_process_has_open_is_refused() {
    if !require_tool("python3") {
        return;
    }
    for mode in ["wal", "delete"] {
        let setup = Setup::new();
        let mut application = Tool::application(&setup.place.database);
        application.run(&format!("PRAGMA journal_mode={mode}; CREATE TABLE t(x)"));
        let names = setup.place.names();
        let error = setup.replace().unwrap_err();
        let Error::TargetInUse { users: Some(users), .. } = &error else { panic!("{error:?}") };
        assert!(users.contains(&format!("(pid {})", application.id())), "{users}");
        assert!(error.to_string().contains("in use by python3"), "{error}");
        setup.untouched(&names);
        application.run("INSERT INTO t VALUES (1)");
        application.kill();
        setup.replace().unwrap();
        assert_eq!(rows(&setup.place.database), 7);
        assert_eq!(rows(&setup.aside), 1);
    }
}

#[test]
fn a_database_that_this_process_reads_is_refused() {
    let setup = Setup::new();
    make(&setup.place.database, 2);
    let reader = setup.place.open();
    run(&reader, "BEGIN; SELECT * FROM t");
    let names = setup.place.names();
    let error = setup.replace().unwrap_err();
    assert!(matches!(error, Error::TargetInUse { users: None, .. }), "{error:?}");
    setup.untouched(&names);
}

#[test]
fn a_taken_name_aside_is_refused_before_anything_is_moved() {
    for taken in ["former", "former-wal", "former-journal", "former-shm"] {
        let setup = Setup::new();
        make(&setup.place.database, 2);
        std::fs::write(setup.place.sidecar("-wal"), "").unwrap();
        std::fs::write(setup.place.path(taken), "").unwrap();
        let names = setup.place.names();
        let error = setup.replace().unwrap_err();
        assert!(matches!(error, Error::TargetExists { .. }), "{error:?}");
        setup.untouched(&names);
        assert_eq!(setup.place.path(taken).metadata().unwrap().len(), 0);
    }
}

#[test]
fn a_step_that_fails_undoes_those_before_it() {
    let setup = Setup::new();
    make(&setup.place.database, 2);
    std::fs::write(setup.place.sidecar("-journal"), "").unwrap();
    let names = setup.place.names();
    // The former database and its companions can be moved, but nothing can take their place.
    let missing = setup.place.path("missing");
    let error = replace(&missing, &setup.place.database, &setup.aside).unwrap_err();
    assert!(matches!(error, Error::File { operation: "replace", .. }), "{error:?}");
    setup.untouched(&names);
    let error = replace(&setup.staged, &setup.place.database, &setup.place.path("no/where"));
    assert!(matches!(error, Err(Error::File { .. })), "{error:?}");
    setup.untouched(&names);
    assert_eq!(rows(&setup.place.database), 2);
}

#[test]
fn a_link_goes_on_leading_to_the_database() {
    let setup = Setup::new();
    let real = setup.place.path("real.db");
    make(&real, 2);
    std::fs::write(setup.place.path("real.db-journal"), "").unwrap();
    symlink("real.db", &setup.place.database).unwrap();
    assert_eq!(resolve_target(&setup.place.database).unwrap(), real.canonicalize().unwrap());
    assert_eq!(sidecars(&setup.place.database).len(), 1);
    setup.replace().unwrap();
    assert!(setup.place.database.is_symlink() && !real.is_symlink());
    assert_eq!(setup.place.names(), ["app.db", "former", "former-journal", "real.db"]);
    assert_eq!((rows(&setup.place.database), rows(&setup.aside)), (7, 2));
}

#[test]
fn a_link_to_nowhere_is_refused() {
    let setup = Setup::new();
    symlink("nowhere", &setup.place.database).unwrap();
    let error = setup.replace().unwrap_err();
    assert!(matches!(error, Error::File { operation: "follow", .. }), "{error:?}");
    setup.untouched(&["app.db".into(), "staged".into()]);
}

/// The other names keep the former database, as a copy made with `cp -l` should.
#[test]
fn other_hard_links_stay_with_the_former_database() {
    let setup = Setup::new();
    make(&setup.place.database, 2);
    let other = setup.place.path("other.db");
    std::fs::hard_link(&setup.place.database, &other).unwrap();
    setup.replace().unwrap();
    assert_eq!((rows(&setup.place.database), rows(&setup.aside), rows(&other)), (7, 2, 2));
    assert_eq!(setup.aside.metadata().unwrap().ino(), other.metadata().unwrap().ino());
}

#[test]
fn what_is_not_a_file_is_refused() {
    let setup = Setup::new();
    std::fs::create_dir(&setup.place.database).unwrap();
    assert!(matches!(setup.replace(), Err(Error::NotADatabase { .. })));
    assert!(matches!(place(&setup.staged, &setup.place.database), Err(Error::TargetExists { .. })));
    setup.untouched(&["app.db".into(), "staged".into()]);
}
