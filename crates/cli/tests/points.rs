//! Points as a user sees them, and what Litestream wrote by itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::{Database, Home, files_below};
use serde_json::Value;

/// A home with points, one for each change, and what the database was then.
fn points(home: &Home, database: &Database, count: u32) -> Vec<Vec<u8>> {
    let made = (1..=count).map(|row| {
        database.change(row);
        home.ok(&["backup", "app.db"]);
        database.bytes()
    });
    made.collect()
}

fn texts<'a>(points: &'a Value, member: &str) -> Vec<&'a str> {
    points.as_array().unwrap().iter().map(|point| point[member].as_str().unwrap()).collect()
}

#[test]
fn points_are_shown_and_taken_as_shown() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 20);
    let made = points(&home, &database, 3);

    let listed = home.json(&["points", "app", "--all"]);
    let lineage = &listed[0]["lineages"][0];
    assert_eq!((&lineage["count"], &lineage["unreachable"]), (&3.into(), &Value::Null));
    assert_eq!(lineage["ranges"][0]["count"], 3);
    let txids: Vec<_> = (1..=3).rev().map(|number| format!("{number:016x}")).collect();
    assert_eq!(texts(&lineage["points"], "txid"), txids);
    let kept = lineage["backups"].as_array().unwrap().iter();
    let kept: Vec<_> = kept.map(|point| point["backup_ids"][0].as_str().unwrap()).collect();
    assert_eq!(kept, home.ids(&[]));

    let text = home.ok(&["points"]);
    let lines: Vec<&str> = text.lines().collect();
    let host = listed[0]["host"].as_str().unwrap();
    let id = lineage["lineage"].as_str().unwrap();
    assert_eq!(lines[0], format!("app on {host}"));
    assert_eq!(lines[1], format!("lineage {id}: 3 points"));
    assert!(lines[2].starts_with("FROM ") && lines[3].contains("  3  "), "{text}");
    assert!(lines[3].ends_with(&format!("1-3   {} +2", &kept[0][..8])), "{text}");
    assert!(lines[5].starts_with("  last hour ") && lines[5].ends_with('O'), "{text}");

    // The oldest, by the text of the table and by JSON's; a millisecond earlier there was none.
    let oldest = texts(&lineage["points"], "time")[2];
    let shown = lines[3].split("  ").next().unwrap();
    for time in [shown, oldest] {
        assert!(home.restored(&["--at", time]) == made[0], "{time}");
    }
    assert!(home.restored(&["app", "--at", "now"]) == made[2]);
    assert!(home.restored(&["--txid", "2"]) == made[1]);
    let dumped = home.command(&["dump", "--txid", "2"]).output().unwrap();
    assert!(dumped.stdout == made[1], "{:?}", dumped.status);
    let plan = home.ok(&["restore", "--txid", "2", "-n", "-t", "x.db"]);
    assert!(plan.contains(&format!("(transaction {} of lineage {id} on {host})", txids[1])));
    let summary = home.json(&["restore", "--txid", "2", "-t", "x.db"]);
    assert_eq!(
        (&summary["lineage"], &summary["txid"]),
        (&lineage["lineage"], &txids[1].clone().into())
    );

    home.run(&["restore", "--at", "1h ago"]).fails(1, "no point at or before", "(transaction 1)");
    home.run(&["restore", "--txid", "9"]).fails(1, "no point 0000000000000009", "its points are");
    home.run(&["restore", "--at", "noon"]).fails(2, "\"noon\" is no time", "15m ago");
    home.run(&["restore", "--txid", "xyz"]).fails(2, "\"xyz\" is no transaction", "hex digits");
    home.run(&["points", "web"]).fails(1, "no database web", "lifeboat points");
    for wrong in [
        &["restore", "--at", "now", "--txid", "1"][..],
        &["restore", "--at", "now", "--backup", "latest"],
        &["dump", "--txid", "1", "--backup", "latest"],
        &["restore", "--lineage", id],
    ] {
        assert_eq!(home.run(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn an_older_point_is_taken_loudly() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 20);
    let made = points(&home, &database, 3);
    let second =
        |path: &std::path::PathBuf| path.to_str().unwrap().contains("/0/0000000000000002-");
    fs::remove_file(files_below(&home.repository()).iter().find(|path| second(path)).unwrap())
        .unwrap();
    let ran = home.run(&["restore", "--at", "now", "-t", "x.db"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("warning: this is not the point that was meant"), "{ran:?}");
    assert!(ran.out.contains("(transaction 0000000000000001"), "{ran:?}");
    assert!(fs::read(home.path("x.db")).unwrap() == made[0]);
    home.run(&["restore", "--txid", "3", "-t", "y.db"]).fails(
        1,
        "transaction 0000000000000003 of lineage",
        "(transaction 1) before it can be restored",
    );
    assert!(!home.path("y.db").exists());
    let ran = home.run(&["points"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("warning: what leads to transaction 3 of"), "{ran:?}");
}

/// A lineage of ours without its repository is what Litestream leaves.
#[test]
fn replicas_are_read_and_not_written_to() {
    let home = Home::new();
    home.ok(&["init", "--form", "litestream"]);
    let database = Database::create(&home.path("app.db"), "wal", 20);
    let made = points(&home, &database, 3);
    for file in files_below(&home.repository().join("databases")) {
        let name = file.to_str().unwrap();
        let Some((_, rest)) = name.split_once("/ltx/") else { continue };
        let (level, name) = rest.split_once('/').unwrap();
        for place in [format!("plain/ltx/{level}"), format!("bucket/app/000{level}")] {
            fs::create_dir_all(home.path(&place)).unwrap();
            let copy = home.path(&format!("{place}/{name}"));
            fs::copy(&file, &copy).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            fs::File::options().append(true).open(copy).unwrap().set_modified(modified).unwrap();
        }
    }
    let before = files_below(home.directory());
    let times = home.json(&["points", "--all"]);
    for (replica, name) in [("plain", "plain"), ("bucket", "app")] {
        let listed = home.json(&["-r", replica, "points", "--all"]);
        assert_eq!(
            (&listed[0]["host"], &listed[0]["database"]),
            (&"litestream".into(), &name.into())
        );
        assert_eq!(listed[0]["lineages"][0]["points"], times[0]["lineages"][0]["points"]);
        assert!(home.restored(&["-r", replica]) == made[2]);
        assert!(home.restored(&["-r", replica, name, "--txid", "2"]) == made[1]);
        let ran = home.command(&["-r", replica, "dump"]).output().unwrap();
        assert!(ran.stdout == made[2], "{:?}", ran.status);
        let checked = home.ok(&["-r", replica, "check", "--read-data"]);
        assert!(checked.starts_with("no damage: 3 files, "), "{checked}");
        home.run(&["-r", replica, "restore"]).fails(2, "came from is not known", "--target");
        for wrong in [&["backup", "app.db"][..], &["prune"]] {
            let arguments: Vec<&str> = ["-r", replica].iter().chain(wrong).copied().collect();
            home.run(&arguments).fails(10, "can only be read", "make a repository elsewhere");
        }
    }
    home.write("odd/ltx", "a file");
    home.write("odd/app/ltx", "a file");
    home.run(&["-r", "odd", "points"]).fails(10, "no repository at", "lifeboat init");
    fs::remove_dir_all(home.path("odd")).unwrap();
    home.run(&["-r", "plain", "init"]).fails(10, "can only be read", "elsewhere");
    let after = files_below(home.directory());
    let new =
        |file: &&std::path::PathBuf| !before.contains(file) && !file.starts_with(home.state());
    assert_eq!(after.iter().filter(new).collect::<Vec<_>>(), Vec::<&std::path::PathBuf>::new());
}
