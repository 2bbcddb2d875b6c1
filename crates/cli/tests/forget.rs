//! Forgetting, pruning and cleaning up as a user does it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, SystemTime};

use common::{Database, Home, files_below};
use serde_json::Value;

/// A home with so many backups of `app.db`; their ids, the oldest first.
fn home_with(backups: usize) -> (Home, Database, Vec<String>) {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 20);
    for row in 0..backups {
        database.change(u32::try_from(row).unwrap() + 1);
        home.backup(&["app.db"]);
    }
    let mut ids = home.ids(&[]);
    ids.reverse();
    (home, database, ids)
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

/// Lets everything in the repository look two days old.
fn let_it_age(home: &Home) {
    let then = SystemTime::now() - Duration::from_secs(48 * 60 * 60);
    for path in files_below(&home.repository()) {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }
}

#[test]
fn rules_of_the_command_line() {
    let (home, _, ids) = home_with(4);
    let shown = home.ok(&["forget", "--keep-last", "2", "--keep-daily", "1", "--dry-run"]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("app on "), "{shown}");
    for (line, (id, action)) in
        lines[1..5].iter().zip(ids.iter().rev().zip(["keep", "keep", "forget", "forget"]))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[..2], [action, &id[..8]], "{shown}");
    }
    assert!(lines[1].ends_with("last, daily") && lines[2].ends_with("last"), "{shown}");
    assert_eq!(lines[5..], ["would forget 2 backups"]);
    assert_eq!(home.ids(&[]).len(), 4);

    let plan = home.json(&["forget", "-l", "2", "-n"]);
    assert_eq!(texts(&plan["forgotten"]), [&ids[1], &ids[0]]);
    let backup = &plan["groups"][0]["backups"][0];
    assert_eq!((&backup["id"], &backup["keep"]), (&ids[3].as_str().into(), &true.into()));
    assert_eq!(texts(&backup["reasons"]), ["last"]);

    let done = home.ok(&["forget", "-l", "2"]);
    assert!(done.contains("\nforgot 2 backups; `lifeboat prune` frees what nothing else needs\n"));
    assert!(done.contains("\n`lifeboat undelete` brings it back, until 2"), "{done}");
    assert_eq!(home.ids(&[]), [ids[3].clone(), ids[2].clone()]);
    assert!(home.ok(&["forget", "-l", "2"]).ends_with("\nforgot 0 backups\n"));
    home.ok(&["check", "--read-data"]);
}

#[test]
fn named_backups_and_what_no_rule_drops() {
    let (home, _, ids) = home_with(3);
    let safety = home.backup(&["app.db", "--tag", "safety"])["backup_id"].clone();
    let newest = home.backup(&["app.db"])["backup_id"].clone();
    let shown = home.ok(&["forget", "--keep-last", "1"]);
    assert!(shown.contains("tagged safety") && shown.contains("#safety"), "{shown}");
    let left = home.ids(&[]);
    assert_eq!(left, [newest.as_str().unwrap(), safety.as_str().unwrap()]);

    home.run(&["forget", "--keep-tag", "nightly"]).fails(
        1,
        "refusing to forget every backup of app on",
        "add --keep-last 1 to the rules, or name the backups that go: lifeboat forget ID",
    );
    home.run(&["forget", &ids[0]]).fails(1, "no backup", "lists what there is");
    home.run(&["forget", &left[0], "--keep-last", "1"]).fails(2, "backups are named", "--keep-*");
    home.run(&["forget", "--keep-within", "1w"]).fails_usage("an age like 1y2m3d4h");
    home.run(&["forget", "--keep-last=-1"]).fails_usage("a number or \"unlimited\"");
    assert_eq!(home.ids(&[]).len(), 2);

    // By id anything goes, the last one too.
    home.ok(&["forget", &left[1][..8], &left[0]]);
    assert!(home.ids(&[]).is_empty());
    home.ok(&["check"]);
}

/// The script that it replaces keeps the five most recent.
#[test]
fn the_sixth_backup_leaves_five() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 10);
    home.write(
        "lifeboat.toml",
        "[repository.local]\nurl = 'repository'\nkeep = { last = 5 }\n[database.app]\npath = 'app.db'\n",
    );
    home.write(".config/lifeboat/password", "secret\n");
    home.ok(&["init"]);
    let mut made = Vec::new();
    for row in 1..=6 {
        database.change(row);
        home.ok(&["backup", "--verify", "--cleanup"]);
        made.insert(0, home.ids(&[])[0].clone());
        assert_eq!(home.ids(&[]).len(), usize::try_from(row).unwrap().min(5));
    }
    assert_eq!(home.ids(&[]), made[..5]);
    home.restored(&["-b", &made[4]]);
}

#[test]
fn rules_of_the_configuration() {
    let home = Home::new();
    let app = Database::create(&home.path("app.db"), "wal", 5);
    let web = Database::create(&home.path("web.db"), "wal", 5);
    home.write(
        "lifeboat.toml",
        "host = 'pi'\n[repository.local]\nurl = 'repository'\nkeep = { last = 1 }\n\
         [database.app]\npath = 'app.db'\nkeep = { last = 2 }\n[database.web]\npath = 'web.db'\n",
    );
    home.write(".config/lifeboat/password", "secret\n");
    home.ok(&["init"]);
    for row in 1..4 {
        app.change(row);
        web.change(row);
        home.ok(&["backup"]);
    }
    let plan = home.json(&["forget", "--dry-run"]);
    assert_eq!(plan["forgotten"].as_array().unwrap().len(), 1);
    assert_eq!(texts(&plan["revised"][0]["sources"]), ["web"]);
    let done = home.ok(&["forget"]);
    assert!(done.contains("last; without web"), "{done}");
    assert!(done.contains("forgot 1 backup, and sources of 1 other;"), "{done}");
    let backups = home.json(&["backups"]);
    let names = |at: usize| -> Vec<String> {
        let sources = backups[at]["sources"].as_array().unwrap().iter();
        sources.map(|source| source["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((names(0), names(1)), (vec!["app".into(), "web".into()], vec!["app".into()]));
    assert_eq!(backups[1]["revision"], 2);
    home.ok(&["check", "--read-data"]);
    let former = home.ids(&[])[1].clone();
    home.restored(&["app", "-b", &former]);

    // And so a backup cleans up, if it is asked to.
    app.change(1);
    let summary = home.json(&["backup", "--cleanup"]);
    assert_eq!(texts(&summary["cleanup"]["forget"]["forgotten"]), [former]);
    assert_eq!(summary["cleanup"]["prune"]["removed_objects"], 0);
    assert_eq!(home.ids(&[]).len(), 2);
    std::fs::remove_file(home.path("web.db")).unwrap();
    let ran = home.run(&["backup", "--cleanup"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(home.ids(&[]).len(), 3, "a partial backup forgets nothing");
}

#[test]
fn prune_takes_two_runs_a_day_apart() {
    let (home, database, ids) = home_with(2);
    let nothing = home.ok(&["prune"]);
    assert!(nothing.starts_with("removed 0 objects (0 B)\nthe repository uses "), "{nothing}");
    assert_eq!(nothing.lines().count(), 2);
    // The state is lost: a lineage begins.
    std::fs::remove_dir_all(home.state()).unwrap();
    let ladder = "[points]\nladder = ['all for 0s']\n";
    home.write("lifeboat.toml", format!("host = '{}'\n{ladder}", home_host(&home)));
    database.change(9);
    let newest = home.backup(&["app.db"])["backup_id"].as_str().unwrap().to_owned();
    assert_eq!(home.json(&["prune"])["announced_objects"], 0);
    home.ok(&["forget", &ids[0], &ids[1]]);
    assert_eq!(home.json(&["prune"])["announced_objects"], 0, "it was written to just now");
    let_it_age(&home);

    let before = files_below(&home.repository()).len();
    let shown = home.ok(&["prune", "--dry-run", "--verbose"]);
    assert!(shown.contains("would announce, to be removed later: 3 objects ("), "{shown}");
    assert_eq!(shown.matches("  superseded  databases/").count(), 3, "{shown}");
    assert_eq!(home.json(&["prune", "-n"])["announce"].as_array().unwrap().len(), 3);
    assert_eq!(files_below(&home.repository()).len(), before);

    let done = home.ok(&["prune"]);
    assert!(done.starts_with("removed 0 objects (0 B), announced 3 objects ("), "{done}");
    assert!(done.contains(" for removal by a later prune\n"), "{done}");
    assert!(done.contains(", of which prunes will free "), "{done}");
    let waiting = home.ok(&["prune"]);
    assert!(waiting.starts_with("removed 0 objects (0 B), 3 objects ("), "{waiting}");
    assert!(waiting.contains(" not due yet\n"), "{waiting}");
    home.ok(&["check", "--read-data"]);

    // Who is in a hurry announces again with less patience.
    for notice in files_below(&home.repository().join("deletions")) {
        std::fs::remove_file(notice).unwrap();
    }
    assert_eq!(home.json(&["prune", "--grace", "0"])["announced_objects"], 3);
    let done = home.json(&["prune", "--grace", "0"]);
    assert_eq!(done["removed_objects"], 3);
    assert!(done["removed_bytes"].as_u64().unwrap() > 10_000);
    assert_eq!(home.ids(&[]), [newest]);
    assert_eq!(home.restored(&[]), database.bytes());
    home.ok(&["check", "--read-data"]);
}

/// The name of this host in the repository, as its only directory of backups shows it.
fn home_host(home: &Home) -> String {
    let mut hosts = std::fs::read_dir(home.repository().join("backups")).unwrap();
    hosts.next().unwrap().unwrap().file_name().into_string().unwrap()
}
