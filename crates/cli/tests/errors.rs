//! What goes wrong, what the user is told, and what has not been touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use common::{Database, Home, Ran, Tool, backed_up, files_below, is_root, require_tool, skip};

#[test]
fn sources_that_are_none() {
    let home = Home::new();
    home.write("text.db", "plain text, and a good deal more of it than a header has".repeat(10));
    let garbage: Vec<u8> =
        (0..8192_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    home.write("cipher.db", garbage);
    home.write("directory/notes.txt", "nothing");
    home.write("short.db", "SQLite format 3\0");
    let cases: [(&[&str], i32, &str, &str); 8] = [
        (&["nothing.db"], 1, "nothing.db does not exist", "nothing was created there"),
        (&["no/such/directory/app.db"], 1, "app.db does not exist", "check the path"),
        (&["sqlite:///nothing.db?mode=rwc"], 1, "nothing.db does not exist", "check the path"),
        (&["text.db"], 22, "text.db is not an SQLite database (or it is encrypted)", "SQLCipher"),
        (&["cipher.db"], 22, "cipher.db is not an SQLite database", "SQLCipher"),
        (&["short.db"], 22, "short.db", "SQLCipher"),
        (
            &["directory", "--databases-only"],
            2,
            "no sqlite database in directory",
            "by their content",
        ),
        (&[], 2, "nothing to back up", "lifeboat backup PATH"),
    ];
    for (sources, code, error, hint) in cases {
        let before = files_below(home.directory());
        let arguments: Vec<&str> = ["backup"].iter().chain(sources).copied().collect();
        home.run(&arguments).fails(code, error, hint);
        let new: Vec<PathBuf> = files_below(home.directory())
            .into_iter()
            .filter(|file| !before.contains(file) && !file.starts_with(home.state()))
            .collect();
        assert!(new.is_empty(), "{sources:?} left {new:?}");
    }
}

#[test]
fn passwords() {
    let (home, _) = backed_up();
    home.write("wrong", "not the password\n");
    home.write("empty", "\nsecond line\n");
    let wrong = home.path("wrong");
    let wrong = wrong.to_str().unwrap();
    for command in [&["backup", "app.db"][..], &["backups"], &["restore", "-t", "x.db"], &["check"]]
    {
        let arguments: Vec<&str> = command.iter().chain(&["-p", wrong]).copied().collect();
        home.run(&arguments).fails(12, "wrong password for repository", "--password-file");
    }
    let cases: [(&[&str], i32, &str, &str); 6] = [
        (&["--password-command", "echo no >&2; exit 4"], 12, "exit status: 4: no", "by hand"),
        (&["--password-command", "true"], 12, "it printed no password", "by hand"),
        (&["--password-command", "/no/such/program"], 12, "password command", "by hand"),
        (&["-p", "nothing"], 1, "cannot read nothing: No such file", ""),
        (&["-p", "empty"], 1, "its first line is empty", ""),
        (&["-p", "."], 1, "cannot read .: Is a directory", ""),
    ];
    for (arguments, code, error, hint) in cases {
        let arguments: Vec<&str> = ["backups"].iter().chain(arguments).copied().collect();
        home.run(&arguments).fails(code, error, hint);
    }
    let ran = home.command(&["backups"]).env("LIFEBOAT_PASSWORD", "wrong").output().unwrap();
    Ran::of(ran).fails(12, "wrong password", "LIFEBOAT_PASSWORD");
    let ran = home.command(&["backups"]).env("RESTIC_PASSWORD", "wrong").output().unwrap();
    Ran::of(ran).fails(12, "wrong password", "LIFEBOAT_PASSWORD");

    std::fs::remove_file(home.password_file()).unwrap();
    home.run(&["ls"]).fails(12, "no password for repository", "--password-file");
    home.run(&["restore", "-t", "x.db"]).fails(12, "no password", "--password-command");
    // To write, no secret is needed.
    home.ok(&["backup", "app.db"]);
    assert!(!home.path("x.db").exists());
}

#[test]
fn a_password_file_that_nobody_may_read() {
    let (home, _) = backed_up();
    std::fs::set_permissions(home.password_file(), PermissionsExt::from_mode(0o0)).unwrap();
    if is_root() {
        skip("root reads every file");
        return;
    }
    home.run(&["backups"]).fails(1, "cannot read", "owner and permissions");
}

#[test]
fn repositories_that_are_none() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    home.write("some/file", "text");
    let cases: [(&str, i32, &str, &str); 5] = [
        ("nothing", 10, "no repository at", "lifeboat init"),
        ("some", 10, "no repository at", "lifeboat init"),
        ("", 2, "the repository's URL is empty", "name a directory"),
        ("swift://bucket/path", 2, "repositories at swift: are not supported", "rclone"),
        ("some/file", 1, "some/file", ""),
    ];
    for (url, code, error, hint) in cases {
        for command in [&["backup", "app.db"][..], &["backups"], &["check"], &["stats"]] {
            let arguments: Vec<&str> = command.iter().chain(&["-r", url]).copied().collect();
            home.run(&arguments).fails(code, error, hint);
        }
    }
    assert!(!home.path("nothing").exists());
    home.run(&["backups"]).fails(10, "no repository at", "lifeboat init");
    assert!(!home.repository().exists());
    home.ok(&["init", "-r", "mine"]);
    home.run(&["init", "-r", "mine"]).fails(1, "already holds a repository", "use it as it is");
}

/// Another host has taken the database over and is waited for, or is said to be gone.
#[test]
fn a_database_in_other_hands() {
    let (home, _) = backed_up();
    let host = home.json(&["config", "show"])["host"].as_str().unwrap().to_owned();
    let lease = r#"{"epoch":1,"holder":"x","hostname":"attic\u001b[2J","taken":"2999-01-01T00:00:00.000Z",
        "ttl_s":60,"lineage":null,"after_txid":null}"#;
    let path = home.repository().join(format!("leases/{host}/app/00000001.json"));
    home.write(path.to_str().unwrap(), lease);
    let error = "app is written by host \"attic\\u{1b}[2J\", last heard of at 2999-01-01T00:00:00";
    home.run(&["backup", "app.db"]).fails(11, error, "from 2999-01-01T00:01:00");
    home.run(&["backup", "app.db"]).fails(11, error, "--take-over");
    let told = home.run(&["backup", "app.db", "--take-over"]).err;
    assert!(told.contains("app: taken over from host \"attic\\u{1b}[2J\""), "{told}");
    home.ok(&["backup", "app.db"]);
}

#[test]
fn a_repository_of_restic() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    if !require_tool("restic") {
        return;
    }
    let mut restic = home.program("restic");
    restic.args(["init", "-r", "theirs"]).env("RESTIC_PASSWORD", "x");
    assert!(restic.output().unwrap().status.success());
    let before = files_below(&home.path("theirs"));
    for command in [&["backup", "app.db"][..], &["backups"], &["init"]] {
        let arguments: Vec<&str> = command.iter().chain(&["-r", "theirs"]).copied().collect();
        home.run(&arguments).fails(10, "is a restic repository", "another place");
    }
    assert_eq!(files_below(&home.path("theirs")), before);
}

#[test]
fn targets_of_a_restore() {
    let (home, database) = backed_up();
    let there = std::fs::read(&database.path).unwrap();
    home.write("left.db-wal", "a WAL whose database is gone");
    let cases: [(&[&str], i32, &str, &str); 6] = [
        (&[], 1, "app.db exists already", "--force replaces it"),
        (&["-t", "app.db"], 1, "app.db exists already", "--force"),
        (&["-t", "left.db"], 1, "left.db-wal exists already", "--force moves it aside"),
        (&["-t", "no/such/directory/x.db"], 2, "no/such/directory does not exist", "--target"),
        (&["-b", "feedbeef", "-t", "x.db"], 1, "no backup feedbeef in", "lifeboat backups"),
        (&["other", "-t", "x.db"], 1, "no backup of other in", "lifeboat backups"),
    ];
    for (arguments, code, error, hint) in cases {
        let arguments: Vec<&str> = ["restore"].iter().chain(arguments).copied().collect();
        home.run(&arguments).fails(code, error, hint);
    }
    assert!(std::fs::read(&database.path).unwrap() == there);
    assert!(!home.path("x.db").exists() && !home.path("left.db").exists());
    // A directory as the target gets the database under its name.
    std::fs::create_dir(home.path("directory")).unwrap();
    home.ok(&["restore", "-t", "directory"]);
    assert!(std::fs::read(home.path("directory/app.db")).unwrap() == there);
}

#[test]
fn a_target_that_an_application_has_open() {
    if !require_tool("python3") {
        return;
    }
    for (journal_mode, code) in [
        ("wal", "c.execute('SELECT * FROM t').fetchone()"),
        ("delete", "c.execute('SELECT * FROM t').fetchone()"),
        ("wal", "c.execute('BEGIN IMMEDIATE')"),
        ("delete", "c.execute('BEGIN EXCLUSIVE')"),
    ] {
        let home = Home::new();
        let database = Database::create(&home.path("app.db"), journal_mode, 20);
        home.ok(&["backup", "app.db"]);
        let there = std::fs::read(&database.path).unwrap();
        let application = Tool::holding(database.text(), code);
        let ran = home.run(&["restore", "--force"]);
        ran.fails(11, "app.db is in use by python", "stop the application first");
        assert!(ran.err.contains(&format!("(pid {})", application.id())), "{ran:?}");
        drop(application);
        assert!(std::fs::read(&database.path).unwrap() == there);
        let names = std::fs::read_dir(home.directory()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(
            !names.into_iter().any(|name| name.contains("lifeboat-") || name.contains("before"))
        );
        home.ok(&["restore", "--force"]);
    }
}

#[test]
fn a_database_that_is_locked_for_good() {
    if !require_tool("python3") {
        return;
    }
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "delete", 5);
    let hold = "c.execute('PRAGMA locking_mode = exclusive'); c.execute('BEGIN EXCLUSIVE')";
    let _application = Tool::holding(database.text(), hold);
    home.run(&["backup", "app.db"]).fails(11, "app.db is locked", "locking_mode=EXCLUSIVE");
    assert!(!home.repository().join("backups").exists());
}

#[test]
fn a_source_that_is_cut() {
    let (home, database) = backed_up();
    let whole = std::fs::read(&database.path).unwrap();
    std::fs::write(&database.path, &whole[..whole.len() / 2]).unwrap();
    home.run(&["backup", "app.db"]).fails(22, "app.db is corrupt", "last good backup");
    assert_eq!(home.ids(&[]).len(), 1, "no backup was made of it");
    std::fs::write(&database.path, &whole).unwrap();
    home.ok(&["backup", "app.db"]);
    assert!(home.restored(&[]) == whole);
}

/// G5.
#[test]
fn one_good_source_and_a_bad_one_make_a_partial_backup() {
    let home = Home::new();
    let good = Database::create(&home.path("good.db"), "wal", 5);
    home.write("bad.db", "no database at all, only a name that says so");
    let ran = home.run(&["backup", "good.db", "bad.db", "missing.db"]);
    ran.fails(3, "bad.db is not an SQLite database", "SQLCipher");
    assert!(ran.out.contains("(partial)"), "{ran:?}");
    assert!(ran.err.contains("missing.db does not exist"), "{ran:?}");
    let manifest = home.json(&["ls"]);
    let problems = manifest["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{manifest}");
    assert_eq!(problems[0]["source"], "bad.db");
    assert!(problems[1]["error"].as_str().unwrap().contains("does not exist"), "{manifest}");
    assert!(home.ok(&["backups"]).contains("partial"));
    assert!(home.ok(&["ls"]).contains("missing: bad.db: "), "{}", home.ok(&["ls"]));
    assert!(home.restored(&["good"]) == good.bytes());
    let json = home.run(&["backup", "good.db", "bad.db", "--json"]);
    assert_eq!(json.code, Some(3));
    let summary: serde_json::Value =
        serde_json::from_str(json.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&summary["partial"], &summary["problems"][0]["source"]),
        (&true.into(), &"bad.db".into())
    );
    // A bad one alone is no backup.
    home.run(&["backup", "bad.db"]).fails(22, "bad.db", "SQLCipher");
    assert_eq!(home.ids(&[]).len(), 2);
}

#[test]
fn requests_that_could_mean_several_things() {
    let home = Home::new();
    Database::create(&home.path("one.db"), "wal", 2);
    Database::create(&home.path("two.db"), "wal", 2);
    home.ok(&["backup", "one.db", "two.db"]);
    home.run(&["restore", "-t", "x.db"]).fails(2, "any of one, two", "name the database");
    home.run(&["dump"]).fails(2, "any of one, two", "name the database");
    // Two other hosts, and none of them this one.
    for host in ["kitchen", "attic"] {
        home.write("host.toml", format!("host = '{host}'"));
        home.ok(&["backup", "one.db", "-c", "host.toml"]);
    }
    home.write("host.toml", "host = 'cellar'");
    home.run(&["restore", "-t", "x.db", "-c", "host.toml"]).fails(2, "attic, kitchen", "--host");
    home.ok(&["restore", "-t", "x.db", "-c", "host.toml", "--host", "attic"]);
    // Enough backups that two ids begin alike: a manifest under another name is made up here.
    let manifests = files_below(&home.repository().join("backups"));
    let name = manifests[0].file_name().unwrap().to_str().unwrap().to_owned();
    let (time, id) = name.split_once('-').unwrap();
    let twin = format!("{time}-{}ffff{}", &id[..12], &id[16..]);
    std::fs::copy(&manifests[0], manifests[0].with_file_name(twin)).unwrap();
    home.run(&["restore", "one", "-t", "y.db", "-b", &id[..8]]).fails(2, &id[..12], "more digits");
}

#[test]
fn a_configuration_that_is_wrong() {
    let home = Home::new();
    let cases = [
        ("host = 'a'\nhost = = 'b'", "line 2: ", "correct line 2 of lifeboat.toml"),
        ("\n[database.a]\npth = 'x'", "line 3: unknown key", "correct line 3 of lifeboat.toml"),
        ("host = '${NOWHERE}'", "line 1: the variable NOWHERE is not set", "correct line 1 of"),
    ];
    for (text, error, hint) in cases {
        home.write("lifeboat.toml", text);
        home.run(&["backups", "-c", "lifeboat.toml"]).fails(2, error, hint);
        home.run(&["config", "show", "-c", "lifeboat.toml"]).fails(2, error, hint);
    }
}

#[test]
fn dump_to_a_terminal_is_refused() {
    if !require_tool("script") {
        return;
    }
    let (home, _) = backed_up();
    let command = format!("{} dump app", env!("CARGO_BIN_EXE_lifeboat"));
    let ran = home.program("script").args(["-qec", &command, "/dev/null"]).output().unwrap();
    let ran = Ran::of(ran);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.out.contains("what a backup holds is not written to a terminal"), "{ran:?}");
    assert!(ran.out.contains("hint: redirect it"), "{ran:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (home, _) = backed_up();
    for arguments in
        [&["backups"][..], &["backups", "--json"], &["dump"], &["completions", "zsh"], &["--help"]]
    {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Closed at once: whatever is written finds nobody.
        drop(child.stdout.take());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert!(!ran.err.contains("panicked"), "{arguments:?}: {ran:?}");
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    }
    let mut child = home.command(&["dump"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"SQLite format 3\0");
    child.wait().unwrap();
    assert!(files_below(&home.state().join("scratch")).is_empty());
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let (home, _) = backed_up();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["dump"][..], &["backups"], &["ls"], &["check"]] {
        let ran = home.command(arguments).stdout(full()).output().unwrap();
        Ran::of(ran).fails(1, "cannot write the output: No space left", "disk is full");
    }
}

#[test]
fn a_state_directory_that_cannot_be_used() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    home.write("file", "");
    let run = |path: &str| {
        let path = if path.starts_with('/') { PathBuf::from(path) } else { home.path(path) };
        Ran::of(
            home.command(&["backup", "app.db"]).env("LIFEBOAT_STATE_DIR", path).output().unwrap(),
        )
    };
    run("file").fails(1, "cannot create directory", "");
    run("file/below").fails(1, "cannot create directory", "");
    run("/proc/lifeboat").fails(1, "cannot create directory /proc/lifeboat", "");
}

/// Whoever can write to the repository cannot make a host seal for them.
#[test]
fn another_recipient_is_refused() {
    let (home, _) = backed_up();
    home.ok(&["init", "-r", "theirs"]);
    let recipient = "recipients/0001.json";
    std::fs::copy(home.path("theirs").join(recipient), home.repository().join(recipient)).unwrap();
    home.run(&["backup", "app.db"]).fails(1, "the recipient of repository", "someone changed");
    home.ok(&["restore", "-t", "x.db"]);
    // Without the secrets at hand, too.
    std::fs::remove_file(home.password_file()).unwrap();
    home.run(&["backup", "app.db"]).fails(1, "the recipient of repository", "someone changed");
}

#[test]
fn two_backups_of_one_database_at_once() {
    if !require_tool("python3") {
        return;
    }
    let (home, _) = backed_up();
    let lock = home.state().join("databases/app/lock");
    let script = "import fcntl, sys\n\
                  f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX)\n\
                  print('ready', flush=True); sys.stdin.readline()";
    let mut other = Tool::python(script, &[lock.to_str().unwrap()]);
    assert_eq!(other.line(), "ready");
    home.run(&["backup", "app.db"]).fails(11, "is being backed up by another process", "wait");
    drop(other);
    home.ok(&["backup", "app.db"]);
}
