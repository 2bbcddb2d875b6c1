//! What a user does: back up, look, restore.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::MetadataExt;

use common::{Database, Home, files_below, scrub};
use serde_json::Value;

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The README's session, without any configuration.
#[test]
fn a_session_without_configuration() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 200);

    let first = home.run(&["backup", "app.db"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(
        scrub(&first.out, &home),
        "app N units all of it N units stored N units\n\
         backup ID saved in N units to ~/.local/share/lifeboat/repository\n"
    );
    assert_eq!(
        scrub(&first.err, &home),
        "made a password in ~/.config/lifeboat/password\n\
         KEEP A COPY OF IT ELSEWHERE: without it no backup can be restored\n\
         made repository ~/.local/share/lifeboat/repository\n"
    );
    let at_first = database.bytes();

    // Ten rows of a page each.
    for row in 50..60 {
        database.change(row);
    }
    let second = home.run(&["backup", "app.db", "--name", "before upgrade", "--tag", "weekly"]);
    assert_eq!((second.code, second.err.as_str()), (Some(0), ""), "{second:?}");
    let out = scrub(&second.out, &home);
    assert!(out.contains("\nbackup ID \"before upgrade\" saved in"), "{out}");

    let third = home.ok(&["backup", "app.db", "--verify"]);
    assert_eq!(
        scrub(&third, &home),
        "app N units nothing changed N units stored N units\n\
         backup ID saved in N units to ~/.local/share/lifeboat/repository, restored and checked\n"
    );
    assert!(third.contains("  0 B stored"), "{third}");

    assert_eq!(
        scrub(&home.ok(&["backups"]), &home),
        "ID TIME HOST SOURCE SIZE STORED HOLDS\n\
         ID DATE TIME box app N units N units t 200\n\
         ID DATE TIME box app N units N units \"before upgrade\" #weekly t 200\n\
         ID DATE TIME box app N units N units t 200\n"
    );
    assert_eq!(
        scrub(&home.ok(&["ls", "before upgrade"]), &home),
        "backup ID \"before upgrade\" of box on DATE TIME\n  \
           app ~/app.db N units, 202 pages of N units, wal mode\n    \
             transaction 0000000000000002 of lineage ID, DATE TIME\n    \
             t 200 rows\n"
    );
    assert_eq!(
        scrub(&home.ok(&["stats"]), &home),
        "3 backups in ~/.local/share/lifeboat/repository: N units stored, N units restorable\n\
         HOST DATABASE BACKUPS SIZE BASES CHANGES OBJECTS\n\
         box app 3 N units N units N units 2\n\n\
         app on box\n  \
           growth not enough history: no backups a day apart\n  \
           history captures N units, bases N units\n  \
           forecast not enough history\n"
    );
    assert_eq!(
        scrub(&home.ok(&["check"]), &home),
        "no damage: 3 backups can be restored, 2 files, contents not read (--read-data does)\n"
    );
    assert_eq!(
        scrub(&home.ok(&["check", "--read-data"]), &home),
        "no damage: 3 backups can be restored, 2 files, N units read\n"
    );
    assert_eq!(
        scrub(&home.ok(&["restore", "-b", "before upgrade", "--target", "out.db"]), &home)
            .replace(|c: char| c.is_ascii_digit(), "0"),
        "restoring app from backup ID \"before upgrade\" of DATE TIME (transaction \
         0000000000000000 of DATE TIME)\n  \
           to ~/out.db\n  \
           reads N units in 0 files\n  \
           needs N units, N units free\n\
         restored N units in N units (N units/s), checksums and integrity check ok\n"
    );
    assert_eq!(std::fs::read(home.path("out.db")).unwrap(), database.bytes());

    let ids = home.ids(&[]);
    assert_eq!(home.restored(&["--backup", &ids[2]]), at_first);

    let again = home.ok(&["restore", "--target", "out.db", "--force"]);
    let again = scrub(&again, &home);
    assert!(again.contains("  to ~/out.db, in place of what is there\n"), "{again}");
    assert!(
        again.ends_with("the former database is kept as ~/out.db.before-restore-TIME\n"),
        "{again}"
    );

    assert_eq!(
        scrub(&home.ok(&["config", "show"]), &home),
        "# configuration: none; everything is at its default\n\
         # host: box\n\
         # repository: ~/.local/share/lifeboat/repository\n\
         # password file: ~/.config/lifeboat/password\n\
         # state: ~/.local/state/lifeboat\n\
         # points: all for 1h, 30s for 24h, 5m for 7d; then what backups hold\n"
    );
}

#[test]
fn everything_it_makes_is_private() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "delete", 5);
    home.ok(&["backup", "app.db", "--verify"]);
    home.ok(&["backup", "app.db"]);
    let mut found = 0;
    let mut directories = vec![home.path(".config"), home.path(".local")];
    while let Some(directory) = directories.pop() {
        assert_eq!(directory.metadata().unwrap().mode() & 0o7777, 0o700, "{directory:?}");
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600, "{path:?}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found}");
    let password = std::fs::read_to_string(home.password_file()).unwrap();
    assert_eq!(password.len(), 32, "26 letters, 5 dashes, a line feed");
}

#[test]
fn json_has_the_documented_members() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    let summary = home.json(&["backup", "app.db", "--name", "n", "--tag", "a", "--tag", "b"]);
    assert_eq!(
        members(&summary),
        [
            "backup_id",
            "caught_up",
            "finished",
            "link",
            "message_type",
            "name",
            "others",
            "partial",
            "problems",
            "repository",
            "skipped",
            "sources",
            "started",
            "tags",
            "type",
            "verified",
        ]
    );
    assert_eq!(summary["message_type"], "summary");
    assert_eq!((&summary["name"], &summary["tags"][1]), (&"n".into(), &"b".into()));
    let source = [
        "changed_from",
        "changed_pages",
        "checksum",
        "duration_ms",
        "gid",
        "journal_mode",
        "kind",
        "lineage",
        "mode",
        "name",
        "objects",
        "page_count",
        "page_size",
        "path",
        "schema_sha256",
        "size_bytes",
        "stored_bytes",
        "tables",
        "time",
        "txid",
        "uid",
    ];
    let mut with_way = vec!["changed_by"];
    with_way.extend(source);
    assert_eq!(members(&summary["sources"][0]), with_way);
    assert_eq!(summary["sources"][0]["tables"]["t"], 5);

    let manifest = [
        "finished", "host", "hostname", "id", "label", "problems", "revision", "sources",
        "started", "tags", "tool", "version",
    ];
    assert_eq!(members(&home.json(&["ls"])), manifest);
    let backups = home.json(&["backups"]);
    let mut with_sizes: Vec<&str> = manifest.to_vec();
    with_sizes.extend(["partial", "size_bytes", "stored_bytes"]);
    with_sizes.sort_unstable();
    assert_eq!(members(&backups[0]), with_sizes);
    assert_eq!(home.json(&["snapshots"]), backups);
    assert_eq!(home.json(&["list"]), backups);
    assert_eq!(home.ok(&["list"]), home.ok(&["backups"]));
    assert_eq!(home.ids(&["--tag", "a"]).len(), 1);
    assert_eq!(home.ids(&["--tag", "c"]).len(), 0);
    assert_eq!(home.ids(&["--source", "app"]).len(), 1);
    assert_eq!(home.ids(&["--source", "other"]).len(), 0);
    assert_eq!(home.ids(&["--host", "elsewhere"]).len(), 0);
    assert_eq!(home.ids(&["--latest", "0"]).len(), 0);

    let check = home.json(&["check", "--read-data"]);
    assert_eq!(
        members(&check),
        [
            "clean",
            "files",
            "findings",
            "hints",
            "lost",
            "lost_databases",
            "lost_files",
            "message_type",
            "names_only",
            "packs",
            "read_bytes",
            "restorable",
            "unfinished",
            "unknown"
        ]
    );
    assert_eq!(check["restorable"][0], summary["backup_id"]);
    let stats = home.json(&["stats"]);
    assert_eq!(
        members(&stats),
        [
            "backups",
            "databases",
            "files",
            "forecast",
            "objects",
            "repository",
            "restorable_bytes",
            "stored_bytes",
            "waiting_bytes"
        ]
    );
    let on_disk =
        files_below(&home.repository()).into_iter().map(|file| file.metadata().unwrap().len());
    assert_eq!(stats["stored_bytes"], on_disk.sum::<u64>());
    assert_eq!(stats["objects"], files_below(&home.repository()).len());

    let plan = home.json(&["restore", "-t", "x.db", "--dry-run"]);
    assert_eq!(
        members(&plan),
        [
            "backup_id",
            "damaged",
            "database",
            "free_bytes",
            "message_type",
            "replaces",
            "sealed_bytes",
            "size_bytes",
            "skipped",
            "target",
            "time",
            "txid",
        ]
    );
    assert!(!home.path("x.db").exists());
    let restored = home.json(&["restore", "-t", "x.db"]);
    assert_eq!(
        members(&restored),
        [
            "backup_id",
            "damaged",
            "database",
            "duration_ms",
            "former",
            "message_type",
            "sealed_bytes",
            "size_bytes",
            "skipped",
            "target",
            "time",
            "txid",
            "verified"
        ]
    );
    let dry = home.json(&["backup", "app.db", "-n"]);
    assert_eq!(dry["databases"][0]["name"], "app");
    assert_eq!(home.ids(&[]).len(), 1);
    let error = home.run(&["backup", "nothing.db", "--json"]);
    let error: Value = serde_json::from_str(&error.err).unwrap();
    assert_eq!((&error["message_type"], &error["code"]), (&"error".into(), &1.into()));
    assert!(error["message"].as_str().unwrap().contains("nothing.db"), "{error}");
    assert!(error["hint"].is_string());
}

#[test]
fn backups_are_found_by_id_prefix_name_and_latest() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 5);
    let mut versions = Vec::new();
    for name in ["one", "two", "one"] {
        database.add(1);
        home.backup(&["app.db", "--name", name]);
        versions.push(database.bytes());
    }
    let ids = home.ids(&[]);
    assert!(home.restored(&[]) == versions[2]);
    assert!(home.restored(&["-b", "latest"]) == versions[2]);
    assert!(home.restored(&["-b", "two"]) == versions[1]);
    assert!(home.restored(&["-b", "one"]) == versions[2], "the newest of that name");
    assert!(home.restored(&["-b", &ids[2]]) == versions[0]);
    assert!(home.restored(&["-b", &ids[2][..8]]) == versions[0]);
    assert!(home.restored(&["-b", &ids[1][..6].to_uppercase(), "app"]) == versions[1]);
    assert!(home.restored(&["app.db", "-b", "two"]) == versions[1], "the database by its path");
    let dumped = home.command(&["dump", "app", "-b", "two"]).output().unwrap();
    assert!(dumped.stdout == versions[1]);

    // Without a target, to where it came from; the former database can be opened where it is kept.
    database.execute("DELETE FROM t");
    let report = home.json(&["restore", "app", "-b", "one", "--force"]);
    assert_eq!(report["target"], database.text());
    assert!(std::fs::read(&database.path).unwrap() == versions[2]);
    let former = rusqlite::Connection::open(report["former"].as_str().unwrap()).unwrap();
    let rows: u32 = former.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
    // The lineage goes on from what is there now.
    let next = home.backup(&["app.db"]);
    assert_ne!(next["changed_from"], Value::Null);
    assert!(home.restored(&[]) == versions[2]);
}

#[test]
fn completions_help_and_version() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.ok(&["completions", shell]);
        assert!(script.contains("restore") && script.contains("read-data"), "{shell}");
    }
    assert!(home.ok(&["--version"]).starts_with("lifeboat 0."));
    let help = home.ok(&["--help"]);
    assert!(help.contains("Exit codes: 0 ok"), "{help}");
    assert!(!home.path(".local").exists(), "looking changes nothing");
    assert_eq!(home.run(&["frobnicate"]).code, Some(2));
    assert_eq!(home.run(&[]).code, Some(2));
}
