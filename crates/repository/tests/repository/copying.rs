//! Backups in another repository, with another password.

use std::sync::{Arc, LazyLock};

use lifeboat_repository::{
    Copier, CopyEnd, Error, Manifest, Repository, Result, Secrets, Source, points,
};
use lifeboat_storage::testing::{Fault, Faulty};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common::{
    Database, KINDS, World, assert_restores, backup, checked, copy, host_key, key, open,
    other_password, read, restore, txid,
};

/// Made and unlocked once.
static OTHER: LazyLock<(MemoryStorage, Arc<Secrets>)> = LazyLock::new(|| {
    let memory = MemoryStorage::new();
    let repository = Repository::init(Arc::new(memory.clone()), &other_password(), "").unwrap();
    let secrets = repository.unlock(&other_password()).unwrap();
    (memory, Arc::new(secrets))
});

/// An empty repository to copy to.
fn target() -> World {
    let memory = copy(&OTHER.0);
    let repository = open(Arc::new(memory.clone()));
    World { memory, repository, secrets: OTHER.1.clone() }
}

/// Two databases, one of them in parts; three backups, between which there are other points.
fn source() -> (World, [Database; 2], Vec<Manifest>) {
    let world = World::new();
    let (mut app, mut large) = (Database::new("pi", "app", 3), Database::new("pi", "large", 14));
    let mut manifests = vec![backup(&world.repository, &mut [&mut app, &mut large]).unwrap()];
    for round in 1..=2 {
        app.change(2, 100 + round);
        app.capture(&world.repository).unwrap();
        app.change(4, 200 + round);
        large.change(7, 300 + round);
        manifests.push(backup(&world.repository, &mut [&mut app, &mut large]).unwrap());
    }
    (world, [app, large], manifests)
}

/// Copies what the target does not have, as `lifeboat copy` does.
fn copy_all(
    from: (&Repository, &Secrets),
    to: (&Repository, &Secrets),
    manifests: &[Manifest],
) -> Result<Vec<Manifest>> {
    let end = |(repository, secrets)| CopyEnd { repository, secrets };
    let mut copier = Copier::new(end(from), end(to));
    let there = to.0.backups()?;
    let missing = manifests.iter().filter(|one| there.iter().all(|name| name.id != one.id));
    missing.map(|manifest| copier.copy(manifest, &host_key(), &|_| {})).collect()
}

fn assert_copied(from: &World, to: &World, databases: &[Database; 2], manifests: &[Manifest]) {
    let report = to.check();
    assert!(report.is_clean() && report.lost.is_empty(), "{report:?}");
    let names = to.repository.backups().unwrap();
    assert_eq!(names, from.repository.backups().unwrap());
    for name in &names {
        assert_restores(&to.repository, &to.secrets, name, &[&databases[0], &databases[1]]);
        let copy = to.repository.manifest(name, &to.secrets).unwrap().manifest;
        let original = manifests.iter().find(|one| one.id == name.id).unwrap();
        assert_eq!(alike(copy), alike(original.clone()));
    }
}

/// Without what is of a repository.
fn alike(mut manifest: Manifest) -> Manifest {
    for source in &mut manifest.sources {
        if let Source::Database(database) = source {
            database.objects.clear();
            database.stored_bytes = 0;
        }
    }
    manifest
}

#[test]
fn a_copy_is_the_same_backup() {
    let ((from, databases, manifests), to) = (source(), target());
    let copied =
        copy_all((&from.repository, &from.secrets), (&to.repository, &to.secrets), &manifests)
            .unwrap();
    assert_copied(&from, &to, &databases, &manifests);
    for database in &databases {
        let listings =
            [&from, &to].map(|world| world.repository.listing(&database.lineage).unwrap());
        let names = listings
            .each_ref()
            .map(|listing| listing.files.iter().map(|file| file.name).collect::<Vec<_>>());
        assert_eq!(names[0], names[1]);
        assert_eq!(points(&listings[0].files), points(&listings[1].files));
        assert_eq!(listings[0].pins, listings[1].pins);
        let origins = [&from, &to]
            .map(|world| world.repository.origin(&database.lineage, &world.secrets).unwrap());
        assert_eq!(origins[0], origins[1]);
        // For others: nothing is copied as it is.
        for (one, other) in listings[0].files.iter().zip(&listings[1].files) {
            assert_ne!(
                read(&from.memory, one.first_key()),
                read(&to.memory, other.first_key()),
                "sealed for others"
            );
        }
    }
    // What is told of as stored is there, and once.
    let stored: u64 = copied.iter().flat_map(|one| &one.sources).map(Source::stored_bytes).sum();
    let ltx = to.memory.list(None).unwrap().into_iter();
    let ltx = ltx.filter(|entry| entry.key.as_str().contains("/ltx/"));
    assert_eq!(stored, ltx.map(|entry| entry.size).sum::<u64>());

    let before = to.memory.list(None).unwrap();
    let ends = ((&from.repository, &*from.secrets), (&to.repository, &*to.secrets));
    assert!(copy_all(ends.0, ends.1, &manifests).unwrap().is_empty());
    assert_eq!(to.memory.list(None).unwrap(), before);
}

/// The source merges what it has, the target does not: only what leads on is copied.
#[test]
fn what_leads_on_is_enough() {
    let ((from, [mut app, _], mut manifests), to) = (source(), target());
    let ends = ((&from.repository, &*from.secrets), (&to.repository, &*to.secrets));
    copy_all(ends.0, ends.1, &manifests).unwrap();
    let before = app.checksum();
    let last = app.last;
    app.change(1, 900);
    app.capture(&from.repository).unwrap();
    manifests.push(backup(&from.repository, &mut [&mut app]).unwrap());
    // A base and a merge that are worth more there than what they were made of.
    app.write_merge(&from.repository, last + 1, before).unwrap();
    let at = app.last;
    app.write_base(&from.repository, at).unwrap();
    manifests[3].sources = vec![app.source(&from.repository).unwrap()];
    let there = to.repository.listing(&app.lineage).unwrap().files.len();

    let estimate = Copier::new(
        CopyEnd { repository: ends.0.0, secrets: ends.0.1 },
        CopyEnd { repository: ends.1.0, secrets: ends.1.1 },
    )
    .estimate(&manifests[3])
    .unwrap();
    let copied = copy_all(ends.0, ends.1, &manifests).unwrap();
    assert_eq!((copied.len(), estimate.ltx_files), (1, 1));
    assert_eq!(to.repository.listing(&app.lineage).unwrap().files.len(), there + 1);
    let bytes = restore(&to.repository, &to.secrets, &app.lineage, txid(at)).unwrap();
    assert!(bytes == app.captures[&at]);
    assert!(to.check().is_clean());
}

/// What a dry run says of several backups counts each file once.
#[test]
fn an_estimate_counts_everything_once() {
    let ((from, _, manifests), to) = (source(), target());
    let before = to.memory.list(None).unwrap();
    let mut copier = Copier::new(
        CopyEnd { repository: &from.repository, secrets: &from.secrets },
        CopyEnd { repository: &to.repository, secrets: &to.secrets },
    );
    let estimates = manifests.iter().map(|manifest| copier.estimate(manifest).unwrap());
    let files: Vec<u64> = estimates.map(|estimate| estimate.ltx_files).collect();
    assert_eq!(files, [2, 3, 3]);
    assert_eq!(to.memory.list(None).unwrap(), before);
}

/// With every operation of either side failing in turn: the next try completes it.
#[test]
fn a_copy_that_failed_is_completed() {
    let (from, databases, manifests) = source();
    let recording = [copy(&from.memory), target().memory].map(|memory| Faulty::new(memory, None));
    let repositories = recording.each_ref().map(|storage| open(Arc::new(storage.clone())));
    recording.iter().for_each(|storage| storage.reset(None));
    let ends = |repositories: &[Repository; 2]| {
        let [from, to] = repositories.clone();
        move |secrets: [Arc<Secrets>; 2], manifests: &[Manifest]| {
            copy_all((&from, &secrets[0]), (&to, &secrets[1]), manifests)
        }
    };
    let secrets = || [from.secrets.clone(), OTHER.1.clone()];
    ends(&repositories)(secrets(), &manifests).unwrap();
    let operations = recording.each_ref().map(|storage| storage.operations().len());
    assert!(operations[0] > 20 && operations[1] > 60, "{operations:?}");

    let mut renamed = 0;
    for kind in KINDS {
        for (side, count) in operations.iter().enumerate() {
            for at in 0..*count {
                let context = format!("{kind:?} at {side}:{at}");
                let memories = [copy(&from.memory), target().memory];
                let faulty = memories.each_ref().map(|memory| Faulty::new(memory.clone(), None));
                let repositories = faulty.each_ref().map(|storage| open(Arc::new(storage.clone())));
                faulty.iter().for_each(|storage| storage.reset(None));
                faulty[side].reset(Some(Fault { at, kind }));
                let failed = ends(&repositories)(secrets(), &manifests);
                if let Err(error) = &failed {
                    assert!(
                        format!("{error:?}").contains("injected fault"),
                        "{context}: {error:?}"
                    );
                }
                faulty.iter().for_each(|storage| storage.reset(None));
                // Whatever is a backup can be restored.
                let repository = open(Arc::new(memories[1].clone()));
                for name in repository.backups().unwrap() {
                    let all = [&databases[0], &databases[1]];
                    assert_restores(&repository, &OTHER.1, &name, &all);
                }
                ends(&repositories)(secrets(), &manifests)
                    .unwrap_or_else(|error| panic!("{context}: {error:?}"));
                let to =
                    World { memory: memories[1].clone(), repository, secrets: OTHER.1.clone() };
                assert_copied(&from, &to, &databases, &manifests);
                let listing = to.repository.listing(&databases[1].lineage).unwrap();
                renamed += usize::from(listing.files.iter().any(|file| file.name.level == 7));
            }
        }
    }
    // Where parts were left that can only be sealed anew, under other names.
    assert!(renamed > 0);
}

/// Damage keeps the backups that need it from being copied, and no others.
#[test]
fn what_is_damaged_is_not_copied() {
    let ((from, [app, large], manifests), to) = (source(), target());
    let ends = ((&from.repository, &*from.secrets), (&to.repository, &*to.secrets));
    let listing = from.repository.listing(&app.lineage).unwrap();
    let damaged = listing.files.iter().find(|file| file.name.max == txid(3)).unwrap();
    assert!(from.memory.damage(damaged.first_key(), |bytes| {
        let last = bytes.len() - 20;
        bytes[last] ^= 1;
    }));
    let error = copy_all(ends.0, ends.1, &manifests).unwrap_err();
    assert!(error.is_damage(), "{error:?}");
    assert_eq!(error.key(), Some(damaged.first_key()));
    let names = to.repository.backups().unwrap();
    assert_eq!(names.len(), 1);
    assert_restores(&to.repository, &to.secrets, &names[0], &[&app, &large]);
    assert!(to.check().is_clean());
    // What it has stored of the other database serves a backup without the damaged one.
    assert!(from.memory.remove(damaged.first_key()).unwrap());
    let error = copy_all(ends.0, ends.1, &manifests[2..]).unwrap_err();
    assert!(matches!(error, Error::NotRestorable { .. }), "{error:?}");
}

/// A state directory that was set back has given TXIDs twice.
#[test]
fn other_histories_are_not_mixed() {
    let ((from, [app, _], manifests), to) = (source(), target());
    let (_, fork) = from.copy();
    let ends = ((&from.repository, &*from.secrets), (&to.repository, &*to.secrets));
    // In the target, what comes after TXID 5 follows other content of TXID 5.
    copy_all(ends.0, ends.1, &manifests[..1]).unwrap();
    let mut other = app.clone();
    other.clock_ms += 7;
    other.change(3, 999);
    (other.last, other.captured) = (1, pages(&app, 1));
    for seed in 1..=4 {
        other.change(3, 2000 + seed);
        other.capture(&to.repository).unwrap();
    }
    assert_eq!(other.last, app.last);
    let mut next = app.clone();
    next.change(1, 5000);
    let manifest = backup(&fork, &mut [&mut next]).unwrap();
    let error = copy_all((&fork, &from.secrets), ends.1, &[manifest]).unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { detail, .. } if detail.contains("continues")),
        "{error:?}"
    );
    // The transaction is there already, and is another.
    let error = copy_all(ends.0, ends.1, &manifests[2..]).unwrap_err();
    assert!(
        matches!(&error, Error::Corrupt { detail, .. } if detail.contains("leads to")),
        "{error:?}"
    );
    assert_eq!(to.repository.backups().unwrap().len(), 1);
}

/// What the pages were at a capture.
fn pages(database: &Database, at: u64) -> Vec<Vec<u8>> {
    database.captures[&at].chunks(crate::common::PAGE_BYTES).map(<[u8]>::to_vec).collect()
}

/// Nobody would see what comes after the end of a lineage that was closed.
#[test]
fn a_closed_lineage_takes_nothing_past_its_end() {
    let ((from, [app, _], manifests), to) = (source(), target());
    let ends = ((&from.repository, &*from.secrets), (&to.repository, &*to.secrets));
    let lease = format!(
        r#"{{"epoch":1,"holder":"a","hostname":"b","taken":"2026-11-21T02:49:00.123Z","ttl_s":60,
           "lineage":"{}","after_txid":"0000000000000003"}}"#,
        app.lineage.id()
    );
    to.memory.put(&key("leases/pi/app/00000001.json"), lease.as_bytes()).unwrap();
    let error = copy_all(ends.0, ends.1, &manifests).unwrap_err();
    assert!(error.to_string().contains("another host took the database over"), "{error}");
    assert_eq!(to.repository.backups().unwrap().len(), 2);
    assert_eq!(to.repository.listing(&app.lineage).unwrap().highest, Some(txid(3)));
}

/// Databases go from one form to the other and back.
#[test]
fn databases_change_their_form() {
    let (from, databases, manifests) = source();
    let plain = MemoryStorage::new();
    let middle = Repository::init_litestream(Arc::new(plain.clone())).unwrap();
    let none = Secrets::none();
    copy_all((&from.repository, &from.secrets), (&middle, &none), &manifests).unwrap();
    let report = checked(&middle, &none);
    assert!(report.is_clean() && report.restorable.len() == 3, "{report:?}");
    for name in middle.backups().unwrap() {
        assert_restores(&middle, &none, &name, &[&databases[0], &databases[1]]);
    }

    let to = target();
    let manifests: Vec<Manifest> = middle
        .backups()
        .unwrap()
        .iter()
        .rev()
        .map(|name| middle.manifest(name, &none).unwrap().manifest)
        .collect();
    copy_all((&middle, &none), (&to.repository, &to.secrets), &manifests).unwrap();
    assert_copied(&from, &to, &databases, &manifests);
    // An empty database is nothing for Litestream.
    let mut empty = manifests[0].clone();
    for source in &mut empty.sources {
        if let Source::Database(database) = source {
            database.page_count = 0;
        }
    }
    let other = Repository::init_litestream(Arc::new(MemoryStorage::new())).unwrap();
    let error = copy_all((&from.repository, &from.secrets), (&other, &none), &[empty]).unwrap_err();
    assert!(matches!(error, Error::EmptyDatabase { .. }), "{error:?}");
}

/// The source has merged what the manifest names: the merge leads there, too.
#[test]
fn merges_serve_as_well_as_what_they_were_made_of() {
    let ((from, [mut app, _], mut manifests), to) = (source(), target());
    let before = app.checksum();
    let last = app.last;
    for seed in 1..=2 {
        app.change(1, 900 + seed);
        app.capture(&from.repository).unwrap();
    }
    manifests.push(backup(&from.repository, &mut [&mut app]).unwrap());
    let ends = ((&from.repository, &*from.secrets), (&to.repository, &*to.secrets));
    copy_all(ends.0, ends.1, &manifests[..3]).unwrap();
    app.write_merge(&from.repository, last + 1, before).unwrap();
    let listing = from.repository.listing(&app.lineage).unwrap();
    for file in
        listing.files.iter().filter(|file| file.name.level == 0 && file.name.min > txid(last))
    {
        from.memory.remove(file.first_key()).unwrap();
    }
    assert_eq!(copy_all(ends.0, ends.1, &manifests).unwrap().len(), 1);
    let bytes = restore(&to.repository, &to.secrets, &app.lineage, txid(app.last)).unwrap();
    assert!(bytes == app.captures[&app.last]);
}
