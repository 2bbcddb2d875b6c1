//! A prune that is at work beside a backup takes nothing from under it unseen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use common::{Machine, assert_clean, backup_app, restored};
use lifeboat_storage::testing::{Meddle, Meddling};
use lifeboat_storage::{Key, Result, Storage, Upload};

/// When a pin is written, what it pins is gone the moment before: the end of the chain of the
/// lineage, as a prune would begin.
struct Pruned(Arc<dyn Storage>);

impl Meddle for Pruned {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> Result<()> {
        if let Some((lineage, _)) = key.as_str().split_once("/pins/") {
            let files = self.0.list(Some(&lineage.parse()?))?;
            let last = files
                .iter()
                .filter(|entry| entry.key.as_str().contains("/ltx/0/"))
                .max_by_key(|entry| entry.key.clone());
            self.0.remove(&last.unwrap().key)?;
        }
        upload.publish(key)
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
    let between =
        machine.context().with_storage_between(|storage| Arc::new(Meddling::new(Pruned(storage))));
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
