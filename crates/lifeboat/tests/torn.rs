//! G4: a storage that cuts an object short, and says that all went well or that it failed. Half an
//! object is never taken for whole, and what comes later is restored.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::tearing::{Says, findings, tear, tearing, torn};
use common::{Machine, back_up_base, backup_app, content, objects_below, restored};

#[test]
fn a_backup_says_so_and_the_next_one_is_sound() {
    for says in [Says::Done, Says::Failed] {
        let machine = Machine::new();
        machine.create("wal", 20);
        let context = tearing(&machine);
        for row in 1..3 {
            machine.change(row);
            tear(says);
            let failed = backup_app(&context).unwrap_err();
            assert!(says == Says::Failed || failed.to_string().contains(&torn()), "{failed}");
            let report = backup_app(&context).unwrap();
            let opened = context.open_repository().unwrap();
            assert!(findings(&opened, false).is_empty(), "{says:?}");
            assert!(findings(&opened, true).contains(&torn()), "{says:?}");
            let id = report.manifest.id.to_string();
            let restored = restored(&opened, &id, &machine.path("restored.db"));
            assert!(restored == content(&machine.database()), "{says:?}");
        }
    }
}

/// After the storage was cut short, and with what was known of its objects lost.
#[test]
fn nobody_vouches_for_half_an_object() {
    let machine = Machine::new();
    machine.create("wal", 20);
    backup_app(&machine.context()).unwrap();
    machine.change(1);
    backup_app(&machine.context()).unwrap();
    let state = objects_below(&machine.path(".local/state/lifeboat/databases"));
    let is_ledger = |path: &&std::path::PathBuf| {
        path.file_name().unwrap().to_string_lossy().starts_with("objects-")
    };
    let ledger = state.iter().find(is_ledger).unwrap();
    std::fs::remove_file(ledger).unwrap();
    // What is sound is read, and vouched for.
    backup_app(&machine.context()).unwrap();
    let objects = objects_below(&machine.path(".local/share/lifeboat/repository"));
    let capture = objects.iter().find(|path| path.to_string_lossy().contains("/ltx/0/")).unwrap();
    let file = std::fs::File::options().write(true).open(capture).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let refused = backup_app(&machine.context()).unwrap_err();
    let name = capture.file_name().unwrap().to_string_lossy();
    assert!(refused.to_string().contains(&*name), "{refused}");
    let report = back_up_base(&machine.context()).unwrap();
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let restored = restored(&opened, &report.manifest.id.to_string(), &machine.path("restored.db"));
    assert!(restored == machine.bytes());
}
