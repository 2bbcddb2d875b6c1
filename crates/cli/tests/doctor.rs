//! `lifeboat doctor` through the program: text, JSON, exit codes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Database, Home, files_below};

#[test]
fn exit_codes_say_how_bad_it_is() {
    let home = Home::new();
    let ran = home.run(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(files_below(home.directory()).is_empty());
    assert!(ran.out.contains("\n0 problems, 1 warning\n"), "{ran:?}");

    let _database = Database::create(&home.path("app.db"), "wal", 20);
    assert_eq!(home.run(&["doctor", "app.db", "--integrity"]).code, Some(0));
    assert_eq!(home.run(&["doctor", "app.db", "nothing.db"]).code, Some(1));
    home.write("text.db", "no database");
    let ran = home.run(&["doctor", "nothing.db", "text.db"]);
    assert_eq!(ran.code, Some(22), "{ran:?}");
    assert!(ran.err.is_empty(), "{ran:?}");
    home.write("lifeboat.toml", "[databse.x]");
    assert_eq!(home.run(&["doctor", "app.db"]).code, Some(1));
}

#[test]
fn every_line_fits_and_every_problem_has_a_remedy() {
    let home = Home::new();
    home.write("lifeboat.toml", "[repository.far]\nurl = 'far'\n[database.a]\npath = 'nothing.db'");
    home.write("text.db", "no database");
    let ran = home.run(&["doctor", "a", "text.db"]);
    // A path is longer than a line may be, and is not broken.
    let long = |line: &&str| line.chars().count() > 80 && !line.contains('/');
    assert_eq!(ran.out.lines().find(long), None, "{}", ran.out);
    assert!(ran.out.contains("  problem  content         it is not an SQLite database, but text"));
    assert!(ran.out.contains("\n                           → name the database, not"));

    let ran = home.run(&["doctor", "a", "text.db", "--json"]);
    let findings: Vec<serde_json::Value> = serde_json::from_str(&ran.out).unwrap();
    for finding in &findings {
        assert!(finding["found"].is_string() && finding["examined"].is_string(), "{finding}");
        assert_eq!(finding["severity"] == "ok", finding["remedy"].is_null(), "{finding}");
    }
    let areas: Vec<&str> = findings.iter().map(|it| it["area"].as_str().unwrap()).collect();
    for area in ["engine", "configuration", "state", "clock", "repository", "database"] {
        assert!(areas.contains(&area), "{area} of {areas:?}");
    }
    let quiet = home.run(&["doctor", "a", "text.db", "--quiet"]);
    assert!(!quiet.out.contains("  ok  ") && quiet.out.contains("  problem  "), "{quiet:?}");
}
