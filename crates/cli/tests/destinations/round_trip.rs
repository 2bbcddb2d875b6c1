//! Everything a user does, in each place.

use std::fs;

use lifeboat_servers::drive::Emulator;
use lifeboat_servers::s3::{KEY_ID, SECRET};
use lifeboat_servers::sshd::Sshd;
use serde_json::Value;

use crate::common::{Database, Home, Ran, Replication, require_tool};
use crate::places::{Bucket, Server, configure, require_rclone};

#[test]
fn everything_works_on_s3() {
    works(&Home::new(), "s3", &Server::S3(Bucket::new()));
}

#[test]
fn everything_works_over_sftp() {
    if let Some(sshd) = Sshd::start() {
        works(&Home::new(), "sftp", &Server::Sftp(sshd));
    }
}

#[test]
fn everything_works_with_rclone() {
    if require_rclone() {
        let home = Home::new();
        home.write("rclone.conf", "[box]\ntype = alias\nremote = /\n");
        works(&home, "rclone", &Server::Rclone);
    }
}

#[test]
fn everything_works_on_google_drive() {
    let emulator = Emulator::start();
    emulator.grant();
    works(&Home::new(), "drive", &Server::Drive(emulator));
}

fn works(home: &Home, name: &str, server: &Server) {
    let tables = [(name, server.table(home)), ("local", "url = 'local'".to_owned())];
    let database = configure(home, &tables);
    let first = home.json(&["backup", "-r", name]);
    let before = database.bytes();
    let open = database.open();
    open.execute_batch("UPDATE t SET b = randomblob(3000) WHERE a < 4").unwrap();
    home.write("app/notes.txt", "three\n");
    let second = home.json(&["backup", "-r", name]);
    drop(open);
    let [database_of, files_of] = ["app", "notes"].map(|source| {
        let sources = second["sources"].as_array().unwrap();
        sources.iter().find(|it| it["name"] == source).unwrap_or_else(|| panic!("{second}")).clone()
    });
    assert!((1..8).contains(&database_of["changed_pages"].as_u64().unwrap()), "{name}: {second}");
    assert_eq!(files_of["changed_files"], 1, "{name}: {second}");
    let stored = |summary: &Value| -> u64 {
        let sources = summary["sources"].as_array().unwrap().iter();
        sources.map(|it| it["stored_bytes"].as_u64().unwrap()).sum::<u64>()
    };
    assert!(stored(&second) * 5 < stored(&first), "{name}: {first} {second}");

    let ids = [&second, &first].map(|one| one["backup_id"].as_str().unwrap().to_owned());
    assert_eq!(home.ids(&["-r", name]), ids, "{name}");
    let listed = home.ok(&["ls", "-r", name, "latest", home.path("app").to_str().unwrap()]);
    assert!(listed.contains("notes.txt") && listed.contains("large.bin"), "{name}: {listed}");
    assert!(home.restored(&["-r", name, "app"]) == database.bytes(), "{name}");
    assert!(home.restored(&["-r", name, "app", "--backup", &ids[1]]) == before, "{name}");
    restore_files(home, name);
    home.ok(&["stats", "-r", name]);
    sound(home, name, 2);

    let copied = home.json(&["copy", "-r", name, "--to", "local"]);
    assert_eq!(copied["copied"].as_array().unwrap().len(), 2, "{name}: {copied}");
    assert_eq!(home.ids(&["-r", "local"]).len(), 2);
    sound(home, "local", 2);

    home.ok(&["forget", "-r", name, "--keep-last", "1"]);
    home.ok(&["prune", "-r", name]);
    assert_eq!(home.ids(&["-r", name]), [ids[0].clone()], "{name}");
    sound(home, name, 1);
    // What it has forgotten it gets back.
    let back = home.json(&["copy", "-r", "local", "--to", name]);
    assert_eq!(back["copied"].as_array().unwrap().len(), 1, "{name}: {back}");
    sound(home, name, 2);
    assert!(home.restored(&["-r", name, "app"]) == database.bytes(), "{name}");
    replicate(home, name, &database);
    doctor(home, name);
}

/// No damage, to the last byte.
fn sound(home: &Home, name: &str, backups: usize) {
    let checked = home.ok(&["check", "-r", name, "--read-data"]);
    assert!(checked.contains(&format!("no damage: {backups} backup")), "{name}: {checked}");
}

fn restore_files(home: &Home, name: &str) {
    let target = home.path("restored");
    home.ok(&["restore", "-r", name, "notes", "--target", target.to_str().unwrap()]);
    let restored = target.join(home.path("app").strip_prefix("/").unwrap());
    for file in ["notes.txt", "large.bin"] {
        let (was, is) = (home.path("app").join(file), restored.join(file));
        assert!(fs::read(was).unwrap() == fs::read(&is).unwrap(), "{name}: {}", is.display());
    }
    fs::remove_dir_all(target).unwrap();
}

/// Every commit is a point that can be restored.
fn replicate(home: &Home, name: &str, database: &Database) {
    let mut replication = Replication::start_of(home, &["app", "-r", name]);
    let is_protected = |event: &Value| event["message_type"] == "protected";
    let states: Vec<_> = (5..8)
        .map(|row| {
            database.change(row);
            replication.wait_for("protected", is_protected);
            database.bytes()
        })
        .collect();
    let told = replication.stop();
    let points: Vec<_> = told.iter().filter(|event| is_protected(event)).collect();
    assert_eq!(points.len(), states.len(), "{name}: {told:#?}");
    for (point, state) in points.iter().zip(&states) {
        let txid = point["txid"].as_str().unwrap();
        assert!(home.restored(&["-r", name, "app", "--txid", txid]) == *state, "{name}: {point}");
    }
    assert!(home.restored(&["-r", name, "app", "--at", "now"]) == states[2], "{name}");
    let listed = home.json(&["points", "-r", name, "app"]);
    // Two backups, three commits.
    assert_eq!(listed[0]["lineages"][0]["count"], 5, "{name}: {listed}");
}

fn doctor(home: &Home, name: &str) {
    let ran = home.run(&["doctor", "-r", name]);
    assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
    assert!(ran.out.contains("\n0 problems"), "{name}: {}", ran.out);
}

/// The files' part is a repository of restic's, wherever it is.
#[test]
fn restic_reads_the_files() {
    if !require_tool("restic") {
        return;
    }
    let home = Home::new();
    let bucket = Bucket::new();
    let mut tables = vec![("s3", bucket.table())];
    let sshd = Sshd::start();
    let server = sshd.map(Server::Sftp);
    tables.extend(server.as_ref().map(|server| ("sftp", server.table(&home))));
    configure(&home, &tables);
    for _ in 0..2 {
        home.write("app/notes.txt", "another\n");
        home.ok(&["backup"]);
    }
    let url = format!("s3:http://{}/bucket/some/prefix", bucket.proxy.address);
    agrees(&home, &["-r", &url]);
    if let Some(Server::Sftp(sshd)) = server {
        let address = sshd.address(&home.path("over/sftp")).to_string();
        let (user, port) = address.strip_prefix("sftp://").unwrap().split_once('@').unwrap();
        let port = port.split_once(':').unwrap().1.split('/').next().unwrap();
        let url = format!("sftp:{user}@127.0.0.1:{}", home.path("over/sftp").display());
        let command = format!(
            "sftp.command=ssh -F none -i {} -o UserKnownHostsFile={} -p {port} {user}@127.0.0.1 -s sftp",
            sshd.path("user_key").display(),
            sshd.path("known_hosts").display(),
        );
        agrees(&home, &["-r", &url, "-o", &command]);
    }
}

#[track_caller]
fn agrees(home: &Home, repository: &[&str]) {
    let mut command = home.program("restic");
    command.args(repository).arg("--password-file").arg(home.password_file());
    command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
    let ran = Ran::of(command.args(["--no-cache", "check", "--read-data"]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{repository:?}: {ran:?}");
    assert!(ran.out.contains("no errors were found"), "{repository:?}: {ran:?}");
}
