//! Files restored, listed, found, compared and dumped through the binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::{Database, Home, files_below, scrub};
use serde_json::Value;

/// A home with a directory `app` of files and a database, of which there is a backup.
fn backed_up() -> (Home, Database) {
    let home = Home::new();
    home.write("app/etc/app.conf", "port = 1\n");
    home.write("app/etc/other.conf", "name = x\n");
    home.write("app/notes.txt", "some notes\n");
    std::os::unix::fs::symlink("notes.txt", home.path("app/link")).unwrap();
    let database = Database::create(&home.path("app/data/main.db"), "wal", 20);
    home.ok(&["backup", "app"]);
    (home, database)
}

/// Where a restore to `name` puts what lies in the home.
fn below(home: &Home, name: &str) -> PathBuf {
    home.path(name).join(home.directory().strip_prefix("/").unwrap())
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn files_and_databases_are_restored_to_a_directory() {
    let (home, database) = backed_up();
    let out = home.ok(&["restore", "--target", "out"]);
    let scrubbed = scrub(&out, &home);
    assert!(scrubbed.starts_with("restoring app"), "{scrubbed}");
    assert!(scrubbed.contains("  to ~/out\n"), "{scrubbed}");
    assert!(out.contains("restored 3 files, "), "{out}");
    assert!(out.contains("restored database main"), "{out}");
    let root = below(&home, "out").join("app");
    assert_eq!(fs::read(root.join("etc/app.conf")).unwrap(), b"port = 1\n");
    assert_eq!(fs::read_link(root.join("link")).unwrap().as_os_str(), "notes.txt");
    assert!(fs::read(root.join("data/main.db")).unwrap() == database.bytes());
    assert!(files_below(&home.repository().join("locks")).is_empty(), "the lock is given back");

    // Once more, nothing is written; then what was changed is replaced, and kept.
    let again = home.json(&["restore", "--target", "out", "--overwrite", "if-changed"]);
    assert_eq!((&again["written_bytes"], &again["replaced"]), (&0.into(), &0.into()), "{again}");
    assert!(again["databases"][0]["former"].as_str().unwrap().contains("before-restore"));
    fs::write(root.join("notes.txt"), "mine").unwrap();
    let report = home.json(&["restore", "--target", "out"]);
    assert_eq!((&report["replaced"], &report["problem_count"]), (&1.into(), &0.into()));
    let kept = PathBuf::from(report["moved_to"][0].as_str().unwrap());
    assert_eq!(kept.parent(), Some(home.path("out").as_path()));
    let notes = files_below(&kept).into_iter().find(|path| path.ends_with("notes.txt")).unwrap();
    assert_eq!(fs::read(notes).unwrap(), b"mine");
}

#[test]
fn a_dry_run_says_what_would_be_done() {
    let (home, _) = backed_up();
    let out = home.ok(&["restore", "--target", "out", "-n"]);
    assert!(out.contains("would restore 3 files"), "{out}");
    assert!(!home.path("out").exists());
    let documents = lines(&home.ok(&["restore", "-n", "--json", "--include", "*.conf"]));
    assert_eq!(documents[0]["message_type"], "plan");
    assert_eq!((&documents[0]["files"], &documents[0]["kind"]), (&2.into(), &"files".into()));
    let summary = documents.last().unwrap();
    assert_eq!(
        (&summary["dry_run"], &summary["unchanged"]),
        (&true.into(), &2.into()),
        "{summary}"
    );
}

#[test]
fn paths_and_patterns_choose() {
    let (home, _) = backed_up();
    home.ok(&["restore", "app/etc", "--exclude", "other.conf", "-t", "out"]);
    let expected = below(&home, "out").join("app/etc/app.conf");
    assert_eq!(files_below(&home.path("out")), [expected]);
    let path = home.path("app/notes.txt");
    home.ok(&["restore", "app", path.to_str().unwrap(), "-t", "two"]);
    assert_eq!(files_below(&home.path("two")), [below(&home, "two").join("app/notes.txt")]);
    home.run(&["restore", "app/none", "-t", "out"]).fails(1, "no ", "lifeboat find");
    home.run(&["restore", "app/data/main.db", "--include", "x", "-t", "x.db"]).fails(
        2,
        "are for files",
        "name a source of files",
    );
    home.run(&["restore", "--include", "[", "-t", "out"]).fails(1, "malformed", "");
}

#[test]
fn what_cannot_be_read_is_a_problem_and_the_rest_is_restored() {
    let (home, _) = backed_up();
    let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let before = files_below(&home.repository().join("data"));
    home.write("app/noise", noise);
    home.ok(&["backup", "app"]);
    let new = files_below(&home.repository().join("data"));
    let of_noise = new.iter().filter(|path| !before.contains(path));
    let of_noise = of_noise.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    fs::remove_file(of_noise).unwrap();
    let ran = home.run(&["restore", "-t", "out"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("problem: ") && ran.err.contains("app/noise"), "{ran:?}");
    assert!(ran.out.contains("restored 3 files"), "{ran:?}");
    let json = home.run(&["restore", "-t", "out", "--json"]);
    let summary = lines(&json.out).pop().unwrap();
    assert_eq!((json.code, &summary["problem_count"]), (Some(3), &1.into()), "{summary}");
    let verified = home.run(&["backup", "app", "--verify"]);
    verified.fails(1, "app/noise of source", "");
    home.run(&["dump", "app/noise"]).fails(1, "", "");
}

#[test]
fn every_source_of_a_backup() {
    let (home, database) = backed_up();
    let other = Database::create(&home.path("other.db"), "delete", 5);
    home.write(
        "lifeboat.toml",
        "[files.app]\npaths = [\"app\"]\n[database.other]\npath = \"other.db\"\n\
         [command.hello]\nrun = [\"echo\", \"hello\"]\nfile-name = \"hello.txt\"\n",
    );
    home.ok(&["backup"]);
    home.run(&["restore", "-t", "out"]).fails(2, "could be any of", "--all");
    home.run(&["restore", "hello"]).fails(2, "is not known", "lifeboat dump hello");
    home.run(&["restore", "--all"]).fails_usage("--target");
    home.ok(&["restore", "--all", "-t", "out"]);
    let root = below(&home, "out");
    assert!(fs::read(root.join("app/data/main.db")).unwrap() == database.bytes());
    assert!(fs::read(root.join("other.db")).unwrap() == other.bytes());
    assert_eq!(fs::read(home.path("out/hello.txt")).unwrap(), b"hello\n");
    assert_eq!(home.ok(&["dump", "hello"]), "hello\n");
}

#[test]
fn files_are_listed_found_and_dumped() {
    let (home, _) = backed_up();
    fs::write(home.path("app").join(OsStr::from_bytes(b"odd\n\xff")), "odd").unwrap();
    home.ok(&["backup", "app"]);
    let out = home.ok(&["ls", "latest", "app"]);
    assert!(out.contains("app/link -> notes.txt\n"), "{out}");
    assert!(out.contains("app/odd\\n\\xff\n"), "{out}");
    assert_eq!(out.lines().count(), 5, "{out}");
    let long = home.ok(&["ls", "latest", "app/etc", "-l"]);
    assert!(long.starts_with("-rw-"), "{long}");
    let entries = lines(&home.ok(&["ls", "latest", "app", "-R", "--json"]));
    assert_eq!(entries.len(), 7);
    assert!(entries.iter().all(|entry| entry["message_type"] == "entry"));
    home.run(&["ls", "latest", "/nowhere"]).fails(2, "no files at /nowhere", "lifeboat ls");

    let found = home.ok(&["find", "app.conf"]);
    assert_eq!(found.lines().count(), 2, "in both backups: {found}");
    let found = lines(&home.ok(&["find", "*.db", "--json", "-b", "latest"]));
    assert_eq!((&found[0]["type"], &found[0]["source"]), (&"database".into(), &"main".into()));
    assert_eq!(found.last().unwrap()["found"], 1);
    assert!(home.ok(&["find", "nothing"]).contains("nothing like that in 2 backups"));

    assert_eq!(home.ok(&["dump", "app/notes.txt"]), "some notes\n");
    assert_eq!(home.ok(&["dump", "latest", "app/notes.txt"]), "some notes\n");
    home.run(&["dump", "app/etc"]).fails(2, "is not a file", "--target");
}

#[test]
fn backups_are_compared() {
    let (home, database) = backed_up();
    let first = home.ids(&[])[0].clone();
    home.write("app/notes.txt", "other notes\n");
    home.write("app/more/new", "new");
    fs::remove_file(home.path("app/link")).unwrap();
    database.add(3);
    home.ok(&["backup", "app"]);
    let out = home.ok(&["diff", &first, "latest"]);
    let app = home.path("app").display().to_string();
    for line in [
        format!("M {app}/notes.txt"),
        format!("+ {app}/more/"),
        format!("+ {app}/more/new"),
        format!("- {app}/link"),
    ] {
        assert!(out.contains(&format!("{line}\n")), "{line}: {out}");
    }
    assert!(out.contains("M database main: transaction "), "{out}");
    let documents = lines(&home.ok(&["diff", &first, "latest", "--json"]));
    let summary = documents.last().unwrap();
    assert_eq!((&summary["added"], &summary["databases"]), (&2.into(), &1.into()), "{summary}");
    let same = home.ok(&["diff", "latest", "latest"]);
    assert_eq!(same, "no difference among files and databases\n");
}

#[test]
fn a_repository_on_a_read_only_medium_is_read_without_a_lock() {
    let (home, _) = backed_up();
    home.ok(&["restore", "-t", "out", "--no-lock"]);
    assert!(files_below(&home.repository().join("locks")).is_empty());
    // Who is root writes everywhere that is not mounted read-only.
    if common::is_root() {
        return common::skip("root may write everywhere");
    }
    let locks = home.repository().join("locks");
    fs::set_permissions(&locks, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    home.ok(&["restore", "-t", "two"]);
    fs::set_permissions(&locks, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}
