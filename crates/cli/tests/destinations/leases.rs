//! Two hosts, one database, and a store that replaces what is there without a word.

use std::process::Stdio;

use lifeboat_servers::s3::store::{Store, Traits};
use serde_json::Value;

use crate::common::{Home, Ran};
use crate::places::{Bucket, configure, write_config};

fn careless() -> Bucket {
    Bucket::of(Store::new(Traits { ignores_conditions: true, ..Traits::default() }))
}

/// Two state directories that go by one name.
fn twins(bucket: &Bucket) -> [(Home, crate::common::Database); 2] {
    [0, 1].map(|_| {
        let home = Home::new();
        let database = configure(&home, &[]);
        write_config(&home, &[("s3", bucket.table())]);
        (home, database)
    })
}

#[test]
fn a_store_that_replaces_is_found_out_and_looked_at() {
    let bucket = careless();
    let home = Home::new();
    let database = configure(&home, &[("s3", bucket.table())]);
    let marker = bucket.store.object("some/prefix/lifeboat.json").unwrap();
    let marker: Value = serde_json::from_slice(&marker.bytes).unwrap();
    assert_eq!(marker["look_before_create"], true, "{marker}");
    home.ok(&["backup"]);
    let before: Vec<_> = bucket.store.names();
    database.change(1);
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
    home.run(&["init"]).fails(1, "already holds a repository", "use it as it is");
    assert!(before.iter().all(|name| bucket.store.object(name).is_some()));
    // One that refuses is not looked at.
    let refuses = Bucket::new();
    configure(&Home::new(), &[("s3", refuses.table())]);
    let marker = refuses.store.object("some/prefix/lifeboat.json").unwrap();
    let marker: Value = serde_json::from_slice(&marker.bytes).unwrap();
    assert_eq!(marker["look_before_create"], Value::Null, "{marker}");
}

/// Both at once: one has it, the other is told who; after a takeover the former holder stops.
#[test]
fn of_two_hosts_one_holds_a_database() {
    let bucket = careless();
    let twins = twins(&bucket);
    twins[0].0.ok(&["init"]);
    let running = twins.each_ref().map(|(home, _)| {
        let mut command = home.command(&["replicate", "app", "--once"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let ran = running.map(|child| Ran::of(child.wait_with_output().unwrap()));
    let holders: Vec<usize> = (0..2).filter(|number| ran[*number].code == Some(0)).collect();
    let [holder] = holders[..] else { panic!("{ran:#?}") };
    let other = 1 - holder;
    assert_eq!(ran[other].code, Some(3), "{ran:#?}");
    assert!(ran[other].err.contains("database app is written by host"), "{ran:#?}");
    let (home, database) = &twins[holder];
    assert!(home.restored(&["app", "--at", "now"]) == database.bytes());

    let (taker, taken) = &twins[other];
    taken.change(2);
    let ran = taker.run(&["replicate", "app", "--once", "--take-over"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(taker.restored(&["app", "--at", "now"]) == taken.bytes());
    // It comes back, and knows nothing of this.
    database.change(3);
    let back = home.run(&["replicate", "app", "--once"]);
    assert_ne!(back.code, Some(0), "{back:?}");
    assert!(taker.restored(&["app", "--at", "now"]) == taken.bytes());
    assert!(home.restored(&["app", "--at", "now"]) == taken.bytes());
    taker.ok(&["check", "--read-data"]);
}
