//! Damage, in the repository and in the local state: what a user sees of it and does about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::PathBuf;

use common::{Database, Home, backed_up, files_below};

/// State that is damaged costs the reading of what it described, never a backup.
type Damage = fn(Vec<u8>) -> Vec<u8>;

#[test]
fn damaged_state_is_rebuilt() {
    let damage: [(&str, Damage); 6] = [
        ("state.json", |_| b"{\"lineage\": ".to_vec()),
        ("state.json", |_| Vec::new()),
        ("pages", |mut bytes| {
            bytes.truncate(100);
            bytes
        }),
        ("pages", |mut bytes| {
            bytes.truncate(256 + 32 * 3);
            bytes
        }),
        ("pages", |_| b"something else".repeat(100)),
        ("pages", |bytes| vec![0; bytes.len()]),
    ];
    for (number, (file, damage)) in damage.into_iter().enumerate() {
        let (home, database) = backed_up();
        database.change(4);
        home.ok(&["backup", "app.db"]);
        let former = (home.ids(&[]), database.bytes());
        database.change(5);
        let path = home.state().join("databases/app").join(file);
        std::fs::write(&path, damage(std::fs::read(&path).unwrap())).unwrap();
        let ran = home.run(&["backup", "app.db"]);
        assert_eq!(ran.code, Some(0), "{number}: {ran:?}");
        assert!(home.restored(&[]) == database.bytes(), "{number}");
        let rebuilt = "app: local state rebuilt from the repository at 0000000000000002 (";
        assert!(ran.err.contains(rebuilt), "{number}: {ran:?}");
        assert!(ran.err.contains("unusable"), "{number}: {ran:?}");
        assert!(ran.out.contains("1 page changed"), "{number}: {ran:?}");
        assert!(home.restored(&["-b", &former.0[0]]) == former.1, "{number}");
        database.change(6);
        let next = home.backup(&["app.db"]);
        assert!(!next["changed_from"].is_null(), "{number}: {next}");
        assert!(home.restored(&[]) == database.bytes(), "{number}");
        home.ok(&["check", "--read-data"]);
    }
}

#[test]
fn a_lost_state_directory_costs_a_lineage() {
    let (home, database) = backed_up();
    std::fs::remove_dir_all(home.state()).unwrap();
    let source = home.backup(&["app.db"]);
    assert!(source["changed_from"].is_null());
    home.ok(&["check", "--read-data"]);
    let ids = home.ids(&[]);
    assert_eq!(ids.len(), 2);
    for id in ids {
        assert!(home.restored(&["-b", &id]) == database.bytes());
    }
}

/// A repository with three backups; the key of the object that the newest one added.
fn three_backups() -> (Home, Vec<Vec<u8>>, PathBuf) {
    let (home, database) = backed_up();
    let mut versions = vec![database.bytes()];
    let mut newest = PathBuf::new();
    for row in [3, 4] {
        database.change(row);
        let source = home.backup(&["app.db"]);
        let objects = source["objects"].as_array().unwrap();
        newest = home.repository().join(objects.last().unwrap()["key"].as_str().unwrap());
        versions.insert(0, database.bytes());
    }
    (home, versions, newest)
}

/// G4: the newest backup is damaged. The one before it is restored, which is said and is no full
/// success; a backup that was named is not replaced.
#[test]
fn damaged_objects() {
    let (home, versions, newest) = three_backups();
    let key = newest.strip_prefix(home.repository()).unwrap().to_str().unwrap().to_owned();
    let whole = std::fs::read(&newest).unwrap();
    let ids = home.ids(&[]);
    let short: Vec<&str> = ids.iter().map(|id| &id[..8]).collect();

    for damage in ["removed", "cut", "flipped"] {
        match damage {
            "removed" => std::fs::remove_file(&newest).unwrap(),
            "cut" => std::fs::write(&newest, &whole[..whole.len() - 1]).unwrap(),
            _ => {
                let mut flipped = whole.clone();
                flipped[whole.len() / 2] ^= 1;
                std::fs::write(&newest, &flipped).unwrap();
            }
        }
        let ran = home.run(&["restore", "-t", "x.db"]);
        assert_eq!(ran.code, Some(3), "{damage}: {ran:?}");
        for told in [
            format!("warning: backup {} cannot be restored: ", short[0]),
            format!("warning: this is not the newest backup but {} of ", short[1]),
            key.clone(),
        ] {
            assert!(ran.err.contains(&told), "{damage}: {told:?} in {ran:?}");
        }
        // What is being restored is said before it is read, and again if that changes.
        let said = format!("restoring app from backup {}", short[1]);
        match damage {
            "flipped" => {
                let first = format!("restoring app from backup {}", short[0]);
                assert!(ran.out.starts_with(&first), "{ran:?}");
                assert!(ran.err.contains(&format!("instead: {said}")), "{ran:?}");
            }
            _ => assert!(ran.out.starts_with(&said), "{damage}: {ran:?}"),
        }
        assert!(std::fs::read(home.path("x.db")).unwrap() == versions[1], "{damage}");
        std::fs::remove_file(home.path("x.db")).unwrap();
        let json = home.run(&["restore", "-t", "x.db", "--json"]);
        let summary: serde_json::Value =
            serde_json::from_str(json.out.lines().last().unwrap()).unwrap();
        assert_eq!(summary["backup_id"], ids[1], "{damage}: {summary}");
        assert_eq!(summary["skipped"][0]["backup_id"], ids[0], "{damage}: {summary}");
        std::fs::remove_file(home.path("x.db")).unwrap();

        let named = home.run(&["restore", "-t", "x.db", "-b", &ids[0]]);
        named.fails(1, &key, &format!("these can be restored: {} (", short[1]));
        assert!(named.err.contains(short[2]), "{damage}: {named:?}");
        assert!(!home.path("x.db").exists());
        let left: Vec<_> = files_below(home.directory());
        assert!(!left.iter().any(|file| file.to_str().unwrap().contains(".x.db.")), "{left:?}");
        let dumped = home.command(&["dump", "--json"]).output().unwrap();
        assert_eq!(dumped.status.code(), Some(3), "{damage}: {dumped:?}");
        assert!(dumped.stdout == versions[1], "{damage}: of nothing unverified is a byte written");

        let arguments =
            if damage == "flipped" { &["check", "--read-data"][..] } else { &["check"] };
        let check = home.run(arguments);
        assert_eq!(check.code, Some(1), "{damage}: {check:?}");
        assert!(check.out.contains("2 backups can be restored, 1 cannot"), "{damage}: {check:?}");
        assert!(check.out.contains(&key), "{damage}: {check:?}");
        let hint = format!("lifeboat restore --backup {}", short[1]);
        assert!(check.err.contains(&hint), "{damage}: {check:?}");
        assert!(check.err.contains("lifeboat backup --base"), "{damage}: {check:?}");
        std::fs::write(&newest, &whole).unwrap();
    }
}

/// A repository whose chain is damaged where only reading shows it: the next backups would be lost
/// too, until there is a new base.
#[test]
fn a_new_base_heals() {
    let (home, versions, newest) = three_backups();
    let mut bytes = std::fs::read(&newest).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&newest, &bytes).unwrap();
    let database = Database { path: home.path("app.db") };
    database.change(6);
    home.ok(&["backup", "app.db"]);
    assert_eq!(home.run(&["restore", "-t", "x.db", "-b", "latest"]).code, Some(3));
    home.run(&["backup", "app.db", "--verify"]).fails(
        1,
        newest.file_name().unwrap().to_str().unwrap(),
        "check",
    );
    let ran = home.run(&["backup", "app.db", "--base", "--verify"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("app: storing the whole database (a new base was asked for)"),
        "{ran:?}"
    );
    assert!(home.restored(&[]) == database.bytes());
    database.change(7);
    let next = home.backup(&["app.db"]);
    assert!(!next["changed_from"].is_null(), "{next}");
    assert!(home.restored(&[]) == database.bytes());
    // Lost is what the base did not replace: the backup that the damaged file alone leads to.
    let check = home.run(&["check", "--read-data"]);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(check.out.contains("6 backups can be restored, 1 cannot"), "{check:?}");
    assert!(!check.err.contains("--base"), "the newest backup is whole: {check:?}");
    let ids = home.ids(&[]);
    assert!(home.restored(&["-b", &ids[5]]) == versions[1]);
    home.run(&["restore", "-t", "y.db", "-b", &ids[4]]).fails(1, &ids[4][..8], &ids[0][..8]);
}

#[test]
fn damaged_manifests_and_keys() {
    let (home, versions, _) = three_backups();
    let manifests = files_below(&home.repository().join("backups"));
    let manifest = manifests.last().unwrap();
    let whole = std::fs::read(manifest).unwrap();
    std::fs::write(manifest, &whole[..whole.len() / 2]).unwrap();
    let ran = home.run(&["restore", "-t", "x.db"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("cannot be restored"), "{ran:?}");
    assert!(std::fs::read(home.path("x.db")).unwrap() == versions[1]);
    let list = home.run(&["backups"]);
    assert_eq!(list.code, Some(1), "a list with a hole is no success: {list:?}");
    assert!(list.out.contains("cannot be read: "), "{list:?}");
    assert_eq!(list.out.lines().count(), 4, "{list:?}");
    assert_eq!(home.run(&["check"]).code, Some(1));
    std::fs::write(manifest, &whole).unwrap();

    let identity = files_below(&home.repository().join("identities")).remove(0);
    let sealed = std::fs::read(&identity).unwrap();
    std::fs::write(&identity, &sealed[..50]).unwrap();
    let ran = home.run(&["restore", "-t", "y.db"]);
    ran.fails(1, "identities/", "put identities/");
    home.run(&["check"]).fails(1, "identities/", "from a copy of the repository");
    std::fs::remove_file(&identity).unwrap();
    home.run(&["restore", "-t", "y.db"]).fails(12, "holds no identity", "--identity");
    std::fs::write(&identity, &sealed).unwrap();

    let marker = home.repository().join("lifeboat.json");
    let text = std::fs::read_to_string(&marker).unwrap();
    std::fs::write(&marker, text.replace("\"read\":[]", "\"read\":[\"sharding\"]")).unwrap();
    home.run(&["backups"]).fails(1, "\"sharding\"", "newer version");
    std::fs::write(&marker, text.replace("\"write\":[]", "\"write\":[\"sharding\"]")).unwrap();
    home.run(&["backup", "app.db"]).fails(1, "\"sharding\"", "newer version");
    home.ok(&["restore", "-t", "y.db"]);
    std::fs::write(&marker, &text[..20]).unwrap();
    home.run(&["check"]).fails(1, "lifeboat.json", "from a copy of the repository");
    std::fs::remove_file(&marker).unwrap();
    let ran = home.run(&["backup", "app.db"]);
    assert_eq!(ran.code, Some(1), "no second repository is made over the first: {ran:?}");
}
