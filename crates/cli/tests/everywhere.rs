//! One backup in several repositories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use common::{Database, Home, require_tool};
use serde_json::{Value, json};

/// A home with a database among files, and three repositories, each with a password of its own.
fn home() -> (Home, Database) {
    let home = Home::new();
    let database = Database::create(&home.path("app/data/app.db"), "wal", 60);
    home.write("app/notes.txt", "one\ntwo\n");
    let mut config = String::from(
        "[database.app]\npath = \"app/data/app.db\"\n[files.notes]\npaths = [\"app\"]\n",
    );
    for name in ["first", "second", "third"] {
        home.write(&format!("{name}.password"), format!("{name} battery staple\n"));
        config += &format!(
            "[repository.{name}]\nurl = \"{name}\"\npassword-file = \"{name}.password\"\n"
        );
    }
    home.write("lifeboat.toml", config);
    for name in ["first", "second", "third"] {
        home.ok(&["init", "-r", name]);
    }
    (home, database)
}

fn other<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let others = summary["others"].as_array().unwrap();
    others.iter().find(|other| other["name"] == name).unwrap()
}

const NAMES: [&str; 3] = ["first", "second", "third"];

/// The database as each repository has it.
fn restored(home: &Home) -> [Vec<u8>; 3] {
    NAMES.map(|name| home.restored(&["-r", name, "app"]))
}

/// All of them are sound to the last byte, and have these backups.
fn all_hold(home: &Home, expected: &[String]) {
    for name in NAMES {
        assert_eq!(home.ids(&["-r", name]), expected, "{name}");
    }
    let checked = home.ok(&["check", "--read-data"]);
    let sound = format!("no damage: {} backup", expected.len());
    assert_eq!(checked.matches(&sound).count(), 3, "{checked}");
    NAMES.iter().for_each(|name| assert!(checked.contains(&format!("{name}:\n")), "{checked}"));
}

#[test]
fn a_backup_is_in_all_of_them() {
    let (home, database) = home();
    let first = home.json(&["backup"]);
    database.add(5);
    home.write("app/notes.txt", "three\n");
    let summary = home.json(&["backup"]);
    assert_eq!(summary["partial"], false);
    for name in ["second", "third"] {
        let other = other(&summary, name);
        assert_eq!(other["complete"], true, "{other}");
        assert_eq!(other["copied"], json!([summary["backup_id"]]));
        // What changed, and not all of it again.
        assert!(other["stored_bytes"].as_u64() < Some(40_000), "{other}");
    }
    let ids = [&summary, &first].map(|one| one["backup_id"].as_str().unwrap().to_owned());
    all_hold(&home, &ids);
    for bytes in restored(&home) {
        assert!(bytes == database.bytes());
    }
}

/// Whichever it is, also the one that is read for: two have the backup, the next one brings the third what it lacks.
#[test]
fn one_that_is_away_catches_up() {
    for away in NAMES {
        let (home, database) = home();
        let mut ids = vec![home.json(&["backup"])["backup_id"].as_str().unwrap().to_owned()];
        let (place, elsewhere) = (home.path(away), home.path("elsewhere"));
        fs::rename(&place, &elsewhere).unwrap();
        for rows in [3, 4] {
            database.add(rows);
            let ran = home.run(&["backup", "--json"]);
            assert_eq!(ran.code, Some(3), "{ran:?}");
            assert!(!place.exists(), "nothing is made where a disk is not mounted");
            let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
            assert_eq!(summary["partial"], true);
            let failed = other(&summary, away);
            assert_eq!(failed["complete"], false);
            assert!(failed["error"].as_str().unwrap().contains("no repository"), "{failed}");
            assert!(ran.err.contains(away), "{ran:?}");
            ids.insert(0, summary["backup_id"].as_str().unwrap().to_owned());
        }
        fs::rename(&elsewhere, &place).unwrap();
        database.add(2);
        let summary = home.json(&["backup"]);
        ids.insert(0, summary["backup_id"].as_str().unwrap().to_owned());
        // Nobody stored the database again, whoever it was read for.
        assert!(summary["sources"][0]["changed_pages"].as_u64() < Some(30), "{summary}");
        all_hold(&home, &ids);
        for bytes in restored(&home) {
            assert!(bytes == database.bytes(), "{away}");
        }
    }
}

#[test]
fn none_there_is_an_error() {
    let (home, _database) = home();
    NAMES
        .iter()
        .for_each(|name| fs::rename(home.path(name), home.path(&format!("no-{name}"))).unwrap());
    home.run(&["backup"]).fails(10, "no repository", "init");
}

#[test]
fn a_run_can_be_limited_to_one() {
    let (home, database) = home();
    home.ok(&["backup"]);
    database.add(1);
    let summary = home.json(&["backup", "-r", "second"]);
    assert_eq!(summary["others"], json!([]));
    assert_eq!(NAMES.map(|name| home.ids(&["-r", name]).len()), [1, 2, 1]);
    database.add(1);
    home.ok(&["backup"]);
    // The others get it then.
    assert_eq!(NAMES.map(|name| home.ids(&["-r", name]).len()), [3, 3, 3]);
    home.ok(&["check", "--read-data"]);
}

/// Each keeps what its own rules say, and what it has forgotten does not come back.
#[test]
fn each_has_rules_of_its_own() {
    let (home, database) = home();
    let mut config = fs::read_to_string(home.path("lifeboat.toml")).unwrap();
    for (name, keep) in NAMES.iter().zip([9, 2, 1]) {
        let table = format!("[repository.{name}]");
        config = config.replace(&table, &format!("{table}\nkeep = 'last {keep}'"));
    }
    home.write("lifeboat.toml", config);
    for _ in 0..3 {
        database.add(1);
        home.ok(&["backup", "--cleanup"]);
    }
    assert_eq!(NAMES.map(|name| home.ids(&["-r", name]).len()), [3, 2, 1]);
    home.ok(&["check", "--read-data"]);
}

/// The beginning of the table of a bucket whose server this is.
fn s3_at(server: &TcpListener) -> String {
    let port = server.local_addr().unwrap().port();
    format!(
        "url = 's3://bucket'\nendpoint = 'http://127.0.0.1:{port}'\naccess-key = 'a'\nsecret-key = 'b'"
    )
}

/// One that takes a connection and says nothing keeps no other waiting.
#[test]
fn one_that_does_not_answer_delays_none() {
    let (home, _database) = home();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = fs::read_to_string(home.path("lifeboat.toml")).unwrap();
    home.write("lifeboat.toml", config.replace("url = \"third\"", &s3_at(&silent)));
    let mut backup = home.command(&["backup"]).stdout(Stdio::null()).spawn().unwrap();
    while home.ids(&["-r", "first"]).is_empty() || home.ids(&["-r", "second"]).is_empty() {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(backup.try_wait().unwrap().is_none(), "it still waits for the third");
    backup.kill().unwrap();
    backup.wait().unwrap();
}

/// Nor does it keep those waiting that are looked at before it.
#[test]
fn one_that_does_not_answer_is_looked_at_last() {
    let (home, _database) = home();
    home.ok(&["backup"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = fs::read_to_string(home.path("lifeboat.toml")).unwrap();
    home.write("lifeboat.toml", config.replace("url = \"third\"", &s3_at(&silent)));
    let mut check = home.command(&["check"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(check.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.take(4).collect();
    assert_eq!([&told[0], &told[2]], ["first:", "second:"]);
    assert!([&told[1], &told[3]].iter().all(|line| line.contains("no damage")), "{told:?}");
    assert!(silent.accept().is_ok(), "it is asked meanwhile");
    check.kill().unwrap();
    check.wait().unwrap();
}

/// What is wrong with a request is told before anybody is asked: a repository that does not answer is waited for two
/// minutes, and none is connected to here.
#[test]
fn a_wrong_request_asks_no_repository() {
    let (home, _database) = home();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let config = fs::read_to_string(home.path("lifeboat.toml")).unwrap();
    let url = s3_at(&server);
    let config = config.replace("url = \"third\"", &url);
    home.write("lifeboat.toml", config + "[type.nothing]\nsources = []\n");
    for (arguments, problem) in [
        (&["backup", "nowhere.db"][..], "nowhere.db"),
        (&["backup", "--type", "nothing"], "no source of the configuration belongs to"),
        (&["backup", "--databases-only", "app/notes.txt"], "app/notes.txt"),
        (&["forget", "--keep-last", "1", "0123456789abcdef"], "rules are given"),
    ] {
        let ran = home.run(arguments);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(ran.err.contains(problem), "{ran:?}");
        assert_eq!(server.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{arguments:?}");
    }
    let ran = home.run(&["backup", "nowhere.db", "--json"]);
    let events = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told: Vec<Value> = events.map(|event| event["message_type"].clone()).collect();
    assert_eq!(told, ["backup_started", "backup_failed"], "{ran:?}");
}

/// A host that holds no secrets cannot copy: it stores in each by itself.
#[test]
fn a_host_without_secrets_stores_in_each() {
    if !require_tool("age") {
        return;
    }
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 60);
    let person = home.program("age-keygen").args(["-o", "person.key"]).output().unwrap();
    let person = String::from_utf8(person.stderr).unwrap().replace("Public key: ", "");
    let mut config = "[database.app]\npath = 'app.db'\n".to_owned();
    for name in ["first", "second"] {
        home.ok(&["init", "-r", name, "--recipient", person.trim()]);
        config += &format!("[repository.{name}]\nurl = '{name}'\n");
    }
    home.write("lifeboat.toml", config);
    for _ in 0..2 {
        database.add(1);
        home.ok(&["backup"]);
    }
    for name in ["first", "second"] {
        let bytes = home.restored(&["-r", name, "--identity", "person.key"]);
        assert!(bytes == database.bytes());
        assert_eq!(home.ids(&["-r", name, "--identity", "person.key"]).len(), 2);
    }
}
