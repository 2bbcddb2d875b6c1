//! All hosts at a glance.

use std::collections::BTreeMap;

use lifeboat_servers::proxy::Head;
use serde_json::{Value, json};

use crate::common::{Database, Home};
use crate::places::Bucket;

/// A host with its own state, that backs a database up to a repository below the prefix.
fn host(bucket: &Bucket, name: &str, repository: &str) -> Home {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 3);
    home.write(".config/lifeboat/password", "correct battery staple\n");
    let config = format!(
        "host = '{name}'\n[database.app]\npath = 'app.db'\n[repository.s3]\n{}",
        bucket.table().replace("some/prefix", &format!("fleet/{repository}"))
    );
    home.write("lifeboat.toml", config);
    home
}

/// What was asked for: HEAD, GET of an object, or LIST.
fn kinds(requests: &[Head]) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for head in requests {
        let kind = match head.method.as_str() {
            "HEAD" => "HEAD",
            "GET" if head.field("list-type").is_some() => "LIST",
            "GET" => "GET",
            _ => "other",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[test]
fn every_host_is_seen_without_a_password() {
    let bucket = Bucket::new();
    let hosts = [("pi", "one"), ("box", "two"), ("attic", "two")];
    for (number, (name, repository)) in hosts.iter().enumerate() {
        let home = host(&bucket, name, repository);
        if number < 2 {
            home.ok(&["init"]);
        }
        home.ok(&["backup"]);
        home.ok(&["backup"]);
    }
    host(&bucket, "new", "three").ok(&["init"]);
    bucket.store.plant("fleet/broken/lifeboat.json", b"{\"lifeboat\": 1");
    bucket.store.plant("fleet/other/photo.jpg", b"none of ours");

    let desk = Home::new();
    let table = bucket.table().replace("some/prefix", "fleet");
    desk.write("lifeboat.toml", format!("[repository.fleet]\n{table}"));
    bucket.proxy.take_seen();
    let ran = desk.run(&["status", "--all-hosts", "--json"]);
    let asked = kinds(&bucket.proxy.take_seen());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let shown: Vec<_> = report["hosts"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        shown,
        [("one", "pi", 2), ("three", "three", 0), ("two", "attic", 2), ("two", "box", 2)]
            .map(|(repository, host, backups)| (json!(repository), json!(host), json!(backups)))
    );
    assert_eq!(report["unreadable"][0]["repository"], "broken");
    assert!(!desk.path(".local").exists(), "looking makes no state directory");
    // Is the prefix a repository, what lies below it; of each: is it one, its marker, its backups.
    assert_eq!(asked, BTreeMap::from([("HEAD", 1 + 5), ("LIST", 1 + 3), ("GET", 4)]));

    // One that is named alone, and is late.
    let two = desk.run(&["status", "--all-hosts", "-r", "fleet", "--max-age", "1h"]);
    assert_eq!(two.code, Some(3), "{two:?}");
    assert!(two.err.contains("\nbroken could not be looked at\n"), "{two:?}");
    let table = bucket.table().replace("some/prefix", "fleet/two");
    desk.write("lifeboat.toml", format!("[repository.two]\n{table}"));
    bucket.proxy.take_seen();
    let fresh = desk.run(&["status", "--all-hosts", "--max-age", "1h"]);
    let asked = kinds(&bucket.proxy.take_seen());
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
    assert!(fresh.out.contains("attic") && fresh.out.contains("2 hosts"), "{fresh:?}");
    assert_eq!(asked, BTreeMap::from([("HEAD", 1), ("LIST", 1), ("GET", 1)]));
}

fn row(host: &Value) -> (Value, Value, Value) {
    (host["repository"].clone(), host["host"].clone(), host["backups"].clone())
}

/// A host that has never backed up is late, whatever its age may be.
#[test]
fn who_is_late_is_an_exit_code() {
    let bucket = Bucket::new();
    host(&bucket, "new", "three").ok(&["init"]);
    let desk = Home::new();
    let table = bucket.table().replace("some/prefix", "fleet");
    desk.write("lifeboat.toml", format!("[repository.fleet]\n{table}"));
    let ran = desk.run(&["status", "--all-hosts", "--max-age", "26h"]);
    assert_eq!(ran.code, Some(21), "{ran:?}");
    assert!(ran.out.contains("1 host, 1 late"), "{ran:?}");
    assert_eq!(desk.run(&["status", "--all-hosts"]).code, Some(0));
}
