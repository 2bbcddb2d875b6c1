//! A connection that is cut at each request in turn: what shows is whole, and what was told is true.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lifeboat_storage::{Error, Key, LocalStorage, Result, SftpStorage, Storage};

use crate::gate::{Gate, framed, packet};
use crate::server::{have, key};
use crate::subsystem::{SERVER, address};

/// Before it, the storage asks for limits: a connection that is lost so early did not come about, and
/// is not made again.
const FIRST: usize = 1;

/// Where the first connection is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The request does not reach the server.
    Before(usize),
    /// The server did as it was asked, and its answer is lost.
    After(usize),
}

/// A way to OpenSSH's subsystem that is cut once; whether it was is told at the end.
fn gate(cut: Cut) -> (Gate, Arc<AtomicBool>) {
    let happened = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&happened);
    let gate = Gate::new(move |number, requests, answers| {
        let cut = (number == 0).then_some(cut);
        let mut server = Command::new(SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        if forward(&mut server, requests, answers, cut) {
            tell.store(true, Ordering::SeqCst);
        }
        let _ = server.kill();
        server.wait().unwrap();
    });
    (gate, happened)
}

/// Passes on until the storage or the server ends, or at the cut: then it returns `true`.
fn forward(server: &mut Child, mut requests: File, mut answers: File, cut: Option<Cut>) -> bool {
    let (mut to, mut from) = (server.stdin.take().unwrap(), server.stdout.take().unwrap());
    let last = match cut {
        // The greeting has no number; the first request behind it has 0.
        Some(Cut::After(at)) => u32::try_from(at).ok(),
        _ => None,
    };
    let back = thread::spawn(move || {
        let mut greeted = false;
        while let Ok(packet) = packet(&mut from) {
            if greeted && last.is_some_and(|last| packet[1..5] == last.to_be_bytes()) {
                return true;
            }
            greeted = true;
            if answers.write_all(&framed(&packet)).is_err() {
                return false;
            }
        }
        false
    });
    let mut cut_before = false;
    for number in 0.. {
        let Ok(packet) = packet(&mut requests) else { break };
        // The greeting is the first that comes.
        cut_before = matches!(cut, Some(Cut::Before(at)) if number == at + 1);
        if cut_before || to.write_all(&framed(&packet)).is_err() {
            break;
        }
    }
    drop(to);
    let cut_after = back.join().unwrap();
    cut_before || cut_after
}

/// What was told of each step.
struct Told {
    object: Result<()>,
    reference: Result<()>,
    found: Result<Vec<u8>>,
    removed: Result<bool>,
}

fn some_work(storage: &SftpStorage) -> Told {
    let write = || {
        let mut upload = storage.begin()?;
        for half in [&b"first half, "[..], b"second half"] {
            upload.write_all(half).map_err(|error| Error::from_stream("write", error))?;
        }
        upload.publish(&key("data/object"))
    };
    let object = write();
    let reference = storage.put(&key("refers/to"), b"data/object");
    let read = || {
        let mut bytes = Vec::new();
        let mut reader = storage.read(&key("data/object"), None)?;
        reader.read_to_end(&mut bytes).map_err(|error| Error::from_stream("read", error))?;
        Ok(bytes)
    };
    Told { object, reference, found: read(), removed: storage.remove(&key("data/object")) }
}

fn is_there(storage: &LocalStorage, name: &Key) -> bool {
    storage.stat(name).unwrap().is_some()
}

/// Whether it was cut at all.
fn check(path: &Path, cut: Cut) -> bool {
    let server = LocalStorage::create(path).unwrap();
    let (gate, happened) = gate(cut);
    let storage = SftpStorage::open(&address(path), &gate.options()).unwrap();
    let told = some_work(&storage);
    drop(storage);
    drop(gate);

    for entry in server.list(None).unwrap() {
        assert!([23, 11].contains(&entry.size), "{cut:?}: {entry:?}");
    }
    if told.reference.is_ok() {
        assert!(is_there(&server, &key("refers/to")), "{cut:?}");
    }
    match (&told.object, &told.found) {
        (Ok(()), Err(Error::NotFound { .. })) => panic!("{cut:?}: published, but not there"),
        (_, Ok(bytes)) => assert_eq!(bytes, b"first half, second half", "{cut:?}"),
        _ => {}
    }
    match (&told.object, &told.removed) {
        (Ok(()), Ok(removed)) => assert!(removed, "{cut:?}"),
        (_, Ok(_)) => {}
        (_, Err(error)) => panic!("{cut:?}: a removal may be done twice: {error:?}"),
    }
    assert!(!is_there(&server, &key("data/object")), "{cut:?}");
    let happened = happened.load(Ordering::SeqCst);
    let failed = told.object.is_err() || told.reference.is_err() || told.found.is_err();
    assert!(happened || !failed, "{cut:?}: an error without a cause");
    server.sweep(Duration::ZERO).unwrap();
    assert_eq!(std::fs::read_dir(path.join("tmp")).unwrap().count(), 0, "{cut:?}");
    happened
}

#[test]
fn at_each_request_in_turn() {
    if !have(SERVER) {
        return;
    }
    for kind in [Cut::Before, Cut::After] {
        let directory = tempfile::tempdir().unwrap();
        let cut = (FIRST..)
            .take_while(|at| check(&directory.path().join(at.to_string()), kind(*at)))
            .count();
        assert!(cut > 20, "cut {cut} times");
    }
}
