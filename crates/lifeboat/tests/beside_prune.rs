//! A prune that is at work beside a backup takes nothing from under it unseen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use common::{Machine, assert_clean, backup_app, restored};
use lifeboat_storage::{Child, Entry, Key, Result, Storage, Upload};

/// When a pin is written, what it pins is gone the moment before: the end of the chain of the
/// lineage, as a prune would begin.
#[derive(Debug)]
struct Pruned(Arc<dyn Storage>);

struct PrunedUpload {
    inner: Box<dyn Upload>,
    storage: Arc<dyn Storage>,
}

impl Storage for Pruned {
    fn location(&self) -> String {
        self.0.location()
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        Ok(Box::new(PrunedUpload { inner: self.0.begin()?, storage: self.0.clone() }))
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        self.0.read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        self.0.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        self.0.list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        self.0.list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        self.0.remove(key)
    }
}

impl Write for PrunedUpload {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for PrunedUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.inner.set_modified(modified);
    }

    fn publish(self: Box<Self>, key: &Key) -> Result<()> {
        if let Some((lineage, _)) = key.as_str().split_once("/pins/") {
            let files = self.storage.list(Some(&lineage.parse()?))?;
            let last = files
                .iter()
                .filter(|entry| entry.key.as_str().contains("/ltx/0/"))
                .max_by_key(|entry| entry.key.clone());
            self.storage.remove(&last.unwrap().key)?;
        }
        self.inner.publish(key)
    }
}

#[test]
fn a_backup_whose_chain_was_taken_away_is_none() {
    let machine = Machine::new();
    machine.create("delete", 10);
    let context = machine.context();
    backup_app(&context).unwrap();
    machine.change(1);
    let second = backup_app(&context).unwrap().manifest.id.to_string();
    let then = machine.bytes();
    machine.change(2);
    let between = machine.context().with_storage_between(|storage| Arc::new(Pruned(storage)));
    let error = backup_app(&between).unwrap_err();
    assert!(error.to_string().contains("cannot be restored"), "{error}");

    let opened = context.open_repository().unwrap();
    assert_eq!(lifeboat::backups(&opened).unwrap().len(), 2);
    assert!(restored(&opened, &second, &machine.path("restored.db")) == then);
    let fourth = backup_app(&context).unwrap();
    assert_eq!(fourth.databases().next().unwrap().changed_from, None, "the whole database again");
    let id = fourth.manifest.id.to_string();
    assert!(restored(&opened, &id, &machine.path("restored.db")) == machine.bytes());
    assert_clean(&opened, "at the end");
}
