//! Forgetting by type and in few words, and bringing back, as a user does it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Database, Home};
use serde_json::Value;

fn home_with(backups: u32) -> (Home, Database, Vec<String>) {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 20);
    for row in 0..backups {
        database.change(row + 1);
        home.backup(&["app.db"]);
    }
    let mut ids = home.ids(&[]);
    ids.reverse();
    (home, database, ids)
}

#[test]
fn what_was_forgotten_comes_back() {
    let (home, database, ids) = home_with(3);
    assert_eq!(home.ok(&["undelete"]), "nothing to bring back\n");
    let before = home.json(&["backups"]);
    let done = home.ok(&["forget", "--keep", "last 1"]);
    assert!(done.contains("\n`lifeboat undelete` brings it back, until 2"), "{done}");
    assert_eq!(home.ids(&[]).len(), 1);

    let listed = home.ok(&["undelete"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["ID", "TIME", "HOST", "UNTIL", "SOURCES"]
    );
    assert!(listed.contains(&ids[0][..8]) && listed.contains(&ids[1][..8]), "{listed}");
    assert!(lines[3].starts_with("`lifeboat undelete ID` or --all brings back"), "{listed}");
    assert_eq!(lines.len(), 4);

    home.run(&["undelete", &ids[2]]).fails(
        1,
        "no forgotten backup",
        "`lifeboat undelete` lists what can be brought back",
    );
    home.run(&["undelete", &ids[2], "--all"]).fails_usage("cannot be used with");
    let plan = home.json(&["undelete", &ids[0], "--dry-run"]);
    assert_eq!(plan["backups"][0]["id"], ids[0].as_str());
    assert_eq!(plan["backups"][0]["sources"], Value::from(vec!["app"]));
    assert_eq!(home.ids(&[]).len(), 1);
    assert_eq!(home.ok(&["undelete", &ids[0][..8]]), "brought 1 backup back\n");
    home.ok(&["prune"]);
    assert_eq!(home.json(&["undelete", "--all"])["backups"][0]["undeleted"], true);
    assert_eq!(home.json(&["backups"]), before);
    assert_eq!(home.ok(&["undelete"]), "nothing to bring back\n");
    assert_eq!(home.ok(&["undelete", "--all"]), "brought 0 backups back\n");
    assert_eq!(home.restored(&[]), database.bytes());
    home.ok(&["check", "--read-data"]);
}

#[test]
fn each_type_is_counted_by_itself() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 10);
    home.write(
        "lifeboat.toml",
        "[repository.local]\nurl = 'repository'\nkeep = 'last 1'\n\
         [type.full]\nkeep = 'last 2'\n[type.config]\nkeep = 'all'\n[database.app]\npath = 'app.db'\n",
    );
    home.write(".config/lifeboat/password", "secret\n");
    home.ok(&["init"]);
    let mut row = 0;
    for round in 0..3 {
        for words in [&["--type", "full"][..], &["--type", "config"], &[]] {
            row += 1;
            database.change(row + round);
            home.ok(&[&["backup"], words].concat());
        }
    }
    home.run(&["backup", "--type", "Full"]).fails_usage("a type of a-z, 0-9 and -");
    assert_eq!(home.ids(&["--type", "full"]).len(), 3);
    assert!(home.ok(&["backups"]).contains("[config]"));
    assert_eq!(home.json(&["backups", "--type", "config"])[0]["type"], "config");

    let shown = home.ok(&["forget", "--dry-run"]);
    for heading in [", type full\n", ", type config\n", "app on "] {
        assert!(shown.contains(heading), "{shown}");
    }
    assert!(shown.ends_with("would forget 3 backups\n"), "{shown}");
    let full = home.json(&["forget", "--type", "full", "--keep", "last 1", "-n"]);
    assert_eq!(full["forgotten"].as_array().unwrap().len(), 2);
    assert_eq!(full["groups"][0]["type"], "full");
    home.ok(&["forget"]);
    let left = |name: &str| home.ids(&["--type", name]).len();
    assert_eq!((left("full"), left("config"), home.ids(&[]).len()), (2, 3, 6));
}

#[test]
fn rules_in_few_words() {
    let (home, _, ids) = home_with(3);
    let kept = |rules: &str| {
        let plan = home.json(&["forget", "--keep", rules, "-n"]);
        3 - plan["forgotten"].as_array().unwrap().len()
    };
    // Of one day the newest stays, and the oldest of all.
    assert_eq!((kept("last 2"), kept("all"), kept("30 days"), kept("7/4/12")), (2, 3, 3, 2));
    for wrong in ["last 0", "7", "0/0/0"] {
        let ran = home.run(&["forget", "--keep", wrong]);
        ran.fails_usage("\"last 5\", \"30 days\", \"7/4/12\" (days/weeks/months) or \"all\"");
    }
    home.run(&["forget", "--keep", "last 1", "-l", "2"]).fails(2, "both with --keep and", "-d 7");
    home.run(&["forget", "--keep", "last 1", &ids[0]]).fails(2, "backups are named", "--keep-*");
    assert_eq!(home.ids(&[]).len(), 3);
}

#[test]
fn a_prune_merges_what_lies_between_backups() {
    let home = Home::new();
    home.write("lifeboat.toml", "[points]\nladder = ['all for 0s']\n");
    let database = Database::create(&home.path("app.db"), "wal", 20);
    let mut images = Vec::new();
    for row in 1..=4 {
        database.change(row);
        home.backup(&["app.db"]);
        images.push(database.bytes());
    }
    let mut ids = home.ids(&[]);
    ids.reverse();
    home.ok(&["forget", &ids[1], &ids[2]]);
    let plan = home.ok(&["prune", "--dry-run", "--verbose"]);
    assert!(plan.starts_with("would merge 3 files ("), "{plan}");
    assert!(plan.contains(" into 1: between backups, or of one day\n"), "{plan}");
    assert!(plan.contains("  3 files  transactions 2 to 4\n"), "{plan}");
    let merge = &home.json(&["prune", "-n"])["merge"];
    assert_eq!((merge[0]["files"].as_u64(), merge[0]["level"].as_u64()), (Some(3), Some(8)));
    let done = home.ok(&["prune"]);
    assert!(done.starts_with("merged 3 files into 1 ("), "{done}");
    assert!(done.contains("announced 3 objects ("), "{done}");
    assert!(home.ok(&["stats"]).contains("spans between backups "));

    // The backups in between are still there to come back, and keep what they need.
    assert_eq!(home.ok(&["undelete", "--all"]), "brought 2 backups back\n");
    assert_eq!(home.json(&["prune", "--grace", "0"])["compact"]["merges"], 0);
    for (id, image) in ids.iter().zip(&images) {
        assert!(home.restored(&["-b", id]) == *image, "{id}");
    }
    home.ok(&["check", "--read-data"]);
}

#[test]
fn points_of_the_configuration() {
    let home = Home::new();
    let text = |points: &str| {
        format!(
            "[points]\nladder = ['all for 2h', '1m for 2d']\n[database.app]\npath = 'app.db'\n{points}"
        )
    };
    home.write("lifeboat.toml", text(""));
    Database::create(&home.path("app.db"), "wal", 5);
    let general = ["all for 2h", "1m for 2d"];
    assert_eq!(home.backup(&[])["points"], Value::from(general.to_vec()));
    assert!(home.ok(&["config", "show"]).contains("ladder = [\"all for 2h\", \"1m for 2d\"]"));
    home.write("lifeboat.toml", text("points = ['all for 3h']\n"));
    assert_eq!(home.backup(&[])["points"], Value::from(vec!["all for 3h"]));
    home.write("lifeboat.toml", text("points = ['all for 3h', '1m for 1h']\n"));
    home.run(&["stats"]).fails(
        2,
        "longer than the one before, found \"1m for 1h\"",
        "correct line 5",
    );
    std::fs::remove_file(home.path("lifeboat.toml")).unwrap();
    assert_eq!(home.backup(&["app.db"])["points"], Value::Null);
}
