//! What a user does: back up, look, restore.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::{Database, Home, files_below};
use serde_json::Value;

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Replaces what differs from run to run: ids, times, sizes and the paths of this machine. Runs of
/// spaces become one, except at the beginning.
fn scrub(text: &str, home: &Home) -> String {
    let host = home.json(&["config", "show"])["host"].as_str().unwrap().to_owned();
    let text = text.replace(home.directory().to_str().unwrap(), "~").replace(&host, "box");
    text.lines().map(|line| scrub_line(line) + "\n").collect()
}

fn scrub_line(line: &str) -> String {
    const UNITS: [&str; 8] = ["B", "KiB", "MiB", "GiB", "TiB", "ms", "s", "min"];
    let indent = line.len() - line.trim_start().len();
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let core = word.trim_matches(|c: char| "(),;".contains(c));
        let number = |text: &str| text.parse::<f64>().is_ok();
        let unit = core.strip_suffix("/s").unwrap_or(core);
        if UNITS.contains(&unit) && words.last().is_some_and(|last| number(last.trim_matches('(')))
        {
            let last = words.last_mut().unwrap();
            let digits = last.trim_matches('(').to_owned();
            *last = last.replace(&digits, "N");
            words.push(word.replace(core, if core == unit { "units" } else { "units/s" }));
            continue;
        }
        words.push(word.replace(core, &scrub_word(core)));
    }
    " ".repeat(indent) + &words.join(" ")
}

fn scrub_word(word: &str) -> String {
    let shape: String = word.chars().map(|c| if c.is_ascii_hexdigit() { '0' } else { c }).collect();
    let has_digit = word.chars().any(|c| c.is_ascii_digit());
    match shape.as_str() {
        "0000-00-00" => "DATE".to_owned(),
        "00:00:00" => "TIME".to_owned(),
        "00000000" | "0000000000000000" if !word.starts_with("0000000000") && has_digit => {
            "ID".to_owned()
        }
        _ => match word.split_once(".before-restore-") {
            Some((path, _)) => format!("{path}.before-restore-TIME"),
            None => word.to_owned(),
        },
    }
}

/// The README's session, without any configuration.
#[test]
fn a_session_without_configuration() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 200);

    let first = home.run(&["backup", "app.db"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(
        scrub(&first.out, &home),
        "app N units all of it N units stored N units\n\
         backup ID saved in N units to ~/.local/share/lifeboat/repository\n"
    );
    assert_eq!(
        scrub(&first.err, &home),
        "made a password in ~/.config/lifeboat/password\n\
         KEEP A COPY OF IT ELSEWHERE: without it no backup can be restored\n\
         made repository ~/.local/share/lifeboat/repository\n"
    );
    let at_first = database.bytes();

    // Ten rows of a page each.
    for row in 50..60 {
        database.change(row);
    }
    let second = home.run(&["backup", "app.db", "--name", "before upgrade", "--tag", "weekly"]);
    assert_eq!((second.code, second.err.as_str()), (Some(0), ""), "{second:?}");
    let out = scrub(&second.out, &home);
    assert!(out.contains("\nbackup ID \"before upgrade\" saved in"), "{out}");

    let third = home.ok(&["backup", "app.db", "--verify"]);
    assert_eq!(
        scrub(&third, &home),
        "app N units nothing changed N units stored N units\n\
         backup ID saved in N units to ~/.local/share/lifeboat/repository, restored and checked\n"
    );
    assert!(third.contains("  0 B stored"), "{third}");

    assert_eq!(
        scrub(&home.ok(&["backups"]), &home),
        "ID TIME HOST SOURCE SIZE STORED ROWS\n\
         ID DATE TIME box app N units N units t 200\n\
         ID DATE TIME box app N units N units \"before upgrade\" #weekly t 200\n\
         ID DATE TIME box app N units N units t 200\n"
    );
    assert_eq!(
        scrub(&home.ok(&["ls", "before upgrade"]), &home),
        "backup ID \"before upgrade\" of box on DATE TIME\n  \
           app ~/app.db N units, 202 pages of N units, wal mode\n    \
             transaction 0000000000000002 of lineage ID, DATE TIME\n    \
             t 200 rows\n"
    );
    assert_eq!(
        scrub(&home.ok(&["stats"]), &home),
        "3 backups in ~/.local/share/lifeboat/repository: N units stored, N units restorable\n\
         HOST DATABASE BACKUPS SIZE BASES CHANGES OBJECTS\n\
         box app 3 N units N units N units 2\n"
    );
    assert_eq!(
        scrub(&home.ok(&["check"]), &home),
        "no damage: 3 backups can be restored, 2 files, contents not read (--read-data does)\n"
    );
    assert_eq!(
        scrub(&home.ok(&["check", "--read-data"]), &home),
        "no damage: 3 backups can be restored, 2 files, N units read\n"
    );
    assert_eq!(
        scrub(&home.ok(&["restore", "-b", "before upgrade", "--target", "out.db"]), &home)
            .replace(|c: char| c.is_ascii_digit(), "0"),
        "restoring app from backup ID \"before upgrade\" of DATE TIME (transaction \
         0000000000000000 of DATE TIME)\n  \
           to ~/out.db\n  \
           reads N units in 0 files\n  \
           needs N units, N units free\n\
         restored N units in N units (N units/s), checksums and integrity check ok\n"
    );
    assert_eq!(std::fs::read(home.path("out.db")).unwrap(), database.bytes());

    let ids = home.ids(&[]);
    assert_eq!(home.restored(&["--backup", &ids[2]]), at_first);

    let again = home.ok(&["restore", "--target", "out.db", "--force"]);
    let again = scrub(&again, &home);
    assert!(again.contains("  to ~/out.db, in place of what is there\n"), "{again}");
    assert!(
        again.ends_with("the former database is kept as ~/out.db.before-restore-TIME\n"),
        "{again}"
    );

    assert_eq!(
        scrub(&home.ok(&["config", "show"]), &home),
        "# configuration: none; everything is at its default\n\
         # host: box\n\
         # repository: ~/.local/share/lifeboat/repository\n\
         # password file: ~/.config/lifeboat/password\n\
         # state: ~/.local/state/lifeboat\n"
    );
}

#[test]
fn everything_it_makes_is_private() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "delete", 5);
    home.ok(&["backup", "app.db", "--verify"]);
    home.ok(&["backup", "app.db"]);
    let mut found = 0;
    let mut directories = vec![home.path(".config"), home.path(".local")];
    while let Some(directory) = directories.pop() {
        assert_eq!(directory.metadata().unwrap().mode() & 0o7777, 0o700, "{directory:?}");
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600, "{path:?}");
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found}");
    let password = std::fs::read_to_string(home.password_file()).unwrap();
    assert_eq!(password.len(), 32, "26 letters, 5 dashes, a line feed");
}

/// A backup stores the pages that changed, counts them exactly, and nothing where nothing did.
#[test]
fn later_backups_store_changed_pages_only() {
    for journal_mode in ["wal", "delete"] {
        let home = Home::new();
        let database = Database::create(&home.path("app.db"), journal_mode, 1000);
        let first = home.backup(&["app.db"]);
        let pages = first["page_count"].as_u64().unwrap();
        assert_eq!(first["changed_pages"], pages);
        assert_eq!(first["changed_from"], Value::Null);
        assert!(first["stored_bytes"].as_u64().unwrap() > 3_000_000);
        let before = database.bytes();

        for row in [100, 500, 900] {
            database.change(row);
        }
        let second = home.backup(&["app.db"]);
        let after = database.bytes();
        let changed = before.chunks(4096).zip(after.chunks(4096)).filter(|(a, b)| a != b).count();
        // Page 1 holds the change counter: a WAL database keeps it as it is.
        assert!((3..=4).contains(&changed), "{changed}");
        assert_eq!(second["changed_pages"], changed);
        assert_eq!(second["changed_from"], "0000000000000001");
        assert_eq!(second["txid"], "0000000000000002");
        let stored = second["stored_bytes"].as_u64().unwrap();
        assert!((9_000..20_000).contains(&stored), "{stored}");

        let third = home.backup(&["app.db"]);
        assert_eq!((&third["changed_pages"], &third["stored_bytes"]), (&0.into(), &0.into()));
        assert_eq!(third["txid"], "0000000000000002");

        let ids = home.ids(&[]);
        assert_eq!(home.restored(&["-b", &ids[0]]), after);
        assert_eq!(home.restored(&["-b", &ids[1]]), after);
        assert_eq!(home.restored(&["-b", &ids[2]]), before);
        home.ok(&["check", "--read-data"]);
    }
}

#[test]
fn a_database_that_grows_and_shrinks() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 50);
    let mut expected = Vec::new();
    for sql in [
        "SELECT 1",
        "INSERT INTO t(b) SELECT randomblob(3000) FROM t, t LIMIT 300",
        "DELETE FROM t WHERE a > 20; VACUUM",
        "CREATE TABLE u(x); INSERT INTO u SELECT b FROM t",
        "DROP TABLE t",
        "VACUUM",
    ] {
        // The last connection that closes moves the WAL into the database; this one stays open.
        let reader = database.open();
        database.open().query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).unwrap();
        reader.execute_batch(&sql.replace("SELECT 1", "")).unwrap();
        home.backup(&["app.db"]);
        drop(reader);
        expected.insert(0, database.bytes());
    }
    for (id, bytes) in home.ids(&[]).iter().zip(&expected) {
        assert!(home.restored(&["-b", id]) == *bytes, "{id}");
    }
    home.ok(&["check", "--read-data"]);
    assert_eq!(home.json(&["check"])["restorable"].as_array().unwrap().len(), 6);
}

#[test]
fn json_has_the_documented_members() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    let summary = home.json(&["backup", "app.db", "--name", "n", "--tag", "a", "--tag", "b"]);
    assert_eq!(
        members(&summary),
        [
            "backup_id",
            "finished",
            "message_type",
            "name",
            "partial",
            "problems",
            "repository",
            "sources",
            "started",
            "tags",
            "verified",
        ]
    );
    assert_eq!(summary["message_type"], "summary");
    assert_eq!((&summary["name"], &summary["tags"][1]), (&"n".into(), &"b".into()));
    let source = [
        "changed_from",
        "changed_pages",
        "checksum",
        "duration_ms",
        "gid",
        "journal_mode",
        "kind",
        "lineage",
        "mode",
        "name",
        "objects",
        "page_count",
        "page_size",
        "path",
        "schema_sha256",
        "size_bytes",
        "stored_bytes",
        "tables",
        "time",
        "txid",
        "uid",
    ];
    assert_eq!(members(&summary["sources"][0]), source);
    assert_eq!(summary["sources"][0]["tables"]["t"], 5);

    let manifest = [
        "finished", "host", "hostname", "id", "label", "problems", "revision", "sources",
        "started", "tags", "tool", "version",
    ];
    assert_eq!(members(&home.json(&["ls"])), manifest);
    let backups = home.json(&["backups"]);
    let mut with_sizes: Vec<&str> = manifest.to_vec();
    with_sizes.extend(["partial", "size_bytes", "stored_bytes"]);
    with_sizes.sort_unstable();
    assert_eq!(members(&backups[0]), with_sizes);
    assert_eq!(home.json(&["snapshots"]), backups);
    assert_eq!(home.json(&["list"]), backups);
    assert_eq!(home.ok(&["list"]), home.ok(&["backups"]));
    assert_eq!(home.ids(&["--tag", "a"]).len(), 1);
    assert_eq!(home.ids(&["--tag", "c"]).len(), 0);
    assert_eq!(home.ids(&["--source", "app"]).len(), 1);
    assert_eq!(home.ids(&["--source", "other"]).len(), 0);
    assert_eq!(home.ids(&["--host", "elsewhere"]).len(), 0);
    assert_eq!(home.ids(&["--latest", "0"]).len(), 0);

    let check = home.json(&["check", "--read-data"]);
    assert_eq!(
        members(&check),
        [
            "clean",
            "files",
            "findings",
            "lost",
            "message_type",
            "read_bytes",
            "restorable",
            "unfinished"
        ]
    );
    assert_eq!(check["restorable"][0], summary["backup_id"]);
    let stats = home.json(&["stats"]);
    assert_eq!(
        members(&stats),
        ["backups", "databases", "objects", "repository", "restorable_bytes", "stored_bytes"]
    );
    let on_disk =
        files_below(&home.repository()).into_iter().map(|file| file.metadata().unwrap().len());
    assert_eq!(stats["stored_bytes"], on_disk.sum::<u64>());
    assert_eq!(stats["objects"], files_below(&home.repository()).len());

    let plan = home.json(&["restore", "-t", "x.db", "--dry-run"]);
    assert_eq!(
        members(&plan),
        [
            "backup_id",
            "database",
            "free_bytes",
            "message_type",
            "replaces",
            "sealed_bytes",
            "size_bytes",
            "target",
            "time",
            "txid",
        ]
    );
    assert!(!home.path("x.db").exists());
    let restored = home.json(&["restore", "-t", "x.db"]);
    assert_eq!(
        members(&restored),
        [
            "duration_ms",
            "former",
            "message_type",
            "sealed_bytes",
            "size_bytes",
            "target",
            "verified"
        ]
    );
    let dry = home.json(&["backup", "app.db", "-n"]);
    assert_eq!(dry["databases"][0]["name"], "app");
    assert_eq!(home.ids(&[]).len(), 1);
    let error = home.run(&["backup", "nothing.db", "--json"]);
    let error: Value = serde_json::from_str(&error.err).unwrap();
    assert_eq!((&error["message_type"], &error["code"]), (&"error".into(), &1.into()));
    assert!(error["message"].as_str().unwrap().contains("nothing.db"), "{error}");
    assert!(error["hint"].is_string());
}

#[test]
fn backups_are_found_by_id_prefix_name_and_latest() {
    let home = Home::new();
    let database = Database::create(&home.path("app.db"), "wal", 5);
    let mut versions = Vec::new();
    for name in ["one", "two", "one"] {
        database.add(1);
        home.backup(&["app.db", "--name", name]);
        versions.push(database.bytes());
    }
    let ids = home.ids(&[]);
    assert!(home.restored(&[]) == versions[2]);
    assert!(home.restored(&["-b", "latest"]) == versions[2]);
    assert!(home.restored(&["-b", "two"]) == versions[1]);
    assert!(home.restored(&["-b", "one"]) == versions[2], "the newest of that name");
    assert!(home.restored(&["-b", &ids[2]]) == versions[0]);
    assert!(home.restored(&["-b", &ids[2][..8]]) == versions[0]);
    assert!(home.restored(&["-b", &ids[1][..6].to_uppercase(), "app"]) == versions[1]);
    assert!(home.restored(&["app.db", "-b", "two"]) == versions[1], "the database by its path");
    let dumped = home.command(&["dump", "app", "-b", "two"]).output().unwrap();
    assert!(dumped.stdout == versions[1]);

    // Without a target, to where it came from; the former database can be opened where it is kept.
    database.execute("DELETE FROM t");
    let report = home.json(&["restore", "app", "-b", "one", "--force"]);
    assert_eq!(report["target"], database.text());
    assert!(std::fs::read(&database.path).unwrap() == versions[2]);
    let former = rusqlite::Connection::open(report["former"].as_str().unwrap()).unwrap();
    let rows: u32 = former.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
    // The lineage goes on from what is there now.
    let next = home.backup(&["app.db"]);
    assert_ne!(next["changed_from"], Value::Null);
    assert!(home.restored(&[]) == versions[2]);
}

#[test]
fn several_paths_and_urls_in_one_backup() {
    let home = Home::new();
    let one = Database::create(&home.path("one.db"), "wal", 5);
    let two = Database::create(&home.path("data/two.sqlite"), "delete", 7);
    let three = Database::create(&home.path("three.db"), "wal", 3);
    let url = format!("sqlite:///{}?mode=rw", two.text());
    let summary = home.json(&["backup", "one.db", &url, "sqlite:three.db", "sqlite:///one.db"]);
    let names: Vec<&str> = summary["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["one", "two", "three"], "one.db is named twice, and is one source");
    home.run(&["restore", "-t", "x.db"]).fails(
        1,
        "could be any of one, two, three",
        "name the database",
    );
    for database in [&one, &two, &three] {
        let name = database.path.file_stem().unwrap().to_str().unwrap();
        assert!(home.restored(&[name]) == database.bytes());
        assert!(home.restored(&[&format!("sqlite:///{}", database.text())]) == database.bytes());
    }
    let dry = home.ok(&["backup", "--dry-run", "one.db", "data"]);
    assert_eq!(
        scrub(&dry, &home),
        "would back up:\n  one N units ~/one.db\n  two N units ~/data/two.sqlite\n"
    );
}

#[test]
fn directories_are_searched_for_databases_by_content() {
    let home = Home::new();
    let plain = Database::create(&home.path("data/app"), "wal", 5);
    Database::create(&home.path("data/deep/er/app"), "delete", 6);
    Database::create(&home.path("data/other.sqlite3"), "wal", 7);
    home.write("data/text.db", "this is no database, whatever its name says");
    home.write("data/empty.db", "");
    std::os::unix::fs::symlink(&plain.path, home.path("data/link.db")).unwrap();
    std::os::unix::fs::symlink("/", home.path("data/root")).unwrap();
    std::fs::hard_link(&plain.path, home.path("data/hard.db")).unwrap();
    let summary = home.json(&["backup", "data"]);
    let sources = summary["sources"].as_array().unwrap();
    let names: Vec<&str> = sources.iter().map(|source| source["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[0], "app");
    assert!(names[1].starts_with("app-") && names[1].len() == "app-".len() + 8, "{names:?}");
    assert_eq!(names[2], "other");
    assert!(sources[0]["path"].as_str().unwrap().ends_with("data/app"), "{sources:?}");

    // The names stay with their paths, whatever is asked for, and in whatever order.
    let again = home.backup(&["data/deep/er"]);
    assert_eq!((again["name"].as_str().unwrap(), &again["changed_pages"]), (names[1], &0.into()));
    let link = home.backup(&["data/link.db"]);
    assert_eq!((&link["name"], &link["path"]), (&"app".into(), &sources[0]["path"]));
    // What lies in the repository and the state directory is not searched.
    let all = home.json(&["backup", "."]);
    assert_eq!(all["sources"].as_array().unwrap().len(), 3);
}

#[test]
fn a_configuration_names_repositories_and_databases() {
    let home = Home::new();
    let main = Database::create(&home.path("srv/app.db"), "wal", 5);
    Database::create(&home.path("srv/chat.db"), "delete", 5);
    home.write("secret", "correct horse\n");
    home.write(
        "lifeboat.toml",
        "host = \"Kitchen Pi\"\n\
         [repository.local]\nurl = \"${HOME}/backups\"\npassword-file = \"${SECRET:-secret}\"\n\
         [repository.other]\nurl = \"other\"\npassword-command = \"echo battery staple\"\n\
         [database.main]\npath = \"sqlite:///srv/app.db\"\n\
         [database.chat]\npath = \"${HOME}/srv/chat.db\"\n",
    );
    home.run(&["backup"]).fails(2, "several repositories are configured", "local, other");
    home.run(&["backup", "-r", "local"]).fails(10, "no repository at", "lifeboat init");
    home.ok(&["init", "-r", "local"]);
    home.ok(&["init", "-r", "other"]);
    assert!(!home.password_file().exists());
    let summary = home.json(&["backup", "-r", "local"]);
    let names: Vec<_> = summary["sources"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert_eq!(names, ["chat", "main"]);
    let one = home.backup(&["-r", "other", "main"]);
    assert_eq!(one["name"], "main");
    // What is configured is known by its path, too.
    let by_path = home.backup(&["-r", "local", "srv/app.db"]);
    assert_eq!((&by_path["name"], &by_path["changed_pages"]), (&"main".into(), &0.into()));
    assert!(home.restored(&["main", "-r", "local"]) == main.bytes());
    assert!(home.restored(&["-r", "other"]) == main.bytes());
    assert_eq!(home.json(&["backups", "-r", "other"])[0]["host"], "Kitchen Pi");
    assert_eq!(home.ids(&["-r", "other", "--host", "Kitchen Pi"]).len(), 1);
    assert!(home.restored(&["-r", "other", "--host", "Kitchen Pi"]) == main.bytes());
    let shown = home.ok(&["config", "show", "-r", "local"]);
    assert!(shown.contains("[database.main]\npath = \"sqlite:///srv/app.db\"\n"), "{shown}");
    assert!(!shown.contains("correct horse"), "{shown}");
    home.run(&["backups", "-r", "other", "-p", "secret"]).fails(
        12,
        "wrong password",
        "--password-file",
    );

    home.write("bad.toml", "[repository.local]\nurl = 'x'\nkeeep = 7\n");
    home.run(&["backup", "-c", "bad.toml"]).fails(
        2,
        "unknown key `repository.local.keeep`",
        "config",
    );
}

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

#[test]
fn completions_help_and_version() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.ok(&["completions", shell]);
        assert!(script.contains("restore") && script.contains("read-data"), "{shell}");
    }
    assert!(home.ok(&["--version"]).starts_with("lifeboat 0."));
    let help = home.ok(&["--help"]);
    assert!(help.contains("Exit codes: 0 ok"), "{help}");
    assert!(!home.path(".local").exists(), "looking changes nothing");
    assert_eq!(home.run(&["frobnicate"]).code, Some(2));
    assert_eq!(home.run(&[]).code, Some(2));
}
