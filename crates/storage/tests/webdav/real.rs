//! rclone's WebDAV server over a directory.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use lifeboat_storage::{Cause, CreateNew, Failure, Storage, WebDavStorage, conformance};

use super::{have, options};

pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub fn start(directory: &Path) -> Self {
        let mut child = Command::new("rclone")
            .args(["serve", "webdav", "--addr", "127.0.0.1:0", "--dir-cache-time", "0"])
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
    let count = Mutex::new(0);
    for property in super::PROPERTIES {
        let number = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count
        };
        let url = format!("{}/My%20backups/{number}/deeper", server.url);
        let storage = WebDavStorage::open(&url, &options()).unwrap();
        assert_eq!(storage.create_new(), CreateNew::Checked);
        property(&(Arc::new(storage) as Arc<dyn Storage>));
    }
    let below = directory.path().join("My backups/1/deeper");
    assert_eq!(std::fs::read(below.join("a/b/object")).unwrap(), b"some bytes");
    assert_eq!(std::fs::read_dir(below.join("tmp")).unwrap().count(), 0, "left in tmp");
}
