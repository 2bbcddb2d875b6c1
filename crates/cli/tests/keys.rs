//! `lifeboat key`, and what a host without a password says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{Database, Home, Ran, files_below, require_tool};
use serde_json::Value;

/// A home with a backup under the default password.
fn home() -> Home {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 20);
    home.ok(&["backup", "app.db", "-q"]);
    home
}

/// The keys of `key list`, by their label.
fn keys(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["key", "list"].iter().chain(arguments).copied().collect();
    home.json(&arguments)["keys"].as_array().unwrap().clone()
}

/// A key pair made by age-keygen: its file, and the recipient.
fn age_keygen(home: &Home, name: &str) -> (PathBuf, String) {
    let file = home.path(name);
    let made = home.program("age-keygen").arg("-o").arg(&file).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let recipient = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    (file, recipient.to_owned())
}

fn shell(home: &Home, script: &str, arguments: &[&std::path::Path]) -> Vec<u8> {
    let output = home.program("sh").args(["-euc", script, "sh"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    output.stdout
}

fn with_new_password(mut command: Command, password: &str) -> Ran {
    Ran::of(command.env("LIFEBOAT_NEW_PASSWORD", password).output().unwrap())
}

#[test]
fn keys_are_added_listed_changed_and_removed() {
    let home = home();
    home.write("two", "battery staple\n");
    let plan = home.ok(&["key", "add", "--new-password-file", "two", "-n"]);
    assert_eq!(plan, "would add a key for a password\n");
    assert_eq!(keys(&home, &[]).len(), 1);
    let added = home.json(&["key", "add", "--new-password-command", "cat two", "--label", "nas"]);
    assert_eq!(added["message_type"], "key_added");
    home.ok(&["ls", "-p", "two"]);

    // Each password sees its own label.
    let seen = |password: &str| -> Vec<Value> {
        keys(&home, &["-p", password])
            .into_iter()
            .filter(|key| key["label"] != Value::Null)
            .collect()
    };
    assert_eq!(seen("two").len(), 1);
    assert_eq!(
        (&seen("two")[0]["label"], &seen("two")[0]["in_use"]),
        (&"nas".into(), &true.into())
    );
    let table = home.ok(&["key", "list"]);
    assert!(table.starts_with("  ID        FOR       GENERATION  MADE "), "{table}");
    assert!(table.contains("\n* ") && table.contains("not known"), "{table}");
    assert!(table.contains(", this one\n") && table.contains("sealed for age1"), "{table}");
    // Without any password, names alone.
    std::fs::rename(home.password_file(), home.path("kept")).unwrap();
    assert!(keys(&home, &[]).iter().all(|key| key["in_use"] == false && key["label"].is_null()));
    home.run(&["key", "rotate"]).fails(12, "no password", "--identity");
    std::fs::rename(home.path("kept"), home.password_file()).unwrap();

    let changed = with_new_password(home.command(&["key", "passwd"]), "a new one");
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert!(changed.out.contains("keep a copy of it elsewhere"), "{changed:?}");
    assert_eq!(std::fs::read_to_string(home.password_file()).unwrap(), "a new one\n");
    assert!(!home.restored(&[]).is_empty());
    let changed = with_new_password(home.command(&["key", "passwd", "-p", "two"]), "three");
    assert!(changed.out.contains("two still holds the old one"), "{changed:?}");
    home.run(&["ls", "-p", "two"]).fails(12, "wrong password", "--password-file");

    let own = keys(&home, &[]).into_iter().find(|key| key["in_use"] == true).unwrap();
    let other = keys(&home, &[]).into_iter().find(|key| key["in_use"] == false).unwrap();
    let (own, other) = (own["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    home.run(&["key", "remove", own]).fails(1, "it opened the repository", "key passwd");
    home.run(&["key", "remove", "0"]).fails(1, "no key 0", "four digits");
    assert!(home.ok(&["key", "remove", "-n", other]).starts_with("would remove key "));
    home.ok(&["key", "remove", &other[..8]]);
    home.run(&["key", "remove", own]).fails(1, "no other key opens generation 1", "key add");
    let asked = home.run(&["key", "passwd"]);
    asked.fails(2, "no new password, and no terminal", "LIFEBOAT_NEW_PASSWORD");
    for text in files_below(home.directory()).into_iter().map(|file| std::fs::read(file).unwrap()) {
        assert!(!text.windows(16).any(|bytes| bytes == b"AGE-SECRET-KEY-1"));
    }
}

#[test]
fn a_password_is_asked_for_twice_on_a_terminal() {
    const PTY: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "key", "passwd"])
seen, sent = b"", 0
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    if not data:
        break
    seen += data
    if seen.count(b": ") > sent and sent < 2:
        os.write(terminal, sys.argv[2 + sent].encode() + b"\n")
        sent += 1
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
sys.exit(os.waitstatus_to_exitcode(status))
"#;
    if !require_tool("python3") {
        return;
    }
    let home = home();
    let typed = |first: &str, second: &str| {
        let mut command = home.program("python3");
        let binary = env!("CARGO_BIN_EXE_lifeboat");
        Ran::of(command.args(["-c", PTY, binary, first, second]).output().unwrap())
    };
    let refused = typed("typed one", "typed two");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.out.contains("are not the same"), "{refused:?}");
    let changed = typed("typed one", "typed one");
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert!(!changed.out.contains("typed one"), "what is typed is not shown: {changed:?}");
    assert_eq!(std::fs::read_to_string(home.password_file()).unwrap(), "typed one\n");
    home.ok(&["ls"]);
}

/// The recipe of `docs/format.md` with a person's key.
const BY_HAND: &str = "for wrapped in \"$2\"/identities/*; do
    age -d -i \"$1\" \"$wrapped\" 2>/dev/null > \"$2\".secret && break; done
    find \"$2\" -path '*/ltx/9/*' -name '*.age' | while read -r base; do
    age -d -i \"$2\".secret \"$base\" | zstd -d; done; rm \"$2\".secret";

#[test]
fn age_opens_what_was_wrapped_for_a_person() {
    if !require_tool("age") || !require_tool("age-keygen") || !require_tool("zstd") {
        return;
    }
    let home = home();
    let (file, recipient) = age_keygen(&home, "me.key");
    home.ok(&["key", "add", "--recipient", &recipient, "--label", "me"]);
    home.ok(&["init", "-r", "for-me", "--recipient", &recipient]);
    home.ok(&["backup", "app.db", "-r", "for-me", "-q"]);
    for repository in [home.repository(), home.path("for-me")] {
        let ltx = shell(&home, BY_HAND, &[&file, &repository]);
        assert!(ltx.starts_with(b"LTX1"), "{repository:?}");
    }
    // The same file opens it here.
    let identity = ["--identity", file.to_str().unwrap()];
    for repository in [home.repository(), home.path("for-me")] {
        let at = ["-r", repository.to_str().unwrap()];
        let arguments: Vec<&str> = at.iter().chain(&identity).copied().collect();
        home.restored(&arguments);
        let check: Vec<&str> = ["check", "--read-data"].iter().chain(&arguments).copied().collect();
        home.ok(&check);
    }
    let mut command = home.command(&["ls", "-r", "for-me"]);
    assert!(command.env("LIFEBOAT_IDENTITY_FILE", &file).status().unwrap().success());
    home.write("lifeboat.toml", "[repository.mine]\nurl = 'for-me'\nidentity-file = 'me.key'\n");
    home.ok(&["ls"]);
    // Rotated by its owner, it still opens everything with the same file.
    let rotated = home.json(&["key", "rotate", "-r", "mine"]);
    assert_eq!(
        (&rotated["generation"], &rotated["persons"][0]["recipient"]),
        (&2.into(), &recipient.as_str().into())
    );
    home.ok(&["backup", "app.db", "-q"]);
    home.ok(&["check", "--read-data"]);
    let ltx = shell(&home, BY_HAND, &[&file, &home.path("for-me")]);
    assert!(ltx.starts_with(b"LTX1"));
}

#[test]
fn a_host_with_the_recipient_alone_says_what_it_cannot_do() {
    if !require_tool("age-keygen") {
        return;
    }
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 20);
    let (_, person) = age_keygen(&home, "me.key");
    let made = home.json(&["init", "-r", "r", "--recipient", &person]);
    let recipient = made["recipient"].as_str().unwrap();
    let config = |recipient: &str| {
        home.write(
            "lifeboat.toml",
            format!("[repository.r]\nurl = 'r'\nrecipient = '{recipient}'\n"),
        );
    };
    config(recipient);
    home.ok(&["backup", "app.db"]);
    home.ok(&["backup", "app.db", "--recipient", recipient]);
    assert!(!home.password_file().exists());

    let listed = home.run(&["backups"]);
    assert_eq!((listed.code, listed.out.lines().count()), (Some(0), 3), "{listed:?}");
    assert!(listed.err.contains("what they hold is not shown"), "{listed:?}");
    let check = home.ok(&["check"]);
    assert!(check.starts_with("no damage: 2 backups can be restored"), "{check}");
    assert!(check.contains("nothing was opened"), "{check}");
    assert_eq!(home.json(&["check"])["names_only"], true);
    for arguments in [
        &["restore", "-t", "x.db"][..],
        &["dump"],
        &["ls"],
        &["stats"],
        &["check", "--read-data"],
        &["backups", "--source", "app"],
        &["backup", "app.db", "--verify"],
    ] {
        home.run(arguments).fails(12, "no password for repository", "--identity");
    }

    config(&person);
    home.run(&["backup", "app.db"]).fails(1, "the recipient of repository", "key accept");
    config("age1nonsense");
    home.run(&["backup", "app.db"]).fails(2, "is no age recipient", "age-keygen");
    std::fs::remove_file(home.path("lifeboat.toml")).unwrap();
    let other = ["backup", "app.db", "-r", "r", "--recipient", &person];
    home.run(&other).fails(1, "the recipient of repository", "where it was given");
    home.write("no.key", "nothing\n");
    let ran = home.run(&["ls", "-r", "r", "--identity", "no.key"]);
    ran.fails(12, "no.key: a line is no age secret key", "age-keygen");
    let both = ["init", "-r", "s", "--recipient", &person, "-p", "no.key"];
    home.run(&both).fails(2, "has no password", "key add");
    home.run(&["init", "-r", "s", "--identity", "me.key"]).fails(2, "--identity", "--recipient");
}

#[test]
fn rotation_and_changed_hosts_are_told_and_accepted() {
    let home = home();
    home.write("two", "battery staple\n");
    home.ok(&["key", "add", "--new-password-file", "two"]);
    let plan = home.ok(&["key", "rotate", "-n"]);
    assert!(plan.starts_with("would begin generation 2, which would open with\n"), "{plan}");
    assert!(plan.contains("not with these"), "{plan}");
    assert_eq!(home.json(&["key", "list"])["generation"], 1);
    assert!(home.ok(&["key", "rotate"]).starts_with("began generation 2, which opens with\n"));
    home.ok(&["backup", "app.db", "-q"]);
    home.ok(&["check", "--read-data"]);
    let behind = home.run(&["backup", "app.db", "-p", "two"]);
    // This machine has pinned the new recipient itself.
    assert_eq!(behind.code, Some(0), "{behind:?}");

    let accepted = home.ok(&["key", "accept"]);
    assert_eq!(accepted, "nothing has changed\n");
    // As if this host had another key: its state is lost, its name is not.
    let name = home.json(&["config", "show"])["host"].as_str().unwrap().to_owned();
    home.write("lifeboat.toml", format!("host = '{name}'\n"));
    let state = files_below(&home.state().join("repositories"));
    let state = state.iter().find(|file| file.extension().is_some_and(|e| e == "json")).unwrap();
    let kept = std::fs::read(state).unwrap();
    std::fs::remove_dir_all(home.state()).unwrap();
    home.ok(&["backup", "app.db", "-q"]);
    std::fs::write(state, &kept).unwrap();
    let hint = format!("key accept {name}");
    home.run(&["ls"]).fails(1, &format!("the key of host {name} has changed: expected "), &hint);
    let list = home.run(&["backups"]);
    assert_eq!(list.code, Some(1), "{list:?}");
    assert!(list.out.contains("cannot be read: the key of host"), "{list:?}");
    assert_eq!(home.run(&["check"]).code, Some(1));
    assert!(home.ok(&["key", "accept", "-n"]).starts_with("would accept key "));
    assert!(home.ok(&["key", "accept", &name]).contains("it signed 1 backup,"));
    home.ok(&["ls"]);
    home.ok(&["check"]);
    // Who sees the host for the first time is told what is believed from now on.
    let fresh = home.path("fresh");
    let mut command = home.command(&["check"]);
    let check = Ran::of(command.env("LIFEBOAT_STATE_DIR", fresh).output().unwrap());
    assert!(check.err.starts_with(&format!("host {name} signs with ")), "{check:?}");
}
