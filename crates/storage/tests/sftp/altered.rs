//! Servers that do some things in another way than OpenSSH's.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lifeboat_storage::{CreateNew, Error, Result, SftpStorage, Storage};

use crate::gate::{Gate, Request, framed, packet, string};
use crate::server::{have, key};
use crate::subsystem::{SERVER, address};

/// What becomes of a request.
enum Instead {
    /// The server gets this.
    Ask(Vec<u8>),
    /// The storage gets this.
    Answer(Vec<u8>),
}

/// A way to OpenSSH's subsystem on which requests are altered.
fn altering(alter: impl Fn(&Request<'_>) -> Option<Instead> + Send + Sync + 'static) -> Gate {
    Gate::new(move |_, mut requests, answers| {
        let mut server =
            Command::new(SERVER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut to, mut from) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
        let answers = Mutex::new(answers);
        let answer = |packet: &[u8]| {
            // A storage that is gone needs no answer.
            let _ = answers.lock().unwrap().write_all(packet);
        };
        to.write_all(&framed(&packet(&mut requests).unwrap())).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Ok(packet) = packet(&mut from) {
                    answer(&framed(&packet));
                }
            });
            while let Ok(packet) = packet(&mut requests) {
                match alter(&Request::of(&packet)) {
                    None => to.write_all(&framed(&packet)).unwrap(),
                    Some(Instead::Ask(packet)) => to.write_all(&packet).unwrap(),
                    Some(Instead::Answer(packet)) => answer(&packet),
                }
            }
            drop(to);
        });
        server.wait().unwrap();
    })
}

fn is_extension(request: &Request<'_>, name: &str) -> bool {
    request.kind == 200 && request.rest.starts_with(&string(name.as_bytes()))
}

/// As on exFAT: the server knows hard links, its file system does not.
fn without_hard_links(request: &Request<'_>) -> Option<Instead> {
    let refused = is_extension(request, "hardlink@openssh.com");
    refused.then(|| Instead::Answer(request.status(3)))
}

/// Moreover, a rename replaces what has the name.
fn replacing(request: &Request<'_>) -> Option<Instead> {
    if request.kind != 18 {
        return without_hard_links(request);
    }
    let body = [&*string(b"posix-rename@openssh.com"), request.rest].concat();
    Some(Instead::Ask(request.answer(200, &body)))
}

/// Of the requests to sync, those fail of which `fails` says so; they are counted from 0.
fn failing_to_sync(fails: fn(usize) -> bool) -> Gate {
    let count = AtomicUsize::new(0);
    altering(move |request| {
        let is_sync = is_extension(request, "fsync@openssh.com");
        let fails = is_sync && fails(count.fetch_add(1, Ordering::Relaxed));
        fails.then(|| Instead::Answer(request.status(4)))
    })
}

fn read(storage: &SftpStorage, name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    storage.read(&key(name), None).unwrap().read_to_end(&mut found).unwrap();
    found
}

#[test]
fn without_hard_links_a_taken_name_is_refused() {
    if !have(SERVER) {
        return;
    }
    for gate in [altering(without_hard_links), altering(replacing)] {
        let directory = tempfile::tempdir().unwrap();
        let storage = SftpStorage::create(&address(directory.path()), &gate.options()).unwrap();
        assert!(storage.capabilities().unwrap().hard_links, "not known yet");
        assert_eq!(storage.create_new(), CreateNew::Refused);
        for _ in 0..2 {
            storage.put(&key("a/object"), b"first").unwrap();
            assert!(!storage.capabilities().unwrap().hard_links);
            assert_eq!(storage.create_new(), CreateNew::Checked);
            let again = storage.put(&key("a/object"), b"second");
            assert!(matches!(again, Err(Error::Exists { .. })), "{again:?}");
            assert_eq!(read(&storage, "a/object"), b"first");
            // The name without its directory, which this connection knows.
            std::fs::remove_dir_all(directory.path().join("a")).unwrap();
        }
        storage.list(None).unwrap();
        assert_eq!(std::fs::read_dir(directory.path().join("tmp")).unwrap().count(), 0);
    }
}

fn assert_not_published(result: &Result<()>) {
    let Err(Error::Storage { operation: "publish", .. }) = result else { panic!("{result:?}") };
}

#[test]
fn an_object_that_cannot_be_synced_is_not_visible() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let gate = failing_to_sync(|_| true);
    let storage = SftpStorage::create(&address(directory.path()), &gate.options()).unwrap();
    assert_not_published(&storage.put(&key("object"), b"x"));
    assert_eq!(storage.list(None).unwrap(), []);
}

/// The second fsync of each publishing is that of the name: of one just given, and of one taken.
#[test]
fn a_name_that_cannot_be_synced_is_not_told_to_be_there() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let gate = failing_to_sync(|number| number % 2 == 1);
    let storage = SftpStorage::create(&address(directory.path()), &gate.options()).unwrap();
    assert_not_published(&storage.put(&key("object"), b"x"));
    // Another process may have been told of it.
    assert_eq!(read(&storage, "object"), b"x");
    assert_not_published(&storage.put(&key("object"), b"x"));
}
