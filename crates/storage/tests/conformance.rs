//! Every storage passes the same suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use lifeboat_storage::testing::Faulty;
use lifeboat_storage::{LocalStorage, MemoryStorage, Storage, conformance};

#[test]
fn memory() {
    conformance::run(&|| Arc::new(MemoryStorage::new()));
}

#[test]
fn local() {
    let directories = Mutex::new(Vec::new());
    conformance::run(&|| {
        let directory = tempfile::tempdir().unwrap();
        let storage = LocalStorage::create(&directory.path().join("new/repository")).unwrap();
        directories.lock().unwrap().push(directory);
        Arc::new(storage)
    });
}

/// The test double itself, as long as it has no fault.
#[test]
fn faulty_without_a_fault() {
    conformance::run(&|| Arc::new(Faulty::new(MemoryStorage::new(), None)) as Arc<dyn Storage>);
}
