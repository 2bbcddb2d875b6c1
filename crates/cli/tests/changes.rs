//! What a later backup stores, and how it finds out what changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Database, Home};
use serde_json::Value;

/// What is read of a database that an application has open, and how it is told.
#[test]
fn it_tells_how_changes_were_found() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 50);
    let application = database.open();
    application.execute_batch("UPDATE t SET b = randomblob(3000) WHERE a = 1").unwrap();
    let change = || {
        application.execute_batch("UPDATE t SET b = randomblob(3000) WHERE a = 2").unwrap();
    };
    let by = |arguments: &[&str]| home.backup(arguments)["changed_by"].clone();
    assert_eq!(by(&["app.db"]), "whole");
    assert_eq!(by(&["app.db"]), "unchanged");
    change();
    assert_eq!(by(&["app.db"]), "wal");
    assert_eq!(by(&["app.db", "--rescan"]), "scan");
    for (arguments, said) in [
        (&["backup", "app.db", "-v"][..], "app: not written to since the last backup\n"),
        (&["backup", "app.db", "-v", "--rescan"], "app: reading all of it (asked for)\n"),
    ] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), said));
        assert!(ran.out.contains("nothing changed"), "{ran:?}");
    }
    change();
    let ran = home.run(&["backup", "app.db", "-v"]);
    assert_eq!(ran.err, "app: reading the pages that its WAL names\n");
    assert!(ran.out.contains("1 page changed"), "{ran:?}");
    assert_eq!(home.run(&["backup", "app.db"]).err, "", "only those who ask are told");
    assert!(home.restored(&[]) == database.bytes());
}

/// A backup stores the pages that changed, counts them exactly, and nothing where nothing did.
#[test]
fn later_backups_store_changed_pages_only() {
    for journal_mode in ["wal", "delete"] {
        let home = Home::new();
        let database = Database::create(&home.path("app.db"), journal_mode, 1000);
        let first = home.backup(&["app.db"]);
        let pages = first["page_count"].as_u64().unwrap();
        assert_eq!(first["changed_pages"], pages);
        assert_eq!(first["changed_from"], Value::Null);
        assert!(first["stored_bytes"].as_u64().unwrap() > 3_000_000);
        let before = database.bytes();

        for row in [100, 500, 900] {
            database.change(row);
        }
        let second = home.backup(&["app.db"]);
        let after = database.bytes();
        let changed = before.chunks(4096).zip(after.chunks(4096)).filter(|(a, b)| a != b).count();
        // Page 1 holds the change counter: a WAL database keeps it as it is.
        assert!((3..=4).contains(&changed), "{changed}");
        assert_eq!(second["changed_pages"], changed);
        assert_eq!(second["changed_from"], "0000000000000001");
        assert_eq!(second["txid"], "0000000000000002");
        let stored = second["stored_bytes"].as_u64().unwrap();
        assert!((9_000..20_000).contains(&stored), "{stored}");

        let third = home.backup(&["app.db"]);
        assert_eq!((&third["changed_pages"], &third["stored_bytes"]), (&0.into(), &0.into()));
        assert_eq!(third["txid"], "0000000000000002");

        let ids = home.ids(&[]);
        assert_eq!(home.restored(&["-b", &ids[0]]), after);
        assert_eq!(home.restored(&["-b", &ids[1]]), after);
        assert_eq!(home.restored(&["-b", &ids[2]]), before);
        home.ok(&["check", "--read-data"]);
    }
}

#[test]
fn a_database_that_grows_and_shrinks() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 50);
    let mut expected = Vec::new();
    for sql in [
        "SELECT 1",
        "INSERT INTO t(b) SELECT randomblob(3000) FROM t, t LIMIT 300",
        "DELETE FROM t WHERE a > 20; VACUUM",
        "CREATE TABLE u(x); INSERT INTO u SELECT b FROM t",
        "DROP TABLE t",
        "VACUUM",
    ] {
        // The last connection that closes moves the WAL into the database; this one stays open.
        let reader = database.open();
        database.open().query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).unwrap();
        reader.execute_batch(&sql.replace("SELECT 1", "")).unwrap();
        home.backup(&["app.db"]);
        drop(reader);
        expected.insert(0, database.bytes());
    }
    for (id, bytes) in home.ids(&[]).iter().zip(&expected) {
        assert!(home.restored(&["-b", id]) == *bytes, "{id}");
    }
    home.ok(&["check", "--read-data"]);
    assert_eq!(home.json(&["check"])["restorable"].as_array().unwrap().len(), 6);
}
