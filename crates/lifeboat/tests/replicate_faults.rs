//! G2: a repository whose storage fails, does what it then denies, and is slow: what a replication
//! captures gets there all the same, each point once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{Machine, assert_clean, content, restored};
use lifeboat::{
    BackupRequest, Event, Events, ReplicateRequest, Request, Silent, Stop, backup, replicate,
};
use lifeboat_storage::testing::{Meddle, Meddling};
use lifeboat_storage::{Child, Entry, Error, Key, Result, Storage, Upload};

/// Of so many operations one fails; of so many publications one comes through and says that it failed.
const FAILING: usize = 29;
const DENIED: usize = 5;

static STORMY: AtomicBool = AtomicBool::new(false);
static OPERATIONS: AtomicUsize = AtomicUsize::new(0);
static PUBLISHED: AtomicUsize = AtomicUsize::new(0);

struct Unreliable(Arc<dyn Storage>);

fn failure(operation: &'static str) -> Error {
    let source = io::Error::other("injected fault");
    let (object, location) = ("an object".to_owned(), "an unreliable storage".to_owned());
    Error::Storage { operation, object, location, source }
}

fn pass(operation: &'static str) -> Result<()> {
    std::thread::sleep(Duration::from_millis(1));
    let number = OPERATIONS.fetch_add(1, Ordering::Relaxed);
    let fails = STORMY.load(Ordering::Relaxed) && number.is_multiple_of(FAILING);
    if fails { Err(failure(operation)) } else { Ok(()) }
}

impl Meddle for Unreliable {
    fn inner(&self) -> &dyn Storage {
        &self.0
    }

    fn begin(&self) -> Result<Box<dyn Upload>> {
        pass("begin")?;
        self.0.begin()
    }

    fn publish(&self, upload: Box<dyn Upload>, key: &Key) -> Result<()> {
        upload.publish(key)?;
        let number = PUBLISHED.fetch_add(1, Ordering::Relaxed);
        let denied = STORMY.load(Ordering::Relaxed) && number.is_multiple_of(DENIED);
        if denied { Err(failure("publish")) } else { Ok(()) }
    }

    fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Box<dyn Read + Send>> {
        pass("read")?;
        self.0.read(key, range)
    }

    fn stat(&self, key: &Key) -> Result<Option<Entry>> {
        pass("stat")?;
        self.0.stat(key)
    }

    fn list(&self, directory: Option<&Key>) -> Result<Vec<Entry>> {
        pass("list")?;
        self.0.list(directory)
    }

    fn list_names(&self, directory: Option<&Key>) -> Result<Vec<Child>> {
        pass("list")?;
        self.0.list_names(directory)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        pass("remove")?;
        self.0.remove(key)
    }
}

#[derive(Default)]
struct Told {
    captured: AtomicUsize,
    failing: AtomicUsize,
}

impl Events for Told {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Captured { .. } => self.captured.fetch_add(1, Ordering::Relaxed),
            Event::Failing { .. } => self.failing.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

#[test]
fn what_is_captured_gets_through() {
    let machine = Machine::new();
    machine.create("wal", 20);
    let sources = Request::of(vec!["app.db".to_owned()]);
    let request = BackupRequest { sources: sources.clone(), ..BackupRequest::default() };
    let context = machine
        .context()
        .with_storage_between(|storage| Arc::new(Meddling::new(Unreliable(storage))));
    backup(&context, &request, &Silent).unwrap();
    let interval = Some(Duration::from_millis(20));
    let replication = ReplicateRequest { sources, interval, take_over: false, once: false };
    let (stop, told) = (Stop::new().unwrap(), Told::default());
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| replicate(&context, &replication, &stop, &told, &Silent));
        STORMY.store(true, Ordering::Relaxed);
        for row in 0..30 {
            machine.change(row);
            std::thread::sleep(Duration::from_millis(100));
        }
        STORMY.store(false, Ordering::Relaxed);
        stop.stop();
        running.join().unwrap().unwrap()
    });
    assert_eq!(report.problems, [""; 0]);
    let (captured, failing) = (told.captured.into_inner(), told.failing.into_inner());
    assert!(captured > 5 && failing > 0, "{captured} captured, {failing} failures");
    let opened = context.open_repository().unwrap();
    assert_clean(&opened, "after the faults");
    let repository = opened.repository();
    let database = repository.databases().unwrap().pop().unwrap();
    let lineages = repository.lineages(&database).unwrap();
    assert_eq!(lineages.len(), 1);
    let files = repository.listing(&lineages[0]).unwrap().files;
    let covered: u64 = files.iter().map(|file| file.name.max.get() - file.name.min.get() + 1).sum();
    let last = files.iter().map(|file| file.name.max.get()).max().unwrap();
    assert_eq!(covered, last, "something is there twice, or is not");
    let last = backup(&context, &request, &Silent).unwrap();
    let id = last.manifest.id.to_string();
    let restored = restored(&opened, &id, &machine.path("restored.db"));
    assert!(restored == content(&machine.database()));
}
