//! Each request of each operation fails once, in each way.

use std::sync::Arc;

use lifeboat_storage::Storage;

use super::emulator::Emulator;
use super::server::{Fault, FaultKind, Response};
use super::uploads::{large, read};

fn refusal(status: u16, reason: &str) -> FaultKind {
    let error = format!(
        r#"{{"error":{{"code":{status},"message":"no","errors":[{{"reason":"{reason}"}}]}}}}"#
    );
    FaultKind::Answer(Response::new(status, error))
}

fn kinds() -> Vec<FaultKind> {
    vec![
        FaultKind::Reset,
        FaultKind::HalfRequest,
        FaultKind::LostAnswer,
        FaultKind::HalfAnswer,
        refusal(403, "userRateLimitExceeded"),
        refusal(403, "rateLimitExceeded"),
        refusal(429, "rateLimitExceeded"),
        refusal(401, "authError"),
        refusal(500, "internalError"),
        refusal(503, "backendError"),
    ]
}

/// Runs an operation on a drive of its own for each of its requests and each kind of fault.
fn each(prepare: impl Fn(&Arc<dyn Storage>), operate: impl Fn(&Arc<dyn Storage>, &Emulator)) {
    for kind in kinds() {
        for at in 0.. {
            let emulator = Emulator::start();
            prepare(&emulator.open("gdrive://x/y").storage());
            let storage = emulator.open("gdrive://x/y").storage();
            emulator.server.reset(Some(Fault { at, kind: kind.clone() }));
            operate(&storage, &emulator);
            let sent = emulator.server.requests().len();
            if sent <= at {
                assert!(at > 0, "nothing was sent");
                break;
            }
        }
    }
}

fn first(storage: &Arc<dyn Storage>) {
    storage.put(&"a/first".parse().unwrap(), b"the first").unwrap();
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[test]
fn a_small_object_is_there_once() {
    each(first, |storage, emulator| {
        storage.put(&"b/object".parse().unwrap(), b"small").unwrap();
        assert_eq!(read(storage, "b/object"), b"small");
        assert_eq!(sorted(emulator.names()), ["first", "object"]);
        let folders = emulator.state().files.len() - 2;
        assert_eq!(folders, 4, "folders are made once");
    });
}

#[test]
fn a_large_object_is_there_once() {
    let bytes = large();
    each(first, |storage, emulator| {
        storage.put(&"a/large".parse().unwrap(), &bytes).unwrap();
        let state = emulator.state();
        let stored: Vec<_> = state.files.iter().filter(|file| file.name == "large").collect();
        assert_eq!(stored.len(), 1);
        assert!(stored[0].bytes == bytes);
    });
}

#[test]
fn a_listing_is_whole() {
    let prepare = |storage: &Arc<dyn Storage>| {
        for name in ["a/1", "a/2", "a/3", "b/c/1", "d"] {
            storage.put(&name.parse().unwrap(), name.as_bytes()).unwrap();
        }
    };
    each(prepare, |storage, emulator| {
        emulator.state().page_size = 2;
        let listed = storage.list(None).unwrap();
        let keys: Vec<&str> = listed.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["a/1", "a/2", "a/3", "b/c/1", "d"]);
        assert_eq!(storage.list_names(None).unwrap().len(), 3);
    });
}

#[test]
fn what_is_read_is_whole() {
    let bytes = large();
    let prepare = |storage: &Arc<dyn Storage>| {
        storage.put(&"a/large".parse().unwrap(), &bytes).unwrap();
    };
    each(prepare, |storage, _| assert!(read(storage, "a/large") == bytes));
}

#[test]
fn what_is_removed_is_gone() {
    each(first, |storage, emulator| {
        assert!(storage.remove(&"a/first".parse().unwrap()).unwrap());
        assert_eq!(emulator.names(), [] as [String; 0]);
        assert_eq!(storage.list(None).unwrap(), []);
    });
}

/// Drive says that it did it, and did not.
#[test]
fn a_removal_that_was_none_is_asked_for_again() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x/y").storage();
    first(&storage);
    let done = FaultKind::Answer(Response::new(204, ""));
    emulator.server.reset(Some(Fault { at: 2, kind: done }));
    assert!(storage.remove(&"a/first".parse().unwrap()).unwrap());
    assert_eq!(emulator.names(), [] as [String; 0]);
    assert_eq!(emulator.server.requests().len(), 8);
}
