//! A fault at each request in turn: what shows is whole, and what was told is true.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lifeboat_storage::{Error, Key, LocalStorage, Result, SftpStorage, Storage};

use crate::gate::{Gate, Request, framed, packet};
use crate::server::{have, key};
use crate::subsystem::{SERVER, address};

/// Before it, the storage asks for limits: a connection that is lost so early did not come about, and
/// is not made again.
const FIRST: usize = 1;

/// What happens to one request of the first connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The connection is cut before it reaches the server.
    CutBefore(usize),
    /// The server did as it was asked, and the connection is cut before it can say so.
    CutAfter(usize),
    /// It is refused without a reason.
    Refused(usize),
}

/// A way to OpenSSH's subsystem with one fault; whether it happened is told at the end.
fn gate(fault: Fault) -> (Gate, Arc<AtomicBool>) {
    let happened = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&happened);
    let gate = Gate::new(move |number, requests, answers| {
        let mut server = Command::new(SERVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let fault = (number == 0).then_some(fault);
        if forward(&mut server, requests, &Arc::new(Mutex::new(Some(answers))), fault) {
            tell.store(true, Ordering::SeqCst);
        }
        let _ = server.kill();
        server.wait().unwrap();
    });
    (gate, happened)
}

/// Where the storage takes its answers from; `None` once the connection is cut.
type Answers = Mutex<Option<File>>;

fn answer(answers: &Answers, packet: &[u8]) {
    if let Some(answers) = answers.lock().unwrap().as_mut() {
        // A storage that is gone needs no answer.
        let _ = answers.write_all(packet);
    }
}

/// Passes on until the storage or the server ends, or it is cut; whether the fault happened.
fn forward(
    server: &mut Child,
    mut requests: File,
    answers: &Arc<Answers>,
    fault: Option<Fault>,
) -> bool {
    let mut to = server.stdin.take().unwrap();
    let from = server.stdout.take().unwrap();
    let last = match fault {
        Some(Fault::CutAfter(at)) => u32::try_from(at).ok(),
        _ => None,
    };
    let answering = Arc::clone(answers);
    let back = thread::spawn(move || {
        let happened = pass_back(from, &answering, last);
        // The storage sees that nothing more comes.
        *answering.lock().unwrap() = None;
        happened
    });
    let mut happened = false;
    for number in 0.. {
        let Ok(packet) = packet(&mut requests) else { break };
        // The greeting comes first and has no number; the request behind it has 0.
        match fault {
            Some(Fault::CutBefore(at)) if number == at + 1 => {
                happened = true;
                break;
            }
            Some(Fault::Refused(at)) if number == at + 1 => {
                happened = true;
                let refusal = Request::of(&packet).status(4);
                answer(answers, &refusal);
                continue;
            }
            _ => {}
        }
        if to.write_all(&framed(&packet)).is_err() {
            break;
        }
    }
    drop(to);
    let cut_after = back.join().unwrap();
    happened || cut_after
}

/// Passes answers on up to the `last`; whether it came to that.
fn pass_back(mut from: ChildStdout, answers: &Answers, last: Option<u32>) -> bool {
    let mut greeted = false;
    while let Ok(packet) = packet(&mut from) {
        if greeted && last.is_some_and(|last| packet[1..5] == last.to_be_bytes()) {
            return true;
        }
        greeted = true;
        answer(answers, &framed(&packet));
    }
    false
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

/// Whether the fault happened at all.
fn check(path: &Path, fault: Fault) -> bool {
    let server = LocalStorage::create(path).unwrap();
    let (gate, happened) = gate(fault);
    let told = match SftpStorage::open(&address(path), &gate.options()) {
        Ok(storage) => some_work(&storage),
        // A lost connection is made again; a refusal is told.
        Err(_) if matches!(fault, Fault::Refused(_)) => return true,
        Err(error) => panic!("{fault:?}: {error:?}"),
    };
    drop(gate);

    for entry in server.list(None).unwrap() {
        assert!([23, 11].contains(&entry.size), "{fault:?}: {entry:?}");
    }
    if told.reference.is_ok() {
        assert!(is_there(&server, &key("refers/to")), "{fault:?}");
    }
    match (&told.object, &told.found) {
        (Ok(()), Err(Error::NotFound { .. })) => panic!("{fault:?}: published, but not there"),
        (_, Ok(bytes)) => assert_eq!(bytes, b"first half, second half", "{fault:?}"),
        _ => {}
    }
    match (&told.object, &told.removed) {
        (Ok(()), Ok(removed)) => assert!(removed, "{fault:?}"),
        (_, Ok(_)) => {}
        (_, Err(_)) if matches!(fault, Fault::Refused(_)) => {}
        (_, Err(error)) => panic!("{fault:?}: a removal may be done twice: {error:?}"),
    }
    assert_eq!(is_there(&server, &key("data/object")), told.removed.is_err(), "{fault:?}");
    let happened = happened.load(Ordering::SeqCst);
    let failed = told.object.is_err() || told.reference.is_err() || told.found.is_err();
    assert!(happened || !failed, "{fault:?}: an error without a cause");
    server.sweep(Duration::ZERO).unwrap();
    assert_eq!(std::fs::read_dir(path.join("tmp")).unwrap().count(), 0, "{fault:?}");
    happened
}

fn at_each_request(fault: impl Fn(usize) -> Fault) {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let times = (FIRST..)
        .take_while(|at| check(&directory.path().join(at.to_string()), fault(*at)))
        .count();
    assert!(times > 20, "{times} times");
}

#[test]
fn cut_before_each_request() {
    at_each_request(Fault::CutBefore);
}

#[test]
fn cut_after_each_request() {
    at_each_request(Fault::CutAfter);
}

#[test]
fn each_request_refused() {
    at_each_request(Fault::Refused);
}
