//! The fences of leases, as `docs/format.md` has them.

use lifeboat_repository::{Error, Ladder, PruneOptions, Time, plan_prune, points};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common::{DAY_MS, Database, World, backup, key, keys, new_lineage};

fn lease(epoch: u32, lineage: &str, after: &str) -> String {
    format!(
        r#"{{"epoch":{epoch},"holder":"a","hostname":"b","taken":"2026-11-21T02:49:00.123Z",
           "ttl_s":60,"lineage":{lineage},"after_txid":{after},"new":[]}}"#
    )
}

fn put(memory: &MemoryStorage, database: &str, epoch: u32, text: &str) {
    memory.put(&key(&format!("leases/pi/{database}/{epoch:08}.json")), text.as_bytes()).unwrap();
}

/// Transactions 1 to 4, of which 2 and 4 are backed up.
fn world() -> (World, Database) {
    let world = World::new();
    let mut app = Database::new("pi", "app", 5);
    app.begin_lineage(&world.repository).unwrap();
    for number in 1..=4 {
        app.change(2, 500 + number);
        if number % 2 == 0 {
            backup(&world.repository, &mut [&mut app]).unwrap();
        } else {
            app.capture(&world.repository).unwrap();
        }
    }
    (world, app)
}

fn ends(world: &World, app: &Database) -> Vec<u64> {
    let listing = world.repository.listing(&app.lineage).unwrap();
    points(&listing.files).iter().map(|point| point.txid.get()).collect()
}

#[test]
fn files_past_a_fence_do_not_count() {
    let (world, app) = world();
    assert_eq!(ends(&world, &app), [1, 2, 3, 4]);
    let lineage = format!("\"{}\"", app.lineage.id());

    put(&world.memory, "app", 1, &lease(1, "null", "null"));
    put(&world.memory, "app", 2, &lease(2, "\"00000000000000ff\"", "\"0000000000000001\""));
    put(&world.memory, "web", 1, &lease(1, &lineage, "\"0000000000000001\""));
    assert_eq!(ends(&world, &app), [1, 2, 3, 4], "those of others");
    assert!(world.check().is_clean());

    put(&world.memory, "app", 3, &lease(3, &lineage, "\"0000000000000003\""));
    assert_eq!(ends(&world, &app), [1, 2, 3]);
    let report = world.check();
    assert_eq!((report.restorable.len(), report.lost.len()), (1, 1), "{report:?}");
    assert_eq!(report.lost[0].key().unwrap().as_str(), report.findings[0].key);

    // The fences of all epochs apply, not the last one's alone.
    put(&world.memory, "app", 4, &lease(4, &lineage, "\"0000000000000004\""));
    assert_eq!(ends(&world, &app), [1, 2, 3]);
    put(&world.memory, "app", 5, &lease(5, &lineage, "null"));
    assert_eq!(ends(&world, &app), [0; 0]);
}

/// Nothing holds either lineage but that it is the newest. The one that goes on began under a clock that
/// is behind.
#[test]
fn a_closed_lineage_supersedes_no_open_one() {
    let (world, old) = world();
    for key in keys(&world.memory) {
        if key.as_str().starts_with("backups/") || key.as_str().contains("/pins/") {
            world.memory.remove(&key).unwrap();
        }
    }
    let mut app = old.clone();
    app.lineage = new_lineage("pi", "app");
    (app.last, app.captured, app.clock_ms) = (0, Vec::new(), old.clock_ms - 30 * DAY_MS);
    app.begin_lineage(&world.repository).unwrap();
    app.capture(&world.repository).unwrap();
    let now = Time::from_millis(Time::now().millis() + 3 * DAY_MS);
    let options = PruneOptions { now, ..PruneOptions::default() };
    let doomed = || {
        let ladder = |_: &_| Ladder::backups_only();
        let plan = plan_prune(&world.repository, &world.secrets, &ladder, &options).unwrap();
        let of = |lineage: &lifeboat_repository::LineageAddress| {
            let below = format!("{}/", lineage.key());
            plan.announce.iter().filter(|one| one.key.as_str().starts_with(&below)).count()
        };
        (of(&old.lineage), of(&app.lineage))
    };
    assert_eq!(doomed().0, 0, "both are open, and this one has the newest point");
    let lineage = format!("\"{}\"", old.lineage.id());
    put(&world.memory, "app", 1, &lease(1, &lineage, "\"0000000000000004\""));
    let files = keys(&world.memory).iter().filter(|key| key.as_str().contains("/ltx/")).count();
    let (gone, kept) = doomed();
    assert_eq!((kept, gone > 4, files > gone), (0, true, true));
}

/// A base that passes the fence is past it, though it begins before.
#[test]
fn a_base_counts_by_its_end() {
    let (world, mut app) = world();
    app.write_base(&world.repository, 4).unwrap();
    let lineage = format!("\"{}\"", app.lineage.id());
    put(&world.memory, "app", 1, &lease(1, &lineage, "\"0000000000000003\""));
    let listing = world.repository.listing(&app.lineage).unwrap();
    assert!(listing.files.iter().all(|file| file.name.max.get() <= 3));
    assert_eq!(ends(&world, &app), [1, 2, 3]);
}

/// Whoever cannot read a fence does not know which files count.
#[test]
fn a_lease_that_cannot_be_read_is_no_missing_fence() {
    let (world, app) = world();
    let lineage = format!("\"{}\"", app.lineage.id());
    let sound = lease(1, &lineage, "\"0000000000000003\"");
    let damaged = [
        String::new(),
        "{}".to_owned(),
        sound.replace("\"epoch\":1", "\"epoch\":2"),
        sound.replace("after_txid", "after_txie"),
        sound.replace("\"lineage\"", "\"lineag\""),
        sound.replace("\"ttl_s\"", "\"ttl\""),
        sound.replace("0000000000000003", "0000000000000000"),
        sound.replace("0000000000000003", "3"),
        sound.replace(&lineage, "\"0000000000000000\""),
    ];
    for text in damaged {
        assert_ne!(text, sound);
        let name = key("leases/pi/app/00000001.json");
        put(&world.memory, "app", 1, &text);
        let error = world.repository.listing(&app.lineage).unwrap_err();
        assert!(matches!(error, Error::Json { .. } | Error::Corrupt { .. }), "{text}: {error:?}");
        assert_eq!(error.key(), Some(&name));
        let report = world.check();
        assert!(report.findings.iter().any(|finding| finding.key == name.as_str()), "{text}");
        assert_eq!((report.restorable.len(), report.lost.len()), (0, 2), "{text}");
        world.memory.remove(&name).unwrap();
    }
    for foreign in ["1.json", "00000000.json", "0000000a.json", "00000001.txt", "x/00000001.json"] {
        let name = key(&format!("leases/pi/app/{foreign}"));
        world.memory.put(&name, b"?").unwrap();
    }
    assert!(world.check().is_clean());
}

/// One lease may close several lineages.
#[test]
fn all_lineages_that_a_lease_names_are_closed() {
    let (world, app) = world();
    let other = format!(r#"{{"lineage":"{}","after_txid":"0000000000000002"}}"#, app.lineage.id());
    let text = lease(1, "null", "null").replace("\"new\":[]", &format!("\"others\":[{other}]"));
    put(&world.memory, "app", 1, &text);
    assert_eq!(ends(&world, &app), [1, 2]);
    for damaged in [text.replace("txid\":\"", "txie\":\""), text.replace("[{", "{")] {
        assert_ne!(damaged, text);
        world.memory.remove(&key("leases/pi/app/00000001.json")).unwrap();
        put(&world.memory, "app", 1, &damaged);
        world.repository.listing(&app.lineage).unwrap_err();
    }
}
