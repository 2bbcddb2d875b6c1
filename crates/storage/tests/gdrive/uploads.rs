//! Uploads in chunks.

use std::io::Read;
use std::sync::Arc;

use lifeboat_storage::{Cause, Error, Failure, Patience, Storage};

use super::emulator::Emulator;
use super::server::{Fault, FaultKind, Request};

/// Above 4 MiB, and no multiple of anything.
pub(crate) fn large() -> Vec<u8> {
    (0..1_400_001_u32).flat_map(u32::to_le_bytes).chain([1, 2, 3]).collect()
}

pub(crate) fn read(storage: &Arc<dyn Storage>, key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let key = key.parse().unwrap();
    storage.read(&key, None).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn chunks(requests: &[Request]) -> Vec<String> {
    let ranges = requests.iter().filter(|request| request.method == "PUT");
    ranges.map(|request| request.header("content-range").unwrap().to_owned()).collect()
}

#[test]
fn what_is_large_goes_in_chunks() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    storage.put(&"a/large".parse().unwrap(), &large()).unwrap();
    let requests = emulator.server.requests();
    let expected = [
        "bytes 0-1048575/5600007",
        "bytes 1048576-2097151/5600007",
        "bytes 2097152-3145727/5600007",
        "bytes 3145728-4194303/5600007",
        "bytes 4194304-5242879/5600007",
        "bytes 5242880-5600006/5600007",
    ];
    assert_eq!(chunks(&requests), expected);
    assert!(read(&storage, "a/large") == large());
}

/// Before its last chunk it is nowhere.
#[test]
fn nothing_of_it_is_visible_before_all_is() {
    let emulator = Emulator::start();
    let mut options = emulator.options();
    options.remote.patience = Patience::NONE;
    emulator.grant();
    let drive = lifeboat_storage::GoogleDrive::open("gdrive://x", &options).unwrap();
    let storage = drive.storage();
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    // Looked for, begun, five chunks, and the last one.
    emulator.server.reset(Some(Fault { at: 7, kind: FaultKind::Reset }));
    let error = storage.put(&"a/large".parse().unwrap(), &large()).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Interrupted);
    assert_eq!(chunks(&emulator.server.requests()).len(), 6);
    assert_eq!(storage.list(None).unwrap().len(), 1);
    assert_eq!(emulator.names(), ["first"]);
}

/// A cut connection costs what was under way, and no more.
#[test]
fn it_goes_on_where_it_was_cut_off() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    emulator.server.reset(Some(Fault { at: 4, kind: FaultKind::HalfRequest }));
    storage.put(&"a/large".parse().unwrap(), &large()).unwrap();
    let ranges = chunks(&emulator.server.requests());
    let expected =
        ["bytes 2097152-3145727/5600007", "bytes */5600007", "bytes 2621440-3670015/5600007"];
    assert_eq!(ranges[2..5], expected);
    assert!(read(&storage, "a/large") == large());
}

/// Drive may keep less of a chunk than was sent.
#[test]
fn it_follows_what_drive_says_it_has() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    emulator.state().takes_half = true;
    storage.put(&"a/large".parse().unwrap(), &large()).unwrap();
    assert!(read(&storage, "a/large") == large());
}

#[test]
fn a_forgotten_session_is_begun_again() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    emulator.state().forgets_sessions = 2;
    storage.put(&"a/large".parse().unwrap(), &large()).unwrap();
    assert!(read(&storage, "a/large") == large());
    assert_eq!(emulator.names(), ["large"]);
}

/// The token is not sent to whom an answer names.
#[test]
fn an_upload_stays_with_its_host() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    let elsewhere = super::server::Response::new(200, "")
        .with("Location", format!("{}.example/upload", emulator.server.url()));
    emulator.server.reset(Some(Fault { at: 1, kind: FaultKind::Answer(elsewhere) }));
    let error = storage.put(&"a/large".parse().unwrap(), &large()).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Protocol);
    assert_eq!(emulator.server.requests().len(), 2);
}

/// Its key is looked at before anything is sent.
#[test]
fn a_taken_key_costs_one_request() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    let key = "a/object".parse().unwrap();
    storage.put(&key, b"first").unwrap();
    emulator.server.reset(None);
    assert!(matches!(storage.put(&key, &large()), Err(Error::Exists { .. })));
    assert_eq!(emulator.server.requests().len(), 1);
}

/// As the module's table has it.
#[test]
fn operations_cost_what_is_said() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    let (key, large_key) = ("a/object".parse().unwrap(), "a/large".parse().unwrap());
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    let cost = |operation: &dyn Fn()| {
        emulator.server.reset(None);
        operation();
        emulator.server.requests().len()
    };
    assert_eq!(cost(&|| storage.put(&key, b"first").unwrap()), 3);
    assert_eq!(cost(&|| storage.put(&large_key, &large()).unwrap()), 3 + 6);
    assert_eq!(cost(&|| drop(storage.read(&key, None).unwrap())), 1);
    assert_eq!(cost(&|| drop(storage.stat(&key).unwrap())), 1);
    assert_eq!(cost(&|| drop(storage.list(None).unwrap())), 2);
    assert_eq!(cost(&|| assert!(storage.remove(&key).unwrap())), 4);
    let other = emulator.open("gdrive://x").storage();
    assert_eq!(cost(&|| drop(other.list(None).unwrap())), 1 + 2);
    assert_eq!(cost(&|| drop(other.read(&large_key, None).unwrap())), 1);
}
