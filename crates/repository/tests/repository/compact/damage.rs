//! What is damaged or exchanged, before a merge or by it.

use super::copies::Copies;
use super::*;

/// A merge that is damaged before it is read back, or later, costs nothing.
#[test]
fn a_damaged_merge_takes_no_ones_place() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let all = all_points(repository, &app);
    let now = minutes_after(&app, 30);
    assert!(compact_at(repository, secrets, now).merges > 3);
    let merged = keys(&world.memory).into_iter().find(|key| key.as_str().contains("/ltx/2/"));
    let merged = merged.unwrap();
    let bytes = read(&world.memory, &merged);
    let inputs: Vec<_> = keys(&world.memory)
        .into_iter()
        .filter(|key| key.as_str().contains("/ltx/0/") || key.as_str().contains("/ltx/1/"))
        .collect();
    let half = bytes.len() / 2;
    world.memory.damage(&merged, |bytes| bytes[half] ^= 1);

    let name = merged.as_str().rsplit('/').next().unwrap();
    let (min, max) = (name[..16].parse::<Txid>().unwrap(), name[17..33].parse::<Txid>().unwrap());
    let stays = |key: &lifeboat_storage::Key| {
        let name = key.as_str().rsplit('/').next().unwrap();
        name[..16].parse::<Txid>().unwrap() <= max && name[17..33].parse::<Txid>().unwrap() >= min
    };
    for days in [0, 1, 2] {
        let now = Time::from_millis(now.millis() + days * DAY_MS);
        let report = prune_at(repository, secrets, now).unwrap();
        assert!(report.findings.iter().any(|finding| finding.key == merged.as_str()), "{report:?}");
        let left = keys(&world.memory);
        assert!(inputs.iter().filter(|key| stays(key)).all(|key| left.contains(key)));
    }
    // Mended, it takes their place.
    world.memory.remove(&merged).unwrap();
    world.memory.put(&merged, &bytes).unwrap();
    for days in [3, 4] {
        let now = Time::from_millis(now.millis() + days * DAY_MS);
        assert!(prune_at(repository, secrets, now).unwrap().findings.is_empty());
        let promised = promised_of(repository, &app, &all, now);
        assert_restorable(repository, secrets, &app, &promised, "mended");
    }
    let left = keys(&world.memory);
    assert!(!inputs.iter().filter(|key| stays(key)).all(|key| left.contains(key)));
}

/// Flips a bit of each merge that is stored.
struct Flipping(MemoryStorage);

impl Meddle for Flipping {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> lifeboat_storage::Result<()> {
        upload.publish(key)?;
        self.0.damage(key, |bytes| *bytes.last_mut().unwrap() ^= 1);
        Ok(())
    }
}

/// With secrets and, by their sealed bytes alone, without.
#[test]
fn what_is_stored_wrong_is_found_by_reading_it_back() {
    for with_secrets in [true, false] {
        let world = World::new();
        let (repository, secrets) = (&without_parts(&world), &*world.secrets);
        let app = history(repository, 24);
        let copies = Copies::of(repository, secrets, &app);
        let now = minutes_after(&app, 30);
        let flipping =
            Repository::open(Arc::new(Meddling::new(Flipping(world.memory.clone())))).unwrap();
        let report =
            compact_with(&flipping, with_secrets.then_some(secrets), now, &copies).unwrap();
        assert!(report.merges == 0 && report.findings.len() > 3, "{report:?}");
        assert!(report.verified.is_empty() && copies.kept.lock().unwrap().is_empty());
        let found = report.findings.iter().map(|finding| finding.key.as_str());
        assert!(found.clone().all(|key| !key.contains("/ltx/0/")), "{report:?}");
        let before = keys(&world.memory);
        let pruned = prune_at(repository, secrets, now).unwrap();
        assert!(pruned.findings.len() >= report.findings.len() / 2, "{pruned:?}");
        prune_at(repository, secrets, Time::from_millis(now.millis() + DAY_MS)).unwrap();
        let left = keys(&world.memory);
        let captures = before.iter().filter(|key| key.as_str().contains("/ltx/0/"));
        assert!(captures.filter(|key| left.contains(key)).count() > 16);
    }
}

/// What a manifest says of an object holds for merges, too: one that was exchanged is not merged.
#[test]
fn what_was_exchanged_is_not_merged() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let files = repository.listing(&app.lineage).unwrap().files;
    let fifth = files.iter().find(|file| file.name.range() == TxidRange::single(txid(5))).unwrap();
    let copies = Copies::of(repository, secrets, &app);
    let plain = copies.plain.lock().unwrap()[&fifth.name.range()].clone();
    let recipient = repository.recipient().unwrap().recipient.parse().unwrap();
    world.memory.remove(fifth.first_key()).unwrap();
    world.memory.put(fifth.first_key(), &seal_bytes(&plain, &[recipient]).unwrap()).unwrap();
    let report = compact_at(repository, secrets, minutes_after(&app, 30));
    assert!(report.merges > 1, "others are: {report:?}");
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.key.as_str()).collect();
    assert_eq!(found, [fifth.first_key().as_str()], "{report:?}");
}
