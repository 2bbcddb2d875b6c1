//! Backups in a second repository, with a password of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::time::Duration;

use common::{Database, Home, files_below, require_tool, restic_at};
use serde_json::Value;

/// A home whose first repository has files and a database, and a second repository at `second`.
fn home() -> (Home, Database) {
    let home = Home::new();
    let database = Database::create(&home.path("app/data/app.db"), "wal", 60);
    home.write("app/notes.txt", "one\ntwo\n");
    home.write(
        "app/large",
        (0..3_000_000_u32).flat_map(|n| (n % 251).to_le_bytes()).collect::<Vec<u8>>(),
    );
    home.write("second.password", "battery staple\n");
    (home, database)
}

fn init_second(home: &Home) {
    home.ok(&["init", "-r", "second", "-p", "second.password"]);
}

const TO: [&str; 5] = ["copy", "--to", "second", "--to-password-file", "second.password"];

fn copy(home: &Home, more: &[&str]) -> Value {
    let arguments: Vec<&str> = TO.iter().chain(more).copied().collect();
    home.json(&arguments)
}

fn in_second<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    ["-r", "second", "-p", "second.password"].iter().chain(arguments).copied().collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Content of all files below a directory, by their paths in it.
fn content(home: &Home, directory: &str) -> Vec<(String, Vec<u8>)> {
    let root = home.path(directory);
    let files = files_below(&root).into_iter();
    files
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn a_copy_restores_to_the_same() {
    let (home, database) = home();
    home.ok(&["backup", "app", "--name", "first", "--tag", "nightly", "--type", "full"]);
    database.add(5);
    home.write("app/notes.txt", "three\n");
    home.ok(&["backup", "app"]);
    let points = home.json(&["points", "--all"]);

    let ran = home.run(&TO);
    let place = home.path("second").display().to_string();
    ran.fails(10, "no repository at", &format!("lifeboat init -r {place}"));
    init_second(&home);
    let planned = copy(&home, &["--dry-run"]);
    assert_eq!(planned["copy"].as_array().unwrap().len(), 2);
    assert!(number(&planned["copy"][0]["bytes"]) > number(&planned["copy"][1]["bytes"]));
    assert!(home.json(&in_second(&["backups"])).as_array().unwrap().is_empty());

    let copied = copy(&home, &[]);
    assert_eq!((copied["copied"].as_array().unwrap().len(), &copied["there"]), (2, &0.into()));
    assert!(number(&copied["copied"][1]["stored_bytes"]) < 40_000, "{copied}");
    let before = files_below(&home.path("second"));
    let again = copy(&home, &[]);
    assert_eq!((again["copied"].as_array().unwrap().len(), &again["there"]), (0, &2.into()));
    assert_eq!(files_below(&home.path("second")), before);

    // The same backups, of the same points, to the same bytes.
    let (one, other) = (home.json(&["backups"]), home.json(&in_second(&["backups"])));
    for (one, other) in one.as_array().unwrap().iter().zip(other.as_array().unwrap()) {
        for member in ["id", "label", "tags", "type", "started", "finished", "host", "tool"] {
            assert_eq!(one[member], other[member], "{member}");
        }
        for (one, other) in
            one["sources"].as_array().unwrap().iter().zip(other["sources"].as_array().unwrap())
        {
            for member in ["name", "tree", "lineage", "txid", "checksum", "time", "tables"] {
                assert_eq!(one[member], other[member], "{member}");
            }
            if !one["snapshot"].is_null() {
                assert_ne!(one["snapshot"], other["snapshot"]);
            }
        }
    }
    let copied_points = home.json(&in_second(&["points", "--all"]));
    assert!(points.as_array().is_some_and(|databases| databases.len() == 1), "{points}");
    assert_eq!(points, copied_points);
    for (number, backup) in home.ids(&[]).iter().enumerate() {
        let places = [format!("here{number}"), format!("there{number}")];
        home.ok(&["restore", "app-files", "--backup", backup, "--target", &places[0]]);
        home.ok(&in_second(&["restore", "app-files", "--backup", backup, "--target", &places[1]]));
        let restored = content(&home, &places[0]);
        assert!(restored.iter().any(|(name, _)| name.ends_with("notes.txt")));
        assert!(restored == content(&home, &places[1]), "{backup}");
        let here = home.restored(&["app", "--backup", backup]);
        let there = home.restored(&in_second(&["app", "--backup", backup]));
        assert!(here == there, "{backup}");
    }
    home.ok(&in_second(&["check", "--read-data"]));
    if require_tool("restic") {
        let (second, password) = (home.path("second"), home.path("second.password"));
        let restic = |arguments: &[&str]| restic_at(&home, &second, &password, arguments);
        assert!(restic(&["check", "--read-data"]).contains("no errors were found"));
        let snapshots: Value = serde_json::from_str(&restic(&["snapshots", "--json"])).unwrap();
        assert_eq!(snapshots.as_array().unwrap().len(), 2);
        assert!(snapshots[0]["original"].is_string() && snapshots[1]["parent"].is_null());
    }
}

/// The host goes on in either of the two, and what was copied and what is new share their bytes.
#[test]
fn a_host_backs_up_where_it_has_copied_to() {
    let (home, database) = home();
    home.ok(&["backup", "app"]);
    init_second(&home);
    copy(&home, &[]);
    let direct = home.json(&in_second(&["backup", "app"]));
    let sources = direct["sources"].as_array().unwrap();
    let files = sources.iter().find(|source| source["kind"] == "files").unwrap();
    assert!(number(&files["stored_bytes"]) < 10_000, "cut at the same places: {files}");
    database.add(5);
    home.ok(&["backup", "app"]);
    home.ok(&in_second(&["backup", "app"]));
    database.add(5);
    home.ok(&["backup", "app"]);
    let copied = copy(&home, &[]);
    assert_eq!((copied["copied"].as_array().unwrap().len(), &copied["there"]), (2, &1.into()));
    assert_eq!(copied["cut_otherwise"], false);
    home.ok(&in_second(&["check", "--read-data"]));
    home.ok(&in_second(&["prune", "--grace", "0"]));
    home.ok(&in_second(&["check", "--read-data"]));
    for backup in home.ids(&[]) {
        let here = home.restored(&["app", "--backup", &backup]);
        assert!(here == home.restored(&in_second(&["app", "--backup", &backup])), "{backup}");
    }
}

#[test]
fn what_is_copied_can_be_chosen() {
    let (home, _) = home();
    init_second(&home);
    home.ok(&["backup", "app/data/app.db", "--tag", "one", "--type", "hourly"]);
    home.ok(&["backup", "app/data/app.db", "--tag", "two"]);
    home.ok(&["backup", "app/notes.txt"]);
    let ids = home.ids(&[]);
    let planned = |more: &[&str]| {
        let arguments: Vec<&str> = ["--dry-run"].iter().chain(more).copied().collect();
        let planned = copy(&home, &arguments);
        let backups = planned["copy"].as_array().unwrap().iter();
        backups.map(|backup| backup["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(planned(&[]), [&*ids[2], &ids[1], &ids[0]]);
    assert_eq!(planned(&["--latest", "1"]), [&*ids[0]]);
    assert_eq!(planned(&["--source", "app"]), [&*ids[2], &ids[1]]);
    assert_eq!(planned(&["--tag", "two"]), [&*ids[1]]);
    assert_eq!(planned(&["--type", "hourly"]), [&*ids[2]]);
    assert_eq!(planned(&[&ids[1][..6]]), [&*ids[1]]);
    assert!(planned(&["--host", "nobody"]).is_empty());
    let copied = copy(&home, &[&ids[1]]);
    assert_eq!(copied["copied"][0]["id"], *ids[1]);
    assert_eq!(planned(&[]), [&*ids[2], &ids[0]]);

    let run = |more: &[&str]| {
        let arguments: Vec<&str> = TO.iter().chain(more).copied().collect();
        home.run(&arguments)
    };
    run(&["ffff"]).fails(1, "no backup ffff", "lifeboat backups");
    run(&["--host", "nobody", &ids[0]]).fails(2, "signed by this host", "copy on that host");
    let same = home.repository().display().to_string();
    home.run(&["copy", "--to", &same]).fails(2, "is the repository to copy from", "--to");
    home.write("wrong", "wrong\n");
    let wrong = ["copy", "--to", "second", "--to-password-file", "wrong"];
    home.run(&wrong).fails(12, "wrong password", "--password-file");
}

/// A repository of another chunker polynomial is told of; the password stands in the configuration.
#[test]
fn a_repository_that_has_files_keeps_its_way_of_cutting() {
    let (home, _) = home();
    home.ok(&["backup", "app/notes.txt"]);
    init_second(&home);
    home.ok(&in_second(&["backup", "app/large"]));
    let first = home.repository().display().to_string();
    home.write(
        "lifeboat.toml",
        format!(
            "[repository.first]\nurl = '{first}'\n[repository.second]\nurl = 'second'\n\
             password-file = '{}'\n",
            home.path("second.password").display()
        ),
    );
    let ran = home.run(&["-r", "first", "copy", "--to", "second"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("cuts files at other places"), "{ran:?}");
    assert!(ran.out.contains("copied 1 backup"), "{ran:?}");
    home.ok(&in_second(&["check", "--read-data"]));
}

/// Damage is told, and the others are copied.
#[test]
fn a_damaged_backup_is_left_out() {
    let (home, database) = home();
    init_second(&home);
    home.ok(&["backup", "app/data/app.db"]);
    database.add(5);
    home.ok(&["backup", "app/data/app.db"]);
    home.ok(&["backup", "app/notes.txt"]);
    let ids = home.ids(&[]);
    let delta = files_below(&home.repository().join("databases"));
    let delta = delta.iter().find(|path| path.display().to_string().contains("/ltx/0/")).unwrap();
    let mut bytes = fs::read(delta).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::remove_file(delta).unwrap();
    fs::write(delta, bytes).unwrap();
    let ran = home.run(&TO);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains(&format!("not copied: {}", &ids[1][..8])), "{ran:?}");
    assert!(ran.out.contains("copied 2 backups"), "{ran:?}");
    let there = home.json(&in_second(&["backups"]));
    let there: Vec<&str> =
        there.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(there, [&*ids[0], &ids[2]]);
    home.ok(&in_second(&["check", "--read-data"]));
}

/// Nothing is encrypted there: databases can be copied, files cannot.
#[test]
fn a_repository_for_litestream_takes_databases() {
    let (home, database) = home();
    home.ok(&["backup", "app/data/app.db"]);
    database.add(5);
    home.ok(&["backup", "app/data/app.db"]);
    home.ok(&["backup", "app/notes.txt"]);
    home.ok(&["init", "-r", "plain", "--form", "litestream"]);
    let ran = home.run(&["copy", "--to", "plain"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("cannot hold files"), "{ran:?}");
    assert!(ran.out.contains("copied 2 backups"), "{ran:?}");
    home.ok(&["-r", "plain", "check", "--read-data"]);
    let id = &home.ids(&[])[1];
    let here = home.restored(&["app", "--backup", id]);
    assert!(here == home.restored(&["-r", "plain", "app", "--backup", id]));
    // And on from there.
    init_second(&home);
    home.ok(&["-r", "plain", "copy", "--to", "second", "--to-password-file", "second.password"]);
    assert!(here == home.restored(&in_second(&["app", "--backup", id])));
    home.ok(&in_second(&["check", "--read-data"]));
}

/// Also those that are just being taken.
#[test]
fn an_interrupted_copy_gives_its_locks_back() {
    let (home, _) = home();
    init_second(&home);
    home.ok(&["backup", "app"]);
    copy(&home, &[]);
    home.write("app/notes.txt", "other notes\n");
    home.ok(&["backup", "app"]);
    let directories = [home.repository(), home.path("second")].map(|one| one.join("locks"));
    for directory in &directories {
        let mut child = home.command(&TO).spawn().unwrap();
        while files_below(directory).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "it ended early");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert!(!child.wait().unwrap().success());
        let left = directories.each_ref().map(|directory| files_below(directory));
        assert!(left.iter().all(Vec::is_empty), "{left:?}");
    }
    assert_eq!(copy(&home, &[])["copied"].as_array().unwrap().len(), 1);
}
