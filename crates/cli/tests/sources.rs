//! Which databases a backup takes: paths, URLs, directories, the configuration.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Database, Home, scrub};

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
        2,
        "could be any of one, two, three",
        "name the database",
    );
    for database in [&one, &two, &three] {
        let name = database.path.file_stem().unwrap().to_str().unwrap();
        assert!(home.restored(&[name]) == database.bytes());
        assert!(home.restored(&[&format!("sqlite:///{}", database.text())]) == database.bytes());
    }
    let dry = home.ok(&["backup", "--dry-run", "--databases-only", "one.db", "data"]);
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
    let summary = home.json(&["backup", "data", "--databases-only"]);
    let sources = summary["sources"].as_array().unwrap();
    let names: Vec<&str> = sources.iter().map(|source| source["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[0], "app");
    assert!(names[1].starts_with("app-") && names[1].len() == "app-".len() + 8, "{names:?}");
    assert_eq!(names[2], "other");
    assert!(sources[0]["path"].as_str().unwrap().ends_with("data/app"), "{sources:?}");

    // The names stay with their paths, whatever is asked for, and in whatever order.
    let again = home.backup(&["data/deep/er", "--databases-only"]);
    assert_eq!((again["name"].as_str().unwrap(), &again["changed_pages"]), (names[1], &0.into()));
    let link = home.backup(&["data/link.db"]);
    assert_eq!((&link["name"], &link["path"]), (&"app".into(), &sources[0]["path"]));
    // What lies in the repository and the state directory is not searched.
    let all = home.json(&["backup", ".", "--databases-only"]);
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
    home.run(&["key", "list"]).fails(2, "several repositories are configured", "local, other");
    home.run(&["backup"]).fails(10, "no repository at", "lifeboat init");
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
        "correct line 3 of bad.toml",
    );
}
