//! Who may write to a database's replica, and what becomes of those who no longer may.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use lifeboat_repository::{Claim, Error, Fence, Lease, LeaseOutcome, Repository, Time, points};
use lifeboat_storage::testing::{Meddle, Meddling};
use lifeboat_storage::{Entry, Key, MemoryStorage, Storage, Upload};

use crate::common::{Database, World, backup, key, open, read, restore, txid};

/// What a storage answers.
type Stored<T> = lifeboat_storage::Result<T>;

const TTL: Duration = Duration::from_secs(60);

fn claim(holder: &str) -> Claim<'_> {
    Claim { holder, hostname: "a computer", ttl: TTL, own: None, take_over: false }
}

/// So many seconds from now. The storage's times are of now.
fn later(seconds: i64) -> Time {
    Time::from_millis(Time::now().millis() + seconds * 1000)
}

/// A database with captures 1 to 3, of which the last is backed up.
fn world() -> (World, Database) {
    let world = World::new();
    let mut app = Database::new("pi", "app", 5);
    app.begin_lineage(&world.repository).unwrap();
    for number in 1..=2 {
        app.change(2, 500 + number);
        app.capture(&world.repository).unwrap();
    }
    app.change(2, 503);
    backup(&world.repository, &mut [&mut app]).unwrap();
    (world, app)
}

/// The same database as another host goes on with it: a lineage of its own.
fn moved(app: &Database) -> Database {
    let mut moved = Database::new(&app.host, &app.name, 5);
    moved.pages.clone_from(&app.pages);
    moved.clock_ms = app.clock_ms;
    moved
}

fn take(world: &World, claim: &Claim<'_>, app: &Database, now: Time) -> LeaseOutcome {
    world.repository.take_lease(app.lineage.database(), claim, now).unwrap()
}

#[track_caller]
fn taken(outcome: LeaseOutcome) -> (Lease, Vec<Fence>) {
    match outcome {
        LeaseOutcome::Taken { lease, closed } => (lease, closed),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(outcome: LeaseOutcome) -> (Option<Lease>, Time) {
    match outcome {
        LeaseOutcome::Refused { lease, last_upload, until } => {
            let ttl = lease.as_ref().map_or(TTL, |lease| lease.ttl).as_millis();
            assert_eq!(u128::try_from(until.millis() - last_upload.millis()).unwrap(), ttl);
            (lease, until)
        }
        other => panic!("{other:?}"),
    }
}

fn ends(repository: &Repository, app: &Database) -> Vec<u64> {
    let listing = repository.listing(&app.lineage).unwrap();
    points(&listing.files).iter().map(|point| point.txid.get()).collect()
}

#[test]
fn the_first_lease_is_a_formality() {
    let (world, app) = world();
    let database = app.lineage.database();
    assert_eq!(world.repository.lease(database).unwrap(), None);
    assert!(!world.repository.confirm_lease(database, "a", 1).unwrap());

    let own = Claim { own: Some(app.lineage.id()), ..claim("a") };
    let now = later(0);
    let (lease, closed) = taken(take(&world, &own, &app, now));
    assert_eq!((lease.epoch, lease.taken, lease.ttl, closed.len()), (1, now, TTL, 0));
    assert_eq!((lease.holder.as_str(), lease.hostname.as_str()), ("a", "a computer"));
    assert_eq!(lease.confirm_within(), TTL / 2);
    assert_eq!(ends(&world.repository, &app), [1, 2, 3]);

    // Its own goes on, however long it was silent, whatever is there.
    let again = take(&world, &claim("a"), &app, later(9999));
    assert!(matches!(&again, LeaseOutcome::Held(held) if held.epoch == 1), "{again:?}");
    for (holder, epoch, holds) in [("a", 1, true), ("b", 1, false), ("a", 2, false)] {
        assert_eq!(world.repository.confirm_lease(database, holder, epoch).unwrap(), holds);
    }
    assert!(world.check().is_clean());

    // A name is another database's matter.
    let web = Database::new("pi", "web", 5);
    assert!(taken(take(&world, &claim("b"), &web, now)).1.is_empty());
}

/// As in `docs/format.md`, byte for byte.
#[test]
fn a_lease_is_written_as_documented() {
    let (world, app) = world();
    let now = later(100);
    let half = Claim { ttl: Duration::from_millis(59_001), ..claim("b") };
    taken(take(&world, &half, &app, now));
    let text = read(&world.memory, &key("leases/pi/app/00000001.json"));
    let expected = format!(
        r#"{{"epoch":1,"holder":"b","hostname":"a computer","taken":"{now}","ttl_s":60,"lineage":"{}","after_txid":"0000000000000003","others":[]}}"#,
        app.lineage.id()
    );
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn whoever_uploaded_lately_is_waited_for() {
    let (world, app) = world();
    let (lease, until) = refused(take(&world, &claim("b"), &app, later(10)));
    assert!(lease.is_none() && until > later(10));
    let own = Claim { own: Some(app.lineage.id()), ..claim("a") };
    taken(take(&world, &own, &app, later(0)));
    let (lease, until) = refused(take(&world, &claim("b"), &app, later(10)));
    assert!(lease.is_some_and(|lease| lease.holder == "a") && until <= later(60));
    // The name of a file that says a later time than the storage's.
    let mut ahead = app.clone();
    ahead.clock_ms = later(600).millis();
    ahead.capture(&world.repository).unwrap();
    refused(take(&world, &claim("b"), &app, later(700)));
    // The user knows better.
    let (lease, closed) =
        taken(take(&world, &Claim { take_over: true, ..claim("b") }, &app, later(700)));
    assert_eq!((lease.epoch, closed[0].after), (2, Some(txid(4))));
}

/// What a holder uploads that has lost the lease is there for nobody: not for listings, plans and
/// checks, not for restores, and not as a sign of life.
#[test]
fn what_a_fenced_holder_uploads_does_not_count() {
    let (world, mut app) = world();
    let at_three = app.captures[&3].clone();
    let (_, closed) = taken(take(&world, &claim("b"), &app, later(100)));
    assert_eq!(closed, [Fence { lineage: app.lineage.id(), after: Some(txid(3)) }]);
    let mut ours = moved(&app);
    backup(&world.repository, &mut [&mut ours]).unwrap();

    app.change(1, 600);
    app.capture(&world.repository).unwrap();
    app.write_base(&world.repository, 4).unwrap();
    assert_eq!(ends(&world.repository, &app), [1, 2, 3]);
    let listing = world.repository.listing(&app.lineage).unwrap();
    assert!(listing.fenced);
    assert!(matches!(listing.plan(&app.lineage, txid(4)), Err(Error::NotRestorable { .. })));
    assert!(world.check().is_clean());
    let restored =
        |app: &Database, to| restore(&world.repository, &world.secrets, &app.lineage, txid(to));
    assert!(restored(&app, 3).unwrap() == at_three);
    assert!(restored(&ours, 1).unwrap() == ours.captures[&1]);
    restored(&app, 4).unwrap_err();

    // The next one does not wait for it: the new holder's files are old, the fenced one's are not.
    app.clock_ms = later(9000).millis();
    app.change(1, 601);
    app.capture(&world.repository).unwrap();
    let (lease, closed) = taken(take(&world, &claim("c"), &app, later(300)));
    assert_eq!(lease.epoch, 2);
    assert_eq!(closed, [Fence { lineage: ours.lineage.id(), after: Some(txid(1)) }]);
}

/// A host that comes back takes the lease as anyone does, and what it wrote then stays closed.
#[test]
fn two_holders_in_turn() {
    let (world, mut app) = world();
    let database = app.lineage.database().clone();
    let mut now = 0;
    let mut lineages = vec![app.clone()];
    for epoch in 1..=5 {
        let holder = ["a", "b"][epoch as usize % 2];
        let own = lineages.iter().rev().nth(1).map(|former| former.lineage.id());
        let claim = Claim { own, ..claim(holder) };
        refused(take(&world, &claim, &app, later(now)));
        now += 300;
        let (lease, closed) = taken(take(&world, &claim, &app, later(now)));
        let fence = Fence { lineage: app.lineage.id(), after: Some(txid(app.last)) };
        assert_eq!((lease.epoch, closed), (epoch, vec![fence]));
        for former in 1..epoch {
            assert!(!world.repository.confirm_lease(&database, holder, former).unwrap());
        }
        assert!(world.repository.confirm_lease(&database, holder, epoch).unwrap());
        app = moved(&app);
        app.clock_ms = later(now).millis();
        app.change(3, u64::from(epoch));
        backup(&world.repository, &mut [&mut app]).unwrap();
        app.change(4, u64::from(epoch));
        backup(&world.repository, &mut [&mut app]).unwrap();
        lineages.push(app.clone());
    }
    for (number, lineage) in lineages.iter().enumerate() {
        let expected: &[u64] = if number == 0 { &[1, 2, 3] } else { &[1, 2] };
        assert_eq!(ends(&world.repository, lineage), expected);
        let fenced = world.repository.listing(&lineage.lineage).unwrap().fenced;
        assert_eq!(fenced, number < 5);
    }
    assert!(world.check().is_clean());
    assert_eq!(world.check().restorable.len(), 11);
}

/// The holder died in its first upload: that is closed as a whole, what there was before stays.
#[test]
fn an_unfinished_base_is_closed() {
    let (world, app) = world();
    let mut begun = moved(&app);
    begun.begin_lineage(&world.repository).unwrap();
    begun.capture(&world.repository).unwrap();
    let files = world.repository.listing(&begun.lineage).unwrap().files;
    assert!(files[0].objects.len() > 1, "it is in parts");
    let last = &files[0].objects.last().unwrap().key;
    let bytes = read(&world.memory, last);
    world.memory.remove(last).unwrap();
    assert!(ends(&world.repository, &begun).is_empty());

    let now = later(100);
    let (_, closed) = taken(take(&world, &claim("b"), &app, now));
    assert_eq!(closed.len(), 2);
    assert!(closed.contains(&Fence { lineage: begun.lineage.id(), after: None }));
    assert!(closed.contains(&Fence { lineage: app.lineage.id(), after: Some(txid(3)) }));
    world.memory.put(last, &bytes).unwrap();
    assert!(ends(&world.repository, &begun).is_empty());
    assert_eq!(ends(&world.repository, &app), [1, 2, 3]);
    assert!(world.check().is_clean());
}

/// Of many that take the next epoch at once, one has it; also where each was told that the holder is
/// gone, since none was told so of the winner.
#[test]
fn of_several_at_once_one_wins() {
    for standing in [false, true] {
        for _ in 0..50 {
            let (world, app) = world();
            let database = app.lineage.database();
            if standing {
                taken(take(&world, &claim("z"), &app, later(100)));
            }
            let barrier = Barrier::new(4);
            let holders = ["a", "b", "c", "d"];
            let outcomes: Vec<_> = std::thread::scope(|scope| {
                let racers = holders.map(|holder| {
                    let (barrier, repository) = (&barrier, &world.repository);
                    scope.spawn(move || {
                        let claim = Claim { take_over: true, ..claim(holder) };
                        barrier.wait();
                        repository.take_lease(database, &claim, later(100)).unwrap()
                    })
                });
                racers.map(|racer| racer.join().unwrap()).into()
            });
            let newest = world.repository.lease(database).unwrap().unwrap();
            // Who came so late that it saw another's epoch may have taken the next one.
            let mut epochs: Vec<u32> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    LeaseOutcome::Taken { lease, .. } => Some(lease.epoch),
                    _ => None,
                })
                .collect();
            epochs.sort_unstable();
            let first = 1 + u32::from(standing);
            assert_eq!(epochs, (first..=newest.epoch).collect::<Vec<_>>());
            for (holder, outcome) in holders.iter().zip(&outcomes) {
                let epoch = match outcome {
                    LeaseOutcome::Taken { lease, .. } => lease.epoch,
                    LeaseOutcome::Refused { lease: Some(lease), .. } => {
                        assert_ne!(lease.holder, *holder);
                        lease.epoch
                    }
                    other => panic!("{other:?}"),
                };
                let holds = world.repository.confirm_lease(database, holder, epoch).unwrap();
                assert_eq!(holds, newest.holder == *holder);
            }
        }
    }
}

/// A storage that hides the newest epoch until someone tries to create it: exactly the moment
/// between looking and creating.
struct Late {
    memory: MemoryStorage,
    hidden: Key,
    /// Whether it honours "create only if absent".
    creates: bool,
}

impl Meddle for Late {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> Stored<()> {
        if !self.creates {
            self.memory.remove(key)?;
        }
        upload.publish(key)
    }

    fn list(&self, directory: Option<&Key>) -> Stored<Vec<Entry>> {
        let mut entries = self.memory.list(directory)?;
        entries.retain(|entry| entry.key != self.hidden);
        Ok(entries)
    }
}

#[test]
fn who_comes_second_is_told_who_was_first() {
    let hidden = key("leases/pi/app/00000001.json");
    for creates in [true, false] {
        let (world, app) = world();
        let database = app.lineage.database();
        let (first, _) = taken(take(&world, &claim("a"), &app, later(100)));
        let late = Late { memory: world.memory.clone(), hidden: hidden.clone(), creates };
        let second = open(Arc::new(Meddling::new(late)));
        let gone = Claim { take_over: true, ..claim("b") };
        let outcome = second.take_lease(database, &gone, later(500)).unwrap();
        let holds = world.repository.confirm_lease(database, "a", 1).unwrap();
        if creates {
            let (lease, until) = refused(outcome);
            assert_eq!(lease.as_ref().map(|lease| &lease.holder), Some(&first.holder));
            assert!(until <= later(160) && holds);
            // The same holder twice, as when an answer was lost.
            let again = second.take_lease(database, &claim("a"), later(500)).unwrap();
            assert!(matches!(again, LeaseOutcome::Held(_)), "{again:?}");
        } else {
            // The storage has let it replace the other's, who learns it when it looks.
            taken(outcome);
            assert!(!holds);
            assert!(world.repository.confirm_lease(database, "b", 1).unwrap());
        }
    }
}

/// Whoever can write to the storage can stop writers with leases, and no more.
#[test]
fn hostile_leases_stop_writers_and_no_more() {
    let (world, app) = world();
    let database = app.lineage.database();
    let text = |epoch: &str, taken: &str, ttl: &str| {
        format!(
            r#"{{"epoch":{epoch},"holder":"x","hostname":"x","taken":"{taken}","ttl_s":{ttl},"lineage":null,"after_txid":null}}"#
        )
    };
    const PAST: &str = "1970-01-01T00:00:00.000Z";
    const FUTURE: &str = "9999-12-30T22:00:00.000Z";
    let broken = [
        (3, text("4", PAST, "1")),
        (3, text("-3", PAST, "1")),
        (3, text("4294967299", PAST, "1")),
        (3, text("3", PAST, "-1")),
        (3, text("3", PAST, "18446744073709551616")),
        (3, text("3", "yesterday", "1")),
        (3, text("3", PAST, "1").replace("\"lineage\":null", "\"lineage\":\"0000000000000000\"")),
        (3, "[".repeat(10_000)),
        (3, " ".repeat(2 << 20)),
        // No epoch can come after the last one.
        (99_999_999, text("99999999", PAST, "1")),
    ];
    for (epoch, text) in broken {
        let name = key(&format!("leases/pi/app/{epoch:08}.json"));
        world.memory.put(&name, text.as_bytes()).unwrap();
        let claim = Claim { take_over: true, ..claim("a") };
        let error = world.repository.take_lease(database, &claim, later(100)).unwrap_err();
        assert_eq!(error.key(), Some(&name), "{error:?}");
        world.memory.remove(&name).unwrap();
    }
    // Never to be outwaited, but the user may say that it is gone.
    for (taken_at, ttl) in
        [(FUTURE, "1"), (FUTURE, "18446744073709551615"), (PAST, "18446744073709551615")]
    {
        let name = key("leases/pi/app/00000007.json");
        world.memory.put(&name, text("7", taken_at, ttl).as_bytes()).unwrap();
        let outcome = take(&world, &claim("a"), &app, later(100 * 365 * 86_400));
        assert!(matches!(outcome, LeaseOutcome::Refused { .. }), "{outcome:?}");
        let gone = Claim { take_over: true, ..claim("a") };
        assert_eq!(taken(take(&world, &gone, &app, later(100))).0.epoch, 8);
        world.memory.remove(&name).unwrap();
        world.memory.remove(&key("leases/pi/app/00000008.json")).unwrap();
    }
    // In a hurry all the same.
    world.memory.put(&key("leases/pi/app/00000007.json"), text("7", PAST, "0").as_bytes()).unwrap();
    assert_eq!(taken(take(&world, &claim("a"), &app, later(100))).0.epoch, 8);
}

#[test]
fn in_a_repository_that_is_not_sealed_too() {
    let memory = MemoryStorage::new();
    let repository = Repository::init_litestream(Arc::new(memory)).unwrap();
    let mut app = Database::new("pi", "app", 3);
    backup(&repository, &mut [&mut app]).unwrap();
    let database = app.lineage.database();
    refused(repository.take_lease(database, &claim("b"), later(10)).unwrap());
    let (_, closed) = taken(repository.take_lease(database, &claim("b"), later(100)).unwrap());
    assert_eq!(closed, [Fence { lineage: app.lineage.id(), after: Some(txid(1)) }]);
    app.change(1, 7);
    app.capture(&repository).unwrap();
    assert_eq!(ends(&repository, &app), [1]);
}
