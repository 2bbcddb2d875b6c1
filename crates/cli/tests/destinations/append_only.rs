//! A host with credentials that may only add, and what whoever takes that host over can do with them.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use lifeboat_servers::proxy::Head;
use lifeboat_servers::s3::store::{BUCKET, Traits};
use lifeboat_servers::s3::{KEY_ID, SECRET};
use lifeboat_storage::{
    BucketAddress, CreateNew, Credentials, Environment, Error, Patience, RemoteOptions, S3Options,
    Storage, s3,
};

use serde_json::Value;

use crate::common::{Database, Home, Replication};
use crate::places::{Bucket, configure, write_config};

/// A bucket that its owner made, the host that may only add to it, and the owner's own computer.
struct Arrangement {
    owner: Bucket,
    pi: Bucket,
    home: Home,
    desk: Home,
    database: Database,
}

fn arrange(removable_locks: bool) -> Arrangement {
    let owner = Bucket::new();
    let traits = Traits { append_only: true, removable_locks, ..Traits::default() };
    let pi = Bucket::of(owner.store.seen_with(traits));
    let (home, desk) = (Home::new(), Home::new());
    write_config(&desk, &[("s3", owner.table())]);
    let config = std::fs::read_to_string(desk.path("lifeboat.toml")).unwrap();
    desk.write("lifeboat.toml", config.replace("host = 'box'", "host = 'desk'"));
    desk.ok(&["init"]);
    let database = configure(&home, &[]);
    write_config(&home, &[("s3", pi.table() + "append-only = true\n")]);
    Arrangement { owner, pi, home, desk, database }
}

#[test]
fn a_host_that_may_only_add_backs_up() {
    for removable_locks in [true, false] {
        backs_up(arrange(removable_locks), removable_locks);
    }
}

fn backs_up(arrangement: Arrangement, removable_locks: bool) {
    let Arrangement { owner: _, pi: _, home, desk, database } = arrangement;
    let mut ids = Vec::new();
    for row in 1..3 {
        database.change(row);
        home.write("app/notes.txt", format!("{row}\n"));
        ids.insert(0, home.json(&["backup"])["backup_id"].as_str().unwrap().to_owned());
    }
    // Where nothing can be removed, nobody tries to clean up.
    ids.insert(0, home.json(&["backup", "--cleanup"])["backup_id"].as_str().unwrap().to_owned());
    let mut replication = Replication::start_of(&home, &["app"]);
    database.change(9);
    replication.wait_for("protected", |event| event["message_type"] == "protected");
    replication.stop();
    home.ok(&["check", "--read-data"]);
    let examined = home.run(&["doctor"]);
    assert!(examined.out.contains("\n0 problems"), "{examined:?}");
    for command in [&["forget", "--keep-last", "1"][..], &["prune"], &["forget", ids[2].as_str()]] {
        home.run(command).fails(1, "append-only", "do it on another host");
    }
    assert_eq!(home.ids(&[]), ids);

    desk.ok(&["check", "--read-data"]);
    assert!(desk.restored(&["app", "--host", "box", "--at", "now"]) == database.bytes());
    desk.ok(&["forget", "--host", "box", "--keep-last", "1"]);
    if !removable_locks {
        // They are of processes that have ended on this computer, which is the owner's, too.
        desk.run(&["prune"]).fails(11, "", "");
        desk.ok(&["unlock"]);
    }
    desk.ok(&["prune"]);
    assert_eq!(home.ids(&[]), ids[..1]);
    // The host goes on from what is left.
    database.change(3);
    let summary = home.json(&["backup"]);
    assert!(summary["sources"][0]["changed_pages"].as_u64() < Some(8), "{summary}");
    desk.ok(&["check", "--read-data"]);
}

/// What a request needs, as IAM calls it: the action and the resource.
fn needed(head: &Head) -> (&'static str, String) {
    let path = head.path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let in_parts = head.field("uploadId").is_some();
    let action = match head.method.as_str() {
        "GET" if head.field("uploads").is_some() => "s3:ListBucketMultipartUploads",
        "GET" | "HEAD" if key.is_empty() => "s3:ListBucket",
        "GET" if in_parts => "s3:ListMultipartUploadParts",
        "GET" | "HEAD" => "s3:GetObject",
        "PUT" | "POST" => "s3:PutObject",
        "DELETE" if in_parts => "s3:AbortMultipartUpload",
        "DELETE" => "s3:DeleteObject",
        other => panic!("{other}"),
    };
    let resource = format!("arn:aws:s3:::{bucket}/{key}");
    (action, resource.trim_end_matches('/').to_owned())
}

/// The policy that the documentation gives to such a host is enough for all that it does.
#[test]
fn the_policy_of_the_documentation_is_enough() {
    let documentation = include_str!("../../../../docs/destinations.md");
    let (_, policy) = documentation.split_once("```json\n").unwrap();
    let policy = policy.split("```").next().unwrap().replace("BUCKET/PREFIX", "bucket/some/prefix");
    let policy: Value = serde_json::from_str(&policy.replace("BUCKET", "bucket")).unwrap();
    let allows = |action: &str, resource: &str| {
        policy["Statement"].as_array().unwrap().iter().any(|statement| {
            let actions = statement["Action"].as_array().unwrap();
            let pattern = statement["Resource"].as_str().unwrap();
            let fits = match pattern.strip_suffix('*') {
                Some(start) => resource.starts_with(start),
                None => resource == pattern,
            };
            fits && actions.iter().any(|one| one == action)
        })
    };
    let Arrangement { owner: _owner, pi, home, desk, database } = arrange(true);
    pi.proxy.take_seen();
    home.ok(&["backup"]);
    database.change(1);
    // More than one part of an upload.
    let mut seed = 1_u64;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    });
    home.write("app/noise.bin", noise.take(20 << 20).collect::<Vec<u8>>());
    home.ok(&["backup", "--cleanup"]);
    home.ok(&["backup", "--base"]);
    let mut replication = Replication::start_of(&home, &["app"]);
    database.change(9);
    replication.wait_for("protected", |event| event["message_type"] == "protected");
    replication.stop();
    home.ok(&["check", "--read-data"]);
    home.ok(&["doctor"]);
    assert!(home.restored(&["app", "--at", "now"]) == database.bytes());
    let mut actions = BTreeSet::new();
    for head in pi.proxy.take_seen() {
        let (action, resource) = needed(&head);
        assert!(allows(action, &resource), "{action} of {resource}");
        actions.insert(action);
    }
    let all = ["s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"];
    assert_eq!(actions, BTreeSet::from(all));
    // And it leaves nothing that keeps a prune away.
    desk.ok(&["prune"]);
}

/// Whoever is root on the host, and asks the store directly.
fn attacker(pi: &Bucket, create_new: Option<CreateNew>) -> Arc<dyn Storage> {
    let address = BucketAddress { bucket: BUCKET.to_owned(), prefix: "some/prefix".to_owned() };
    let options = S3Options {
        endpoint: Some(format!("http://{}", pi.proxy.address)),
        region: Some("eu-test-1".to_owned()),
        credentials: Some(Credentials::new(KEY_ID.to_owned(), SECRET.to_owned(), None)),
        create_new,
        remote: RemoteOptions { patience: Patience::NONE, ..RemoteOptions::default() },
        ..S3Options::default()
    };
    s3(&address, &Environment::new(|_| None), &options).unwrap()
}

fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Storage { source, .. } if source.kind() == ErrorKind::PermissionDenied)
}

#[test]
fn whoever_takes_the_host_over_destroys_nothing() {
    let Arrangement { owner, pi, home, desk, database } = arrange(true);
    home.ok(&["backup"]);
    let (good, names) = (database.bytes(), owner.store.names());
    let objects: Vec<_> = names.iter().map(|name| owner.store.object(name).unwrap()).collect();
    for create_new in [None, Some(CreateNew::Checked)] {
        let storage = attacker(&pi, create_new);
        for entry in storage.list(None).unwrap() {
            assert!(is_denied(&storage.remove(&entry.key).unwrap_err()), "{}", entry.key);
            let written = storage.put(&entry.key, b"gone").unwrap_err();
            assert!(matches!(written, Error::Exists { .. }), "{}: {written}", entry.key);
        }
    }
    // With the program itself, and all that it says.
    write_config(&home, &[("s3", pi.table())]);
    let id = home.ids(&[])[0].clone();
    home.run(&["forget", &id]).fails(1, "AccessDenied", "s3:DeleteObject");
    home.run(&["init"]).fails(1, "already holds a repository", "use it as it is");
    for attempt in [&["prune", "--grace", "0"][..], &["unlock", "--all"]] {
        // Whether there was anything to do or not.
        home.run(attempt);
    }
    // Rubbish under the same names, and the name of the host taken over.
    database.execute("DELETE FROM t");
    home.write("app/notes.txt", "rubbish\n");
    home.ok(&["backup", "--take-over"]);
    for (name, object) in names.iter().zip(&objects) {
        let now = owner.store.object(name);
        assert!(now.is_some_and(|now| now.bytes == object.bytes), "{name}");
    }
    desk.ok(&["check", "--read-data"]);
    let restored = desk.restored(&["app", "--host", "box", "--backup", &id]);
    assert!(restored == good);
}

/// Everything that is stored says until when it stays; what is locked is left, and counted.
#[test]
fn what_the_store_locks_is_removed_later() {
    let home = Home::new();
    let bucket = Bucket::with(Traits { wants_checksums: true, ..Traits::default() });
    let table = bucket.table() + "object-lock = { mode = 'compliance', days = 30 }\n";
    let database = configure(&home, &[("s3", table)]);
    for row in 1..3 {
        database.change(row);
        home.write("app/notes.txt", format!("{row}\n"));
        home.ok(&["backup"]);
    }
    for name in bucket.store.names() {
        let is_locked = bucket.store.object(&name).unwrap().retained_until.is_some();
        assert!(is_locked, "{name}");
        assert!(!name.contains("/locks/"), "{name}");
    }
    let ids = home.ids(&[]);
    let forgot = home.ok(&["forget", "--keep-last", "1"]);
    let locked =
        "forgot 0 backups, 1 object still locked by the store; 1 backup stays because of that\n";
    assert!(forgot.contains(locked), "{forgot}");
    assert!(!forgot.contains("undelete"), "{forgot}");
    let forgot = home.json(&["forget", &ids[1]]);
    assert_eq!(forgot["forgotten"], serde_json::json!([]));
    assert_eq!(forgot["protected"], serde_json::json!([ids[1]]));
    assert_eq!(forgot["protected_objects"], 1);
    assert_eq!(home.ids(&[]), ids);
    // One copy of its manifest is enough, which is locked, too.
    let copies = || {
        let names = bucket.store.names().into_iter();
        names.filter(|name| name.contains("/forgotten/")).count()
    };
    assert_eq!(copies(), 1);
    home.ok(&["check", "--read-data"]);
    // The backup may go, its pin not yet; nor its snapshot, and with it what that needs.
    bucket.store.end_locks("/backups/");
    let forgot = home.ok(&["forget", "--keep-last", "1"]);
    assert!(forgot.contains("forgot 1 backup, 1 object still locked by the store"), "{forgot}");
    assert_eq!((home.ids(&[]), copies()), (ids[..1].to_vec(), 1));
    home.ok(&["prune", "--grace", "0"]);
    let pruned = home.json(&["prune", "--grace", "0"]);
    assert!(pruned["files"]["protected_objects"].as_u64() > Some(0), "{pruned}");
    home.ok(&["check", "--read-data"]);
    // The lists of what there is may go, what they list not yet.
    ["/pins/", "/snapshots/"].iter().for_each(|part| bucket.store.end_locks(part));
    home.ok(&["forget", "--keep-last", "1"]);
    let pruned = home.ok(&["prune", "--grace", "0"]);
    assert!(pruned.contains("still locked by the store"), "{pruned}");
    home.ok(&["check", "--read-data"]);
    bucket.store.end_locks("");
    let pruned = home.ok(&["prune", "--grace", "0"]);
    assert!(!pruned.contains("locked"), "{pruned}");
    home.ok(&["check", "--read-data"]);
    database.change(3);
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
}
