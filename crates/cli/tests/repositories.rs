//! Several repositories of one database, and one that lost its files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{Database, Home, files_below};

/// Each repository gets its own base once, and from then on what it lacks, however the turns go.
#[test]
fn two_repositories_in_turns() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 300);
    home.ok(&["init", "-r", "A"]);
    home.ok(&["init", "-r", "B"]);
    let mut made: Vec<(&str, String, Vec<u8>)> = Vec::new();
    // Unchanged turns are among them, and several in a row for one repository.
    let turns = [
        ("A", 0),
        ("B", 0),
        ("A", 10),
        ("B", 20),
        ("B", 0),
        ("A", 0),
        ("A", 30),
        ("A", 40),
        ("A", 0),
        ("B", 0),
        ("B", 50),
        ("A", 60),
        ("A", 70),
        ("B", 80),
        ("A", 0),
        ("B", 0),
        ("B", 0),
        ("A", 90),
    ];
    for (turn, (repository, row)) in turns.into_iter().enumerate() {
        if row > 0 {
            database.change(row);
            database.change(row + 1);
        }
        if turn == 7 {
            database.add(40);
        }
        if turn == 12 {
            database.execute("DELETE FROM t WHERE a > 280; VACUUM");
        }
        let source = home.backup(&["app.db", "-r", repository]);
        let first = !made.iter().any(|(known, _, _)| *known == repository);
        assert_eq!(source["changed_from"].is_null(), first, "turn {turn}: {source}");
        let id = source["backup_id"].as_str().unwrap().to_owned();
        made.push((repository, id, database.bytes()));
    }
    for (repository, backups) in [("A", 10), ("B", 8)] {
        assert_eq!(bases(&home.path(repository)), 1, "{repository}");
        let check = home.json(&["check", "--read-data", "-r", repository]);
        assert_eq!(check["clean"], true, "{check}");
        assert_eq!(home.ids(&["-r", repository]).len(), backups);
    }
    for (turn, (repository, id, bytes)) in made.iter().enumerate() {
        assert!(home.restored(&["-r", repository, "-b", id]) == *bytes, "turn {turn}");
    }
    let lineages = |repository| {
        let list = home.json(&["backups", "-r", repository]);
        list.as_array().unwrap().iter().map(|b| b["sources"][0]["lineage"].to_string()).collect()
    };
    let (one, other): (Vec<_>, Vec<_>) = (lineages("A"), lineages("B"));
    assert!(one.iter().chain(&other).all(|lineage| *lineage == one[0]), "{one:?} {other:?}");
}

fn bases(repository: &Path) -> usize {
    files_below(repository).iter().filter(|file| file.to_str().unwrap().contains("/ltx/9/")).count()
}

/// A repository that lost files is not built upon: it gets the whole database again.
#[test]
fn a_repository_that_was_emptied_gets_a_base() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 20);
    home.ok(&["backup", "app.db"]);
    database.change(3);
    home.ok(&["backup", "app.db"]);
    let base = files_below(&home.repository())
        .into_iter()
        .find(|file| file.to_str().unwrap().contains("/ltx/9/"))
        .unwrap();
    std::fs::remove_file(base).unwrap();
    let ran = home.run(&["backup", "app.db"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("app: storing the whole database (transaction"), "{ran:?}");
    assert!(home.restored(&[]) == database.bytes());

    std::fs::remove_dir_all(home.repository()).unwrap();
    let ran = home.run(&["backup", "app.db"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("the repository does not hold this database yet"), "{ran:?}");
    assert!(home.restored(&[]) == database.bytes());
    home.ok(&["check", "--read-data"]);
}
