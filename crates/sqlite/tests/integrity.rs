//! SQLite's own check, also of schemas that need the application.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, Tool, bytes, require_tool, run};
use lifeboat_sqlite::{Error, integrity_check, pin};

const TABLE: &str = "CREATE TABLE t(x); CREATE INDEX i ON t(x);
    INSERT INTO t SELECT hex(randomblob(50)) FROM pragma_function_list;";

#[test]
fn nothing_is_left_beside_the_file() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        writer.close().unwrap();
        let odd = place.path("100% a?b#c&mode=rwc");
        std::fs::rename(&place.database, &odd).unwrap();
        integrity_check(&odd).unwrap();
        assert_eq!(place.names(), [odd.file_name().unwrap().to_str().unwrap()]);
    }
    let place = Place::new();
    std::fs::write(&place.database, "").unwrap();
    integrity_check(&place.database).unwrap();
    std::fs::write(&place.database, [7; 5000]).unwrap();
    assert!(matches!(integrity_check(&place.database), Err(Error::NotADatabase { .. })));
}

#[test]
fn damage_is_found() {
    let (place, writer) = Place::with(TABLE);
    run(
        &writer,
        "PRAGMA writable_schema=on; UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'i'",
    );
    drop(writer);
    assert!(integrity_check(&place.database).is_err());
    let (place, writer) = Place::with(TABLE);
    drop(writer);
    let mut file = std::fs::read(&place.database).unwrap();
    let end = file.len();
    file[end - 3000..].fill(0);
    std::fs::write(&place.database, file).unwrap();
    let error = integrity_check(&place.database).unwrap_err();
    let Error::Integrity { findings, .. } = error else { panic!("{error:?}") };
    assert!(!findings.is_empty() && findings.len() <= 20);
}

/// An application that brings its own collation, function, module and tokenizer.
const APPLICATION: &str = r#"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.create_collation("mine", lambda a, b: (a > b) - (a < b))
db.create_function("mine", 1, lambda x: x, deterministic=True)
for statement in sys.argv[2].split(";"):
    db.execute(statement)
if len(sys.argv) > 3:
    db.execute("pragma writable_schema=on")
    if "mine(x)" in sys.argv[3]:
        db.execute("insert into sqlite_schema values('table','v','v',0,?)", (sys.argv[3],))
    else:
        db.execute(sys.argv[3].replace("mine", "porter"))
        db.execute("insert into v values('some words')")
        db.execute("update sqlite_schema set sql = ? where name = 'v'", (sys.argv[3],))
"#;

#[test]
fn what_only_the_application_knows_is_captured_and_checked_as_far_as_possible() {
    if !require_tool("python3") {
        return;
    }
    let rows = "insert into t(x) values('a'),('b'),('c')";
    let cases = [
        (
            "a collation of a column",
            "create table t(x text collate mine);create index i on t(x)",
            None,
        ),
        ("a primary key", "create table t(x text collate mine primary key) without rowid", None),
        ("an index on an expression", "create table t(x);create index i on t(mine(x))", None),
        ("a partial index", "create table t(x);create index i on t(x) where mine(x)", None),
        ("a check", "create table t(x check (mine(x) is not null))", None),
        ("a virtual column", "create table t(x, y as (mine(x)))", None),
        (
            "a stored column",
            "create table t(x, y as (mine(x)) stored);create index i on t(y)",
            None,
        ),
        ("a required column", "create table t(x, y not null as (mine(x)))", None),
        ("a module", "create table t(x)", Some("create virtual table v using mine(x)")),
        (
            "a tokenizer",
            "create table t(x)",
            Some("create virtual table v using fts5(x, tokenize=mine)"),
        ),
        (
            "an old tokenizer",
            "create table t(x)",
            Some("create virtual table v using fts4(x, tokenize=mine)"),
        ),
    ];
    for (what, schema, module) in cases {
        let place = Place::new();
        let mut arguments =
            vec![place.database.to_str().unwrap().to_owned(), format!("{schema};{rows}")];
        arguments.extend(module.map(str::to_owned));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        assert!(Tool::python(APPLICATION, &arguments).finish(), "{what}");
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let image = bytes(&pinned.image().unwrap());
        assert!(image == std::fs::read(&place.database).unwrap(), "{what}");
        assert!(pinned.schema().unwrap().tables.iter().any(|table| table.name == "t"), "{what}");
        drop(pinned);
        integrity_check(&place.database).unwrap_or_else(|error| panic!("{what}: {error:?}"));

        // The pages are still looked at.
        let mut file = image;
        let end = file.len();
        file[end - 4096..][..8].fill(0xff);
        std::fs::write(&place.database, file).unwrap();
        assert!(integrity_check(&place.database).is_err(), "{what}");
    }
}
