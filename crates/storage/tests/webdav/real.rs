//! rclone's WebDAV server over a directory.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use lifeboat_storage::{Cause, Failure, WebDavOptions, conformance};

use super::{PROMISES, have, open, options};

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(directory: &Path) -> Self {
        let mut child = Command::new("rclone")
            .args(["serve", "webdav", "--addr", "127.0.0.1:0", "--dir-cache-time", "1s"])
            .args(["--poll-interval", "0", "--config", "/dev/null"])
            .arg(directory)
            .env("RCLONE_USER", "anna")
            .env("RCLONE_PASS", "open sesame")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("http://127.0.0.1:") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "rclone does not serve");
        }
        let (_, rest) = line.split_once("http://").unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        // Unread, the pipe would fill and stop it.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, url: format!("webdav://anna@{address}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn conformance_over_rclone() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let count = AtomicU32::new(0);
    let next = || count.fetch_add(1, Ordering::Relaxed);
    let make =
        || open(&format!("{}/My%20backups/{}/deeper", server.url, next()), &options()).unwrap();
    // One server orders those that ask it, though a client cannot rely on that.
    conformance::of_concurrent_creators_one_wins(&make());
    conformance::run_promising(PROMISES, &make);
    let storage = make();
    storage.put(&"a/b/object".parse().unwrap(), b"some bytes").unwrap();
    let last = count.load(Ordering::Relaxed) - 1;
    let below = directory.path().join(format!("My backups/{last}/deeper"));
    assert_eq!(std::fs::read(below.join("a/b/object")).unwrap(), b"some bytes");
    assert_eq!(std::fs::read_dir(below.join("tmp")).unwrap().count(), 0, "left in tmp");
}

#[test]
fn a_wrong_password_is_told_and_not_repeated() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let password = Some("a wrong password".to_owned().into());
    let storage = open(&server.url, &WebDavOptions { password, ..options() }).unwrap();
    let error = storage.list(None).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Unauthenticated);
    let basic = "YW5uYTphIHdyb25nIHBhc3N3b3Jk";
    for shown in [format!("{error:?}"), format!("{storage:?}"), storage.location()] {
        assert!(!shown.contains("a wrong password") && !shown.contains(basic), "{shown}");
    }
}

#[test]
fn a_sweep_removes_what_is_old_and_ours() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let storage = open(&server.url, &options()).unwrap();
    assert_eq!(storage.sweep(std::time::Duration::ZERO).unwrap(), 0);
    std::fs::create_dir(directory.path().join("tmp")).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let ours = "0123456789abcdef";
    for (name, age) in [("old", 3 * hour), ("new", hour), ("foreign", 3 * hour)] {
        let name = if name == "foreign" {
            name.to_owned()
        } else {
            format!("{ours}{:016x}", age.as_secs())
        };
        let file = std::fs::File::create(directory.path().join("tmp").join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }
    // The first may still answer with what it listed before.
    let other = Server::start(directory.path());
    let storage = open(&other.url, &options()).unwrap();
    assert_eq!(storage.sweep(2 * hour).unwrap(), 1);
    assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 2);
    assert_eq!(storage.list(None).unwrap(), []);
}
