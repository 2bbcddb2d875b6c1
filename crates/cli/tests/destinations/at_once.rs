//! Several repositories, and none of them on this machine.

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use lifeboat_servers::proxy::{Fault, Head};
use serde_json::Value;

use crate::bad_days::waiting;
use crate::common::{Database, Home};
use crate::places::{Bucket, configure, summary};

/// Two buckets, of which the first is always there before the second: that is heard when the sources are read.
struct Two {
    home: Home,
    database: Database,
    first: Bucket,
    second: Bucket,
}

/// What is meant to fail.
type Meant = fn(&Head) -> bool;

impl Two {
    fn new() -> Self {
        let (home, first, second) = (Home::new(), Bucket::new(), Bucket::new());
        let tables = [("first", first.table()), ("second", second.table())];
        let database = configure(&home, &tables);
        Self { home, database, first, second }
    }

    /// From now on, the first one fails like this from the first request that is meant on.
    fn arrange(&self, is_meant: Meant, fault: Fault) {
        let (tell, told) = channel();
        let failing = Mutex::new(false);
        self.first.proxy.decide(move |head| {
            if head.path.contains("leases") {
                // Nobody waits for it a second time.
                let _ = tell.send(());
            }
            let mut failing = failing.lock().unwrap();
            *failing |= is_meant(head);
            failing.then(|| fault.clone())
        });
        let told = Mutex::new(Some(told));
        self.second.proxy.decide(move |_| {
            if let Some(told) = told.lock().unwrap().take() {
                told.recv().unwrap();
            }
            None
        });
    }

    fn mend(&self) {
        self.first.proxy.decide(|_| None);
        self.second.proxy.decide(|_| None);
    }

    /// Both hold as many backups, sound to the last byte, and the newest is the database as it is now.
    fn hold(&self, backups: usize) {
        for name in ["first", "second"] {
            assert_eq!(self.home.ids(&["-r", name]).len(), backups, "{name}");
            assert!(self.home.restored(&["-r", name, "app"]) == self.database.bytes(), "{name}");
        }
        let checked = self.home.ok(&["check", "--read-data"]);
        assert_eq!(checked.matches("no damage").count(), 2, "{checked}");
        assert!(waiting(&self.home).is_empty());
    }
}

fn never(_: &Head) -> bool {
    false
}

/// Whether it adds what waits until the backup is written.
fn is_sent(head: &Head) -> bool {
    let waits = ["/databases/", "/data/", "/index/", "/snapshots/", "/backups/"];
    head.method == "PUT" && waits.iter().any(|wait| head.path.contains(wait))
}

fn is_manifest(head: &Head) -> bool {
    is_sent(head) && head.path.contains("/backups/")
}

fn name(head: &Head) -> String {
    head.path.split('?').next().unwrap_or_default().to_owned()
}

/// What the second one gets is not asked of the first one's server, and this is sent whole before the manifest.
#[test]
fn what_is_sent_is_not_read_back() {
    let two = Two::new();
    for run in 0..3_u32 {
        two.arrange(never, Fault::Hang);
        two.first.proxy.take_seen();
        let summary = two.home.json(&["backup"]);
        let seen = two.first.proxy.take_seen();
        assert_eq!(summary["others"][0]["name"], "second", "{summary}");
        let sent: Vec<&Head> = seen.iter().filter(|head| is_sent(head)).collect();
        assert!(is_manifest(sent.last().unwrap()), "{sent:#?}");
        let begun = seen.iter().position(is_sent).unwrap();
        let names: HashSet<String> = sent.iter().map(|head| name(head)).collect();
        let gets = |heads: &[Head]| -> Vec<String> {
            let gets = heads.iter().filter(|head| head.method == "GET");
            gets.map(|head| head.path.clone()).collect()
        };
        let back = gets(&seen).into_iter().filter(|path| names.contains(path));
        assert_eq!(back.collect::<Vec<_>>(), [] as [String; 0], "run {run}");
        assert_eq!(gets(&seen[begun..]), [] as [String; 0], "run {run}");
        two.mend();
        two.hold(run as usize + 1);
        two.database.change(run + 3);
        two.home.write("app/notes.txt", format!("{run}\n"));
        two.home.write(&format!("app/below/{run}/new.txt"), "new\n");
    }
    // What is verified is what came through.
    two.arrange(never, Fault::Hang);
    two.first.proxy.take_seen();
    assert_eq!(two.home.json(&["backup", "--verify"])["verified"], true);
    let seen = two.first.proxy.take_seen();
    let sent = seen.iter().position(is_manifest).unwrap();
    let is_read = |head: &Head| head.method == "GET" && head.path.contains("/ltx/0/");
    assert!(seen[sent..].iter().any(is_read), "{seen:#?}");
}

/// The first one takes a part and says nothing: the second one has the backup all the same.
#[test]
fn a_first_one_that_stops_answering_delays_none() {
    let two = Two::new();
    two.home.ok(&["backup"]);
    two.database.change(5);
    two.home.write("app/notes.txt", "three\n");
    two.arrange(is_sent, Fault::Hang);
    let mut backup = two.home.command(&["backup"]).stdout(Stdio::null()).spawn().unwrap();
    while two.home.ids(&["-r", "second"]).len() < 2 {
        thread::sleep(Duration::from_millis(50));
    }
    assert!(backup.try_wait().unwrap().is_none(), "it still waits for the first");
    backup.kill().unwrap();
    backup.wait().unwrap();
    two.mend();
    // What waited is sent by the next one, and what the second has by itself comes from there.
    two.database.change(6);
    two.home.ok(&["backup"]);
    two.hold(3);
}

/// Wherever the first one fails, the second one has the backup, and the next run brings it to the first.
#[test]
fn a_first_one_that_fails_fails_no_other() {
    const REFUSED: Fault = Fault::Answer(500, "", "<Error><Code>InternalError</Code></Error>");
    let two = Two::new();
    two.home.ok(&["backup"]);
    let cases: [(&str, Meant); 4] = [
        ("the first object", is_sent),
        ("pin", |head| is_sent(head) && head.path.contains("/pins/")),
        ("index", |head| is_sent(head) && head.path.contains("/index/")),
        ("manifest", is_manifest),
    ];
    for (run, (case, is_meant)) in (0_u32..).zip(cases) {
        two.database.change(run + 5);
        two.home.write("app/notes.txt", format!("{case}\n"));
        two.arrange(is_meant, REFUSED);
        let ran = two.home.run(&["backup", "--json"]);
        two.mend();
        assert_eq!(ran.code, Some(3), "{case}: {ran:?}");
        let told = summary(&ran);
        let [failed] = &told["others"].as_array().unwrap()[..] else { panic!("{told}") };
        assert_eq!((&failed["name"], &failed["complete"]), (&"first".into(), &false.into()));
        assert!(failed["error"].as_str().unwrap().contains("500"), "{case}: {failed}");
        let id = told["backup_id"].as_str().unwrap();
        let events: Vec<Value> =
            ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let completed = |event: &&Value| event["message_type"] == "backup_completed";
        assert_eq!(events.iter().filter(completed).count(), 1, "{case}: {ran:?}");
        assert_eq!(two.home.ids(&["-r", "second"])[0], id, "{case}");
        assert!(!two.home.ids(&["-r", "first"]).contains(&id.to_owned()), "{case}");
        assert!(two.home.restored(&["-r", "second", "app"]) == two.database.bytes(), "{case}");
        two.database.change(run + 6);
        let summary = two.home.json(&["backup"]);
        assert!(summary["sources"][0]["changed_pages"].as_u64() < Some(20), "{case}: {summary}");
        two.hold(2 * run as usize + 3);
    }
}

/// Who lacks more than what waits needs the first one's server. If that is gone, the sources are read once more.
#[test]
fn what_only_the_first_one_had_does_not_keep_the_second_from_a_backup() {
    let cases: [Meant; 3] = [
        is_sent,
        |head| head.method == "GET" && head.path.contains("/ltx/"),
        |head| head.method == "GET" && head.path.contains("/snapshots/"),
    ];
    for (case, is_meant) in cases.into_iter().enumerate() {
        let two = Two::new();
        two.home.ok(&["backup", "-r", "first"]);
        two.database.change(5);
        two.arrange(is_meant, Fault::Answer(503, "", "<Error><Code>SlowDown</Code></Error>"));
        let ran = two.home.run(&["backup", "--json"]);
        two.mend();
        // All of it may have been sent before what is read is missed.
        let sent = ran.code == Some(0) && case > 0;
        assert!(sent || ran.code == Some(3), "{case}: {ran:?}");
        let other = if sent { "second" } else { "first" };
        assert_eq!(summary(&ran)["others"][0]["name"], other, "{case}: {ran:?}");
        assert!(two.home.restored(&["-r", "second", "app"]) == two.database.bytes(), "{case}");
        two.home.ok(&["backup"]);
        two.home.ok(&["check", "--read-data"]);
        for name in ["first", "second"] {
            let restored = two.home.restored(&["-r", name, "app"]);
            assert!(restored == two.database.bytes(), "{case}: {name}");
        }
    }
}

/// The first one is opened, and fails when it is asked what it has: it is not asked for each source.
#[test]
fn another_takes_the_place_of_a_first_one_that_falls_silent() {
    let two = Two::new();
    let config = std::fs::read_to_string(two.home.path("lifeboat.toml")).unwrap();
    let _other = Database::create(&two.home.path("other.db"), "wal", 10);
    two.home.write("lifeboat.toml", config + "[database.other]\npath = 'other.db'\n");
    let is_asked: Meant = |head| head.path.contains("leases");
    for backups in 1..3 {
        two.database.change(5);
        two.arrange(is_asked, Fault::Answer(500, "", "<Error><Code>InternalError</Code></Error>"));
        two.first.proxy.take_seen();
        let ran = two.home.run(&["backup", "--json"]);
        let seen = two.first.proxy.take_seen();
        two.mend();
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let told = summary(&ran);
        assert_eq!(told["others"][0]["name"], "first", "{told}");
        assert_eq!(told["sources"].as_array().unwrap().len(), 3, "{told}");
        assert!(!seen.iter().any(|head| head.path.contains("other")), "{seen:#?}");
        assert_eq!(two.home.ids(&["-r", "second"]).len(), backups);
    }
    two.home.ok(&["backup"]);
    assert!(two.home.restored(&["-r", "first", "app"]) == two.database.bytes());
    two.home.ok(&["check", "--read-data"]);
}

/// Killed while the first one takes one object after the other, it leaves what the next run completes.
#[test]
fn a_killed_process_leaves_nothing_that_harms() {
    let two = Two::new();
    let cases: [Meant; 4] = [
        is_sent,
        |head| is_sent(head) && head.path.contains("/ltx/"),
        |head| is_sent(head) && head.path.contains("/snapshots/"),
        is_manifest,
    ];
    for (run, is_meant) in (0_u32..).zip(cases) {
        two.arrange(is_meant, Fault::Hang);
        let mut backup = two.home.command(&["backup"]).stdout(Stdio::null()).spawn().unwrap();
        while !two.first.proxy.take_seen().iter().any(is_meant) {
            thread::sleep(Duration::from_millis(5));
        }
        backup.kill().unwrap();
        backup.wait().unwrap();
        two.mend();
        two.database.change(run + 9);
        two.home.write("app/notes.txt", format!("{run}\n"));
        two.home.ok(&["backup"]);
        assert!(waiting(&two.home).is_empty());
        for name in ["first", "second"] {
            assert!(two.home.restored(&["-r", name, "app"]) == two.database.bytes(), "{name}");
        }
        two.home.ok(&["check", "--read-data"]);
    }
}
