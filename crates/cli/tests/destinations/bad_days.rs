//! Servers that are away, break off, refuse or are slow; and a process that is killed.

use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use lifeboat_servers::proxy::{Fault, Head};
use lifeboat_servers::s3::SECRET;
use lifeboat_servers::sshd::Sshd;
use serde_json::Value;

use crate::common::{Database, Home, files_below};
use crate::places::{Bucket, Server, access, configure, nowhere, summary, write_config};

/// Two have the backup, the third gets it with the next one.
#[test]
fn one_of_three_that_is_dead_catches_up() {
    let Some(sshd) = Sshd::start() else { return };
    let home = Home::new();
    let (bucket, sftp) = (Bucket::new(), Server::Sftp(sshd));
    let local = ("local", "url = 'local'".to_owned());
    let tables = [("s3", bucket.table()), ("sftp", sftp.table(&home)), local];
    let database = configure(&home, &tables);
    home.json(&["backup"]);
    let mut made = 1;
    for (dead, address, hint) in [
        ("s3", bucket.proxy.address, "look at the address and the network"),
        ("sftp", sftp_address(&tables[1].1), "is its SSH server running"),
    ] {
        let table = |(name, table): &(&'static str, String)| {
            let dead_table = table.replace(&address.to_string(), &nowhere().to_string());
            (*name, if *name == dead { dead_table } else { table.clone() })
        };
        write_config(&home, &tables.each_ref().map(table));
        database.change(made + 3);
        let ran = home.run(&["backup", "--json"]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        let others = summary(&ran)["others"].clone();
        for other in others.as_array().unwrap() {
            assert_eq!(other["complete"], other["name"] != dead, "{other}");
        }
        assert!(ran.err.contains(hint), "{ran:?}");
        write_config(&home, &tables);
        database.change(made + 4);
        let summary = home.json(&["backup"]);
        assert!(summary["sources"][0]["changed_pages"].as_u64() < Some(8), "{summary}");
        made += 2;
        for (name, _) in &tables {
            assert_eq!(home.ids(&["-r", name]).len(), made as usize, "{name}");
            assert!(home.restored(&["-r", name, "app"]) == database.bytes(), "{name}");
        }
    }
    let checked = home.ok(&["check", "--read-data"]);
    assert_eq!(checked.matches("no damage: 5 backups").count(), 3, "{checked}");
}

/// Where an address of SFTP leads.
fn sftp_address(table: &str) -> std::net::SocketAddr {
    let (_, rest) = table.split_once('@').unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

fn is_put(head: &Head) -> bool {
    head.method == "PUT"
}

/// The connection breaks in the middle of one object after the other, and stays away: nothing half is visible, and
/// the next run completes what is there.
#[test]
fn an_upload_that_breaks_off_leaves_nothing_half() {
    let home = Home::new();
    let bucket = Bucket::new();
    let database = configure(&home, &[("s3", bucket.table())]);
    let mut whole = 0;
    for (cut_at, bytes) in (0..).zip([0, 1, 1000, 4096, 20_000, 60_000].into_iter().cycle()) {
        let puts = Mutex::new(0);
        bucket.proxy.decide(move |head| {
            let mut puts = puts.lock().unwrap();
            *puts += usize::from(is_put(head));
            (*puts > cut_at).then_some(Fault::CutRequest(if is_put(head) { bytes } else { 0 }))
        });
        let before = bucket.store.names();
        let ran = home.run(&["backup", "--json"]);
        bucket.proxy.decide(|_| None);
        let is_listed = home.ids(&[]).len() - whole;
        match ran.code {
            Some(0) => {
                assert!(cut_at > 3, "so few objects make no backup");
                break;
            }
            Some(3) => assert_eq!(is_listed, 1, "after {cut_at}: {ran:?}"),
            Some(1) => assert!(is_listed <= 1, "after {cut_at}: {ran:?}"),
            _ => panic!("after {cut_at}: {ran:?}"),
        }
        assert!(ran.err.contains("\"hint\":\""), "{ran:?}");
        assert!(bucket.store.names().len() <= before.len() + cut_at + 1, "after {cut_at}");
        // Whatever is there can be read.
        home.ok(&["check", "--read-data"]);
        database.change(7);
        home.ok(&["backup"]);
        whole = home.ids(&[]).len();
        assert!(home.restored(&["app"]) == database.bytes(), "after {cut_at}");
        database.change(8);
        home.write("app/notes.txt", format!("{cut_at}\n"));
    }
    home.ok(&["check", "--read-data"]);
}

/// Runs a backup until the first object that is meant is on its way, and kills it.
fn kill_while_sending(home: &Home, bucket: &Bucket, is_meant: fn(&Head) -> bool) {
    let (tell, told) = channel();
    bucket.proxy.decide(move |head| {
        is_meant(head).then(|| {
            let _ = tell.send(());
            Fault::Hang
        })
    });
    let mut child = start(home, &["backup", "app"]);
    told.recv().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    bucket.proxy.decide(|_| None);
}

fn start(home: &Home, arguments: &[&str]) -> Child {
    let mut command = home.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn is_capture(head: &Head) -> bool {
    is_put(head) && head.path.contains("/ltx/")
}

/// What was sealed is sent as it is by the next process, and the database is not stored again.
#[test]
fn what_a_killed_process_had_sealed_is_sent_by_the_next() {
    let home = Home::new();
    let bucket = Bucket::new();
    let database = configure(&home, &[("s3", bucket.table())]);
    for expected_pages in [0, 3] {
        kill_while_sending(&home, &bucket, is_capture);
        let waiting = waiting(&home);
        let [(name, bytes)] = &waiting[..] else { panic!("{waiting:?}") };
        let key = format!("some/prefix/{name}");
        assert!(bucket.store.object(&key).is_none());
        bucket.proxy.take_seen();
        let summary = home.json(&["backup", "app"]);
        assert!(*bucket.store.object(&key).unwrap().bytes == *bytes, "{key}");
        let captures = bucket.proxy.take_seen();
        let captures: Vec<_> = captures.iter().filter(|head| is_capture(head)).collect();
        assert_eq!(captures.len(), 1, "{captures:#?}");
        let changed = summary["sources"][0]["changed_pages"].as_u64().unwrap();
        assert!(changed <= expected_pages, "{summary}");
        assert_eq!(waiting_after(&home), [] as [String; 0]);
        assert!(home.restored(&["app"]) == database.bytes());
        database.change(5);
    }
    home.ok(&["check", "--read-data"]);
}

/// What the store refuses of one database keeps nothing else from it, now or with the next run.
#[test]
fn what_is_refused_of_one_source_is_not_in_the_way_of_others() {
    const DENIED: Fault = Fault::Answer(403, "", "<Error><Code>AccessDenied</Code></Error>");
    let home = Home::new();
    let bucket = Bucket::new();
    let database = configure(&home, &[("s3", bucket.table())]);
    for run in 0..2_u32 {
        bucket.proxy.decide(|head| is_capture(head).then_some(DENIED));
        home.write("app/notes.txt", format!("{run}\n"));
        let ran = home.run(&["backup", "--json"]);
        bucket.proxy.decide(|_| None);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(summary(&ran)["sources"][0]["kind"], "files", "{ran:?}");
        assert_eq!(home.ids(&[]).len(), run as usize + 1);
        database.change(run + 3);
    }
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
    home.ok(&["check", "--read-data"]);
}

/// What is in the outboxes: keys and bytes.
pub(crate) fn waiting(home: &Home) -> Vec<(String, Vec<u8>)> {
    let outboxes = home.state().join("outboxes");
    let files = files_below(&outboxes)
        .into_iter()
        .filter(|file| file.extension().is_none_or(|extension| extension != "lock"));
    let files = files.map(|file| {
        // outboxes/REPOSITORY/NUMBER/KEY
        let below = file.strip_prefix(&outboxes).unwrap().to_str().unwrap();
        let key = below.splitn(3, '/').nth(2).unwrap().to_owned();
        (key, std::fs::read(&file).unwrap())
    });
    files.filter(|(key, _)| key.starts_with("databases/")).collect()
}

fn waiting_after(home: &Home) -> Vec<String> {
    waiting(home).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn what_the_store_refuses_is_explained() {
    let home = Home::new();
    let bucket = Bucket::new();
    let database = configure(&home, &[("s3", bucket.table())]);
    home.ok(&["backup"]);
    let wrong = |from: &str, to: &str| {
        write_config(&home, &[("s3", bucket.table().replace(from, to))]);
        home.run(&["backup"])
    };
    let refused = wrong(SECRET, "another-secret-of-forty-letters-or-so");
    refused.fails(1, "bucket/some/prefix", "AWS_SECRET_ACCESS_KEY");
    assert!(!refused.err.contains("another-secret"), "{refused:?}");
    wrong("s3://bucket/", "s3://pail/").fails(1, "pail", "make the bucket first");
    wrong("some/prefix", "other/prefix").fails(10, "no repository at s3://bucket/other", "init");
    write_config(&home, &[("s3", bucket.table())]);
    for (status, code, hint) in [
        (
            403,
            "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>",
            "timedatectl",
        ),
        (
            403,
            "<Error><Code>InvalidAccessKeyId</Code><Message>m</Message></Error>",
            "AWS_ACCESS_KEY_ID",
        ),
        (403, "<Error><Code>AccessDenied</Code><Message>m</Message></Error>", "s3:PutObject"),
        (503, "<Error><Code>SlowDown</Code><Message>m</Message></Error>", "upload-limit"),
        (500, "<Error><Code>InternalError</Code><Message>m</Message></Error>", "it may pass"),
        (200, "<html>Welcome to the hotel</html>", ""),
    ] {
        bucket.proxy.decide(move |_| Some(Fault::Answer(status, "", code)));
        let ran = home.run(&["backup"]);
        assert_eq!(ran.code, Some(1), "{code}: {ran:?}");
        assert!(ran.err.contains(hint), "{code}: {ran:?}");
    }
    bucket.proxy.decide(|_| None);
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
}

/// Also where the store says how long to wait.
#[test]
fn throttling_passes_by_itself() {
    let home = Home::new();
    let bucket = Bucket::new();
    let patient = bucket.table().replace("retry = '10ms'", "retry = '5m'");
    let database = configure(&home, &[("s3", patient)]);
    bucket.proxy.take_seen();
    bucket.proxy.decide(|head| {
        let text = "<Error><Code>SlowDown</Code><Message>m</Message></Error>";
        (head.at == 2 || head.at == 9).then_some(Fault::Answer(503, "", text))
    });
    home.ok(&["backup"]);
    assert!(home.restored(&["app"]) == database.bytes());
}

/// A lower bound alone: who is slower for other reasons is slower.
#[test]
fn a_limit_on_what_is_sent_holds() {
    let home = Home::new();
    let bucket = Bucket::new();
    let limited = bucket.table() + "upload-limit = '300K'\n";
    let database = configure(&home, &[("s3", limited)]);
    bucket.proxy.take_seen();
    let began = Instant::now();
    home.ok(&["backup"]);
    let took = began.elapsed();
    let length = |head: &Head| head.header("content-length").map_or(0, |it| it.parse().unwrap());
    let sent: u64 = bucket.proxy.take_seen().iter().filter(|it| is_put(it)).map(length).sum();
    assert!(sent > 300 << 10, "{sent}");
    // What is sent last is paid for by nobody.
    let least = Duration::from_millis((sent - (64 << 10)) * 1000 / (300 << 10));
    assert!(took >= least, "{sent} bytes in {took:?}");
    assert!(home.restored(&["app"]) == database.bytes());
}

/// A store that answers slowly delays itself, and nobody fails.
#[test]
fn a_slow_store_is_waited_for() {
    let home = Home::new();
    let bucket = Bucket::new();
    let tables = [("s3", bucket.table()), ("local", "url = 'local'".to_owned())];
    let database: Database = configure(&home, &tables);
    bucket.proxy.decide(|_| Some(Fault::Delay(Duration::from_millis(50))));
    let summary: Value = home.json(&["backup"]);
    assert_eq!(summary["partial"], false, "{summary}");
    for name in ["s3", "local"] {
        assert!(home.restored(&["-r", name, "app"]) == database.bytes());
    }
}

#[test]
fn an_endpoint_where_nobody_listens_is_told() {
    let home = Home::new();
    let table = format!("url = 's3://bucket/x'\n{}", access(nowhere()));
    write_config(&home, &[("s3", table)]);
    home.run(&["init", "-r", "s3"]).fails(
        1,
        "s3://bucket/x",
        "look at the address and the network",
    );
}
