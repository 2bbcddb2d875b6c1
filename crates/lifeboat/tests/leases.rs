//! A backup of a database whose lease another host holds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{
    Machine, Notes, assert_clean, back_up_base, back_up_with, backup_app, database, restored,
};
use lifeboat::{BackupRequest, Error, Request, Silent, Time, backup};
use lifeboat_repository::{Claim, DatabaseAddress, LeaseOutcome};

const HOUR: Duration = Duration::from_secs(3600);

/// Another host takes the lease, which is to be waited for so long.
fn other_takes(machine: &Machine, ttl: Duration) -> u32 {
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    let address = DatabaseAddress::new(&context.host_name(), "app").unwrap();
    let claim = Claim { holder: "other", hostname: "attic", ttl, own: None, take_over: true };
    match opened.repository().take_lease(&address, &claim, Time::now()).unwrap() {
        LeaseOutcome::Taken { lease, .. } => lease.epoch,
        other => panic!("{other:?}"),
    }
}

fn back_up_taking_over(machine: &Machine) -> lifeboat::BackupReport {
    let sources = Request::of(vec!["app.db".to_owned()]);
    let request = BackupRequest { sources, take_over: true, ..BackupRequest::default() };
    backup(&machine.context(), &request, &Silent).unwrap()
}

#[test]
fn the_holder_is_waited_for_and_the_loser_begins_anew() {
    let machine = Machine::new();
    machine.create("wal", 30);
    let mut backups = Vec::new();
    let mut keep = |report: lifeboat::BackupReport| {
        backups.push((report.manifest.id.to_string(), machine.bytes()));
        database(&report)
    };
    let first = keep(backup_app(&machine.context()).unwrap());

    assert_eq!(other_takes(&machine, HOUR), 1);
    machine.change(3);
    for report in [backup_app(&machine.context()), back_up_base(&machine.context())] {
        match report.unwrap_err() {
            Error::LeaseHeld { hostname, last_upload, until, .. } => {
                assert_eq!(hostname, "attic");
                assert_eq!(until.millis() - last_upload.millis(), 3_600_000);
            }
            other => panic!("{other:?}"),
        }
    }

    let second = keep(back_up_taking_over(&machine));
    assert_ne!(second.lineage, first.lineage);
    assert_eq!(second.changed_from, None);
    // What is one's own needs no permission, and goes on.
    machine.change(4);
    let third = keep(backup_app(&machine.context()).unwrap());
    assert_eq!((third.lineage, third.changed_from), (second.lineage, Some(second.txid)));

    // One that need not be waited for.
    assert_eq!(other_takes(&machine, Duration::ZERO), 3);
    machine.change(5);
    let notes = Notes::default();
    let fourth = keep(back_up_with(&machine.context(), "app.db", false, &notes).unwrap());
    assert_ne!(fourth.lineage, third.lineage);
    assert!(notes.text().contains("another host took the database over"), "{}", notes.text());
    assert!(notes.text().contains("TakenOver { source: \"app\", from: \"attic\" }"));

    let context = machine.context();
    let opened = context.open_repository().unwrap();
    assert_clean(&opened, "after all that");
    for (id, bytes) in &backups {
        assert!(restored(&opened, id, &machine.path("restored.db")) == *bytes, "{id}");
    }
}
