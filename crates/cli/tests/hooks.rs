//! Commands around a backup: what is stopped before is started again, whatever happens in between.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Database, Home, is_root};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

/// Each hook writes a line: what it is of, and how it went.
const TELL: &str = r#"'echo "$LIFEBOAT_HOOK $LIFEBOAT_SOURCE $LIFEBOAT_STATUS" >> told'"#;

/// Two databases, and a configuration: of all, of `one`, of `two`.
fn home(all: &str, one: &str, two: &str) -> Home {
    let home = Home::new();
    for name in ["one", "two"] {
        Database::create(&home.path(&format!("{name}.db")), "wal", 5);
    }
    let config = format!(
        "[hooks]\n{all}\n[database.one]\npath = 'one.db'\nhooks = {{ {one} }}\n\
         [database.two]\npath = 'two.db'\nhooks = {{ {two} }}\n"
    );
    home.write("lifeboat.toml", config.replace("TELL", TELL));
    home
}

const ALL: &str = "before = TELL\nafter = TELL\non-failure = TELL\n";
const EACH: &str = "before = TELL, after = TELL, on-failure = TELL";

/// What hooks have told since, line by line.
fn told(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.path("told")).unwrap_or_default();
    let _ = std::fs::remove_file(home.path("told"));
    text.lines().map(|line| line.trim().replace("  ", " ")).collect()
}

fn names(summary: &Value) -> Vec<&str> {
    let sources = summary["sources"].as_array().unwrap().iter();
    sources.map(|source| source["name"].as_str().unwrap()).collect()
}

#[test]
fn they_run_around_the_backup_and_each_source() {
    let home =
        home(ALL, EACH, "after = ['sh', '-c', 'cat \"$LIFEBOAT_PATH\" | wc -c; env > seen']");
    let mut command = home.command(&["backup", "--cleanup", "--json"]);
    let output = command.env("LIFEBOAT_PASSWORD", "a secret word").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(told(&home), ["before", "before one", "after one success", "after success"]);
    // What they print is no part of the result.
    let out = String::from_utf8(output.stdout).unwrap();
    let lines = out.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
    let summary = lines.last().unwrap();
    assert_eq!(names(summary), ["one", "two"]);
    let size = home.path("two.db").metadata().unwrap().len().to_string();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains(&size), "{messages}");
    let seen = std::fs::read_to_string(home.path("seen")).unwrap();
    assert!(seen.contains("LIFEBOAT_HOOK=after\n") && !seen.contains("secret word"), "{seen}");
    home.ok(&["backup", "--dry-run"]);
    assert_eq!(told(&home), [""; 0]);
}

#[test]
fn one_that_says_later_is_no_failure() {
    let home = home(ALL, "before = 'exit 75', after = TELL, on-failure = TELL", EACH);
    let summary = home.json(&["backup"]);
    assert_eq!((names(&summary), &summary["skipped"][0]), (vec!["two"], &"one".into()));
    assert_eq!(summary["partial"], false);
    assert_eq!(told(&home), ["before", "before two", "after two success", "after success"]);
    let ran = home.run(&["backup", "one"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("one: left out, its before hook said"), "{ran:?}");
    assert_eq!(told(&home), ["before", "after success"]);
    home.write("lifeboat.toml", "[hooks]\nbefore = ['sh', '-c', 'exit 75']\n");
    assert_eq!(home.json(&["backup", "one.db"])["message_type"], "skipped");
    assert_eq!(home.ids(&[]).len(), 1);
}

#[test]
fn what_fails_is_told_and_what_was_begun_is_ended() {
    // A source without its `before` is not taken, and has nothing to end.
    let home = home(ALL, "before = 'exit 3', after = TELL, on-failure = TELL", EACH);
    let ran = home.run(&["backup"]);
    let error = "the before hook of one failed: \"exit 3\": exit status: 3";
    ran.fails(3, error, "");
    let expected = [
        "before",
        "on-failure one failed",
        "before two",
        "after two success",
        "after partial",
        "on-failure partial",
    ];
    assert_eq!(told(&home), expected);
    home.run(&["backup", "one"]).fails(1, error, "");
    let expected = ["before", "on-failure one failed", "after failed", "on-failure failed"];
    assert_eq!(told(&home), expected);
    // A database that cannot be read.
    home.write("two.db", "no database");
    home.run(&["backup", "two"]).fails(22, "two.db is not an SQLite database", "SQLCipher");
    assert_eq!(told(&home), ["before", "after failed", "on-failure failed"]);
}

#[test]
fn a_database_that_fails_between_its_hooks_is_ended() {
    let damage =
        "head -c 100 two.db > cut; rm two.db*; head -c 9000 /dev/zero >> cut; mv cut two.db";
    let two = format!(
        "before = '{damage}', after = TELL, on-failure = 'echo \"$LIFEBOAT_ERROR\" >> told'"
    );
    let home = home("", EACH, &two);
    let ran = home.run(&["backup"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = told(&home);
    assert_eq!(told[..3], ["before one", "after one success", "after two failed"]);
    assert!(told[3].contains("two.db"), "{told:?}");
}

#[test]
fn an_after_that_fails_is_told_but_the_backup_is_there() {
    let home = home(ALL, "after = 'false', on-failure = TELL", EACH);
    let ran = home.run(&["backup"]);
    ran.fails(3, "the after hook of one failed: \"false\": exit status: 1", "");
    assert_eq!(told(&home)[1], "on-failure one partial");
    home.write("lifeboat.toml", "[hooks]\nafter = ['no-such-program', 'x']\n");
    let ran = home.run(&["backup", "one.db"]);
    ran.fails(3, "the after hook failed: \"no-such-program x\": No such file", "");
    assert_eq!(home.ids(&[]).len(), 2);
    for id in home.ids(&[]) {
        home.restored(&["-b", &id, "one"]);
    }
}

fn wait_for(home: &Home, name: &str) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match std::fs::read_to_string(home.path(name)) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(Instant::now() < until, "no {name}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.parse().unwrap()).unwrap()
}

fn is_alive(pid: Pid) -> bool {
    // A process that has ended and that nobody has waited for yet is dead, too.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_ok() && stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() {
    let sleeper = "before = 'sleep 1000 & echo $! > sleeper; wait', timeout = '200ms'";
    let home = home("", sleeper, "");
    let ran = home.run(&["backup"]);
    ran.fails(3, "sleeper; wait\": not done after 200ms", "");
    let sleeper = pid(&wait_for(&home, "sleeper"));
    let until = Instant::now() + Duration::from_secs(60);
    while is_alive(sleeper) {
        assert!(Instant::now() < until, "it sleeps on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// As with a service that was stopped for the backup, and a user who has enough of it.
#[test]
fn an_interrupted_backup_ends_what_it_began() {
    for signal in [Signal::INT, Signal::TERM] {
        let home = home(
            "before = TELL\nafter = TELL\non-failure = TELL\n",
            EACH,
            "before = 'echo $$ > busy; exec sleep 1000', after = TELL, on-failure = TELL",
        );
        let mut child = home.command(&["backup", "-q"]).spawn().unwrap();
        let busy = pid(&wait_for(&home, "busy"));
        kill_process(pid(&child.id().to_string()), signal).unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "{status}");
        assert!(!is_alive(busy));
        let told = told(&home);
        assert_eq!(told, ["before", "before one", "after one success", "after interrupted"]);
    }
}

/// It can name commands: whoever works in a directory of somebody else's must not run them unasked.
#[test]
fn a_configuration_of_somebody_else_is_not_obeyed() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let home = home(ALL, EACH, EACH);
    let config = home.path("lifeboat.toml");
    let mode = |mode| {
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o666);
    home.run(&["backup"]).fails(2, "lifeboat.toml: everybody may write to it", "correct");
    mode(0o644);
    if is_root() {
        chown(&config, Some(1234), None).unwrap();
        home.run(&["backup"]).fails(
            2,
            "it belongs to another user (uid 1234), who can have",
            "correct",
        );
    }
    assert_eq!(told(&home), [""; 0]);
    home.ok(&["backup", "--config", "lifeboat.toml"]);
    assert_eq!(told(&home)[0], "before");
}
