//! A backup that waits in an outbox, and a process that is killed while it is sent.

use std::sync::Arc;

use lifeboat_repository::Error;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common::{World, backup, checked, open, restore, txid};
use crate::faults::first;

/// However far it came, the next one sends the rest of what leads to the points of databases, and nothing of it
/// that is there already is read back, but for the object that was on its way.
#[test]
fn what_was_cut_off_is_sent_by_the_next() {
    for kind in [FaultKind::FromThenOn, FaultKind::Tear] {
        for at in 0.. {
            let world = World::new();
            let (mut app, mut new) = first(&world);
            let target = Arc::new(Faulty::new(world.memory.clone(), None));
            let mut repository = open(target.clone());
            let outbox: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
            let deferred = repository.defer(outbox.clone()).unwrap().unwrap();
            let before = world.repository.backups().unwrap().len();
            backup(&repository, &mut [&mut app, &mut new]).unwrap();
            assert_eq!(world.repository.backups().unwrap().len(), before);
            target.reset(Some(Fault { at, kind }));
            let sent = deferred.send(&|| Ok::<_, Error>(()), &|_| ());
            target.reset(None);
            drop((repository, deferred));

            let next = open(target.clone());
            next.resume(&*outbox).unwrap();
            assert_eq!(outbox.list(None).unwrap(), []);
            let is_read = |operation: &Operation| match operation {
                Operation::Read(key) => key.as_str().contains("/ltx/"),
                _ => false,
            };
            let read_back = target.operations().iter().filter(|one| is_read(one)).count();
            assert!(read_back <= 1, "{kind:?} {at}");
            for database in [&app, &new] {
                let last = txid(database.last);
                let restored = restore(&next, &world.secrets, &database.lineage, last).unwrap();
                assert!(restored == database.captures[&database.last], "{kind:?} {at}");
            }
            assert!(checked(&next, &world.secrets).findings.is_empty(), "{kind:?} {at}");
            let made = next.backups().unwrap().len();
            // The manifest comes last, and its answer may be lost, too.
            assert!(made == before || at > 30, "{kind:?} {at}");
            if sent.is_ok() {
                assert_eq!(made, before + 1);
                break;
            }
        }
    }
}
