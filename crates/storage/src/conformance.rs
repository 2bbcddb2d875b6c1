//! What every storage must do, one function for each promise of [`Storage`] and [`Upload`]. They
//! panic where it is broken.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::{Child, CreateNew, Entry, Error, Key, Storage};

/// What a storage promises where storages differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// How a taken key is refused.
    pub create_new: CreateNew,
    /// How exactly a given time is kept.
    pub times: Times,
}

/// How exactly a storage keeps the time that an object was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// To the millisecond.
    Milliseconds,
    /// To the second.
    Seconds,
    /// Not at all: an object has the time at which it was published.
    NotKept,
}

impl Default for Promises {
    /// Taken keys are refused, times are kept to the millisecond.
    fn default() -> Self {
        Self { create_new: CreateNew::Refused, times: Times::Milliseconds }
    }
}

/// Runs all properties, each on a storage of its own from `make`, which must be empty.
pub fn run(make: &dyn Fn() -> Arc<dyn Storage>) {
    run_promising(Promises::default(), make);
}

/// Runs all properties of a storage that promises this.
pub fn run_promising(promises: Promises, make: &dyn Fn() -> Arc<dyn Storage>) {
    assert_eq!(make().create_new(), promises.create_new);
    a_given_time_is_kept(&make(), promises.times);
    if promises.create_new == CreateNew::Refused {
        of_concurrent_creators_one_wins(&make());
    }
    let properties: [fn(&Arc<dyn Storage>); 16] = [
        an_object_reads_as_written,
        a_taken_key_is_refused,
        nothing_is_visible_before_publish,
        a_dropped_upload_leaves_nothing,
        ranges_are_cut_to_the_object,
        an_empty_object_is_an_object,
        a_large_object_reads_as_written,
        a_missing_object_is_told_apart,
        a_listing_is_recursive_and_sorted,
        names_are_the_direct_children,
        a_long_listing_is_complete,
        a_removed_object_is_gone,
        odd_names_are_kept_apart,
        concurrent_writers_of_different_keys_all_win,
        a_content_is_created_whole,
        an_open_reader_survives_a_removal,
    ];
    for property in properties {
        property(&make());
    }
}

fn key(text: &str) -> Key {
    text.parse().expect("a valid key")
}

fn put(storage: &Arc<dyn Storage>, name: &str, bytes: &[u8]) {
    storage.put(&key(name), bytes).expect("put of a new object");
}

fn read(storage: &Arc<dyn Storage>, name: &str, range: Option<Range<u64>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = storage.read(&key(name), range).expect("read of an object that exists");
    reader.read_to_end(&mut bytes).expect("read to the end");
    bytes
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn list(storage: &Arc<dyn Storage>, directory: Option<&str>) -> Vec<Entry> {
    storage.list(directory.map(key).as_ref()).expect("list")
}

/// Content, size and time.
pub fn an_object_reads_as_written(storage: &Arc<dyn Storage>) {
    put(storage, "a/b/object", b"some bytes");
    assert_eq!(read(storage, "a/b/object", None), b"some bytes");
    let entry = storage.stat(&key("a/b/object")).expect("stat").expect("an object");
    assert_eq!((entry.key.as_str(), entry.size), ("a/b/object", 10));
    let minute = Duration::from_secs(60);
    let now = SystemTime::now();
    assert!((now - minute..now + minute).contains(&entry.modified), "{:?}", entry.modified);
}

/// In listings too, and whatever was written after it was given. The name is one of those whose time is given.
pub fn a_given_time_is_kept(storage: &Arc<dyn Storage>, times: Times) {
    let given = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_229_340_123);
    let before = SystemTime::now();
    let mut upload = storage.begin().expect("begin");
    upload.set_modified(given);
    upload.write_all(&[7; 300_000]).expect("write");
    upload.publish(&key("a/dated.ltx")).expect("publish");
    storage.put_content(&key("a/put.ltx"), &&b"content"[..], Some(given)).expect("put");
    let stat = |name| storage.stat(&key(name)).expect("stat").expect("an object");
    let listed = list(storage, Some("a"));
    assert_eq!(names(&listed), ["a/dated.ltx", "a/put.ltx"]);
    for entry in listed.into_iter().chain([stat("a/dated.ltx"), stat("a/put.ltx")]) {
        let found = entry.modified;
        let is_kept = match times {
            Times::Milliseconds => found == given,
            Times::Seconds => found == given - Duration::from_millis(123),
            Times::NotKept => found + Duration::from_secs(60) > before,
        };
        assert!(is_kept, "{}: {found:?}", entry.key);
    }
}

/// Create-new: the first object stays as it is, and nothing of the second is left.
pub fn a_taken_key_is_refused(storage: &Arc<dyn Storage>) {
    put(storage, "a/object", b"first");
    match storage.put(&key("a/object"), b"the second") {
        Err(Error::Exists { key, location }) => {
            assert_eq!((key.as_str(), location), ("a/object", storage.location()));
        }
        other => panic!("expected Exists, found {other:?}"),
    }
    assert_eq!(read(storage, "a/object", None), b"first");
    assert_eq!(names(&list(storage, None)), ["a/object"]);
}

/// G3 begins here.
pub fn nothing_is_visible_before_publish(storage: &Arc<dyn Storage>) {
    let mut upload = storage.begin().expect("begin");
    for _ in 0..100 {
        upload.write_all(&[7; 1000]).expect("write");
    }
    upload.flush().expect("flush");
    assert_eq!(list(storage, None), []);
    assert_eq!(storage.list_names(None).expect("list"), []);
    assert_eq!(storage.stat(&key("late")).expect("stat"), None);
    upload.publish(&key("late")).expect("publish");
    assert_eq!(read(storage, "late", None), [7; 100_000]);
}

/// Neither the object nor its directories.
pub fn a_dropped_upload_leaves_nothing(storage: &Arc<dyn Storage>) {
    let mut upload = storage.begin().expect("begin");
    upload.write_all(b"forgotten").expect("write");
    drop(upload);
    assert_eq!(list(storage, None), []);
    assert_eq!(storage.list_names(None).expect("list"), []);
}

/// Also ranges partly and wholly beyond the end, and empty ones.
pub fn ranges_are_cut_to_the_object(storage: &Arc<dyn Storage>) {
    put(storage, "digits", b"0123456789");
    let cases: [(Range<u64>, &[u8]); 9] = [
        (0..10, b"0123456789"),
        (0..1, b"0"),
        (3..7, b"3456"),
        (9..10, b"9"),
        (8..100, b"89"),
        (10..20, b""),
        (1_000..2_000, b""),
        (5..5, b""),
        (u64::MAX - 1..u64::MAX, b""),
    ];
    for (range, expected) in cases {
        assert_eq!(read(storage, "digits", Some(range.clone())), expected, "{range:?}");
    }
}

/// Pins are empty objects.
pub fn an_empty_object_is_an_object(storage: &Arc<dyn Storage>) {
    put(storage, "pins/empty", b"");
    assert_eq!(read(storage, "pins/empty", None), b"");
    assert_eq!(read(storage, "pins/empty", Some(0..10)), b"");
    assert_eq!(list(storage, Some("pins"))[0].size, 0);
    assert!(matches!(storage.put(&key("pins/empty"), b""), Err(Error::Exists { .. })));
}

/// 20 MiB, in writes of uneven size.
pub fn a_large_object_reads_as_written(storage: &Arc<dyn Storage>) {
    let bytes: Vec<u8> = (0..20_u32 << 18).flat_map(u32::to_le_bytes).collect();
    let mut upload = storage.begin().expect("begin");
    for piece in bytes.chunks(777_777) {
        upload.write_all(piece).expect("write");
    }
    upload.publish(&key("large")).expect("publish");
    assert!(read(storage, "large", None) == bytes, "the bytes differ");
    let (start, end) = (10_000_001, 10_000_011);
    let found = read(storage, "large", Some(start as u64..end as u64));
    assert_eq!(found, bytes[start..end]);
    let entry = storage.stat(&key("large")).expect("stat").expect("an object");
    assert_eq!(entry.size, bytes.len() as u64);
}

/// No object, a directory in its place, an object in the place of its directory.
pub fn a_missing_object_is_told_apart(storage: &Arc<dyn Storage>) {
    put(storage, "directory/object", b"x");
    for name in ["missing", "directory", "directory/missing", "directory/object/below", "a/b/c"] {
        assert_eq!(storage.stat(&key(name)).expect("stat"), None, "{name}");
        assert!(!storage.remove(&key(name)).expect("remove"), "{name}");
        match storage.read(&key(name), None) {
            Err(Error::NotFound { key, .. }) => assert_eq!(key.as_str(), name),
            Err(other) => panic!("expected NotFound of {name}, found {other:?}"),
            Ok(_) => panic!("expected NotFound of {name}, found a reader"),
        }
    }
    assert_eq!(list(storage, Some("missing")), []);
    assert_eq!(list(storage, Some("directory/object")), []);
    assert_eq!(storage.list_names(Some(&key("missing"))).expect("list"), []);
}

/// In the order of the whole keys, where `-` and `.` come before `/`.
pub fn a_listing_is_recursive_and_sorted(storage: &Arc<dyn Storage>) {
    for name in ["b/2", "a/z/deep/3", "a-b/1", "a/a", "top", "a.b", "a/z/1", "ab"] {
        put(storage, name, name.as_bytes());
    }
    let all = ["a-b/1", "a.b", "a/a", "a/z/1", "a/z/deep/3", "ab", "b/2", "top"];
    let entries = list(storage, None);
    assert_eq!(names(&entries), all);
    assert!(entries.iter().all(|entry| entry.size == entry.key.as_str().len() as u64));
    assert_eq!(names(&list(storage, Some("a"))), ["a/a", "a/z/1", "a/z/deep/3"]);
    assert_eq!(names(&list(storage, Some("a/z"))), ["a/z/1", "a/z/deep/3"]);
}

/// Directories once each, objects, nothing deeper.
pub fn names_are_the_direct_children(storage: &Arc<dyn Storage>) {
    for name in ["a/x/1", "a/x/2", "a/y", "a/x.1", "b"] {
        put(storage, name, b"");
    }
    let directory = |name| Child::Directory(key(name));
    let object = |name| Child::Object(key(name));
    let top = storage.list_names(None).expect("list");
    assert_eq!(top, [directory("a"), object("b")]);
    let below = storage.list_names(Some(&key("a"))).expect("list");
    assert_eq!(below, [directory("a/x"), object("a/x.1"), object("a/y")]);
}

/// More than the page of 1,000 that stores over HTTP answer with.
pub fn a_long_listing_is_complete(storage: &Arc<dyn Storage>) {
    let expected: Vec<String> = (0..1500).map(|n| format!("many/{n:04}")).collect();
    for name in &expected {
        put(storage, name, b"");
    }
    assert_eq!(names(&list(storage, Some("many"))), expected);
    assert_eq!(storage.list_names(Some(&key("many"))).expect("list").len(), 1500);
}

/// When it says so: at once, for all ways to look; and its key is free again.
pub fn a_removed_object_is_gone(storage: &Arc<dyn Storage>) {
    put(storage, "a/object", b"first");
    put(storage, "a/other", b"stays");
    assert!(storage.remove(&key("a/object")).expect("remove"));
    assert_eq!(storage.stat(&key("a/object")).expect("stat"), None);
    assert!(matches!(storage.read(&key("a/object"), None), Err(Error::NotFound { .. })));
    assert!(!storage.remove(&key("a/object")).expect("remove again"));
    assert_eq!(names(&list(storage, None)), ["a/other"]);
    put(storage, "a/object", b"second");
    assert_eq!(read(storage, "a/object", None), b"second");
}

/// Names that shells, URLs or file systems treat in their own way.
pub fn odd_names_are_kept_apart(storage: &Arc<dyn Storage>) {
    let long = "x".repeat(255);
    let names = ["%2e%2e", "%25", "-rf", ".hidden", "..a", "a..", "...", "%", "_", "a%2Fb", &long];
    for name in names {
        put(storage, &format!("odd/{name}"), name.as_bytes());
    }
    for name in names {
        assert_eq!(read(storage, &format!("odd/{name}"), None), name.as_bytes(), "{name}");
    }
    assert_eq!(list(storage, Some("odd")).len(), names.len());
    put(storage, "deep/tmp/object", b"tmp is only special at the top");
    assert_eq!(list(storage, Some("deep/tmp")).len(), 1);
    let deepest = vec!["d"; 100].join("/");
    put(storage, &deepest, b"deep");
    assert_eq!(read(storage, &deepest, None), b"deep");
}

/// Their directories are new, so they race for those.
pub fn concurrent_writers_of_different_keys_all_win(storage: &Arc<dyn Storage>) {
    const WRITERS: usize = 8;
    let barrier = Barrier::new(WRITERS);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                for n in 0..5 {
                    put(storage, &format!("all/{n}/{writer}"), format!("{writer} {n}").as_bytes());
                }
            });
        }
    });
    assert_eq!(list(storage, Some("all")).len(), 5 * WRITERS);
    for (writer, n) in (0..WRITERS).flat_map(|writer| (0..5).map(move |n| (writer, n))) {
        let found = read(storage, &format!("all/{n}/{writer}"), None);
        assert_eq!(found, format!("{writer} {n}").as_bytes());
    }
}

/// 18 MiB, of a content that can be read again; a second one finds the key taken.
pub fn a_content_is_created_whole(storage: &Arc<dyn Storage>) {
    let bytes: Vec<u8> = (0..18_u32 << 18).flat_map(u32::to_be_bytes).collect();
    storage.put_content(&key("content"), &bytes.as_slice(), None).expect("put");
    assert!(read(storage, "content", None) == bytes, "the bytes differ");
    for other in [&bytes[..], &bytes[1..], b""] {
        match storage.put_content(&key("content"), &other, None) {
            Err(Error::Exists { key, .. }) => assert_eq!(key.as_str(), "content"),
            other => panic!("expected Exists, found {other:?}"),
        }
    }
    assert!(read(storage, "content", None) == bytes, "the bytes differ");
}

/// Their directories are new too, so they race for those as well.
pub fn of_concurrent_creators_one_wins(storage: &Arc<dyn Storage>) {
    const CREATORS: usize = 8;
    for round in 0..20 {
        let name = key(&format!("race/{round}/object"));
        let barrier = Barrier::new(CREATORS);
        let wins: Vec<Option<usize>> = thread::scope(|scope| {
            let create = |n: usize| {
                let (storage, name, barrier) = (storage, &name, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    match storage.put(name, &vec![b'0'; 10_000 + n]) {
                        Ok(()) => Some(n),
                        Err(Error::Exists { .. }) => None,
                        Err(other) => panic!("expected Exists, found {other:?}"),
                    }
                })
            };
            let creators: Vec<_> = (0..CREATORS).map(create).collect();
            creators.into_iter().map(|creator| creator.join().expect("no panic")).collect()
        });
        let winners: Vec<usize> = wins.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?} won");
        assert_eq!(read(storage, name.as_str(), None).len(), 10_000 + winners[0]);
    }
}

/// It reads the object or fails; it never reads something else, or less without an error.
pub fn an_open_reader_survives_a_removal(storage: &Arc<dyn Storage>) {
    let bytes = vec![1; 300_000];
    put(storage, "object", &bytes);
    let mut reader = storage.read(&key("object"), None).expect("read");
    let mut found = vec![0; 1];
    reader.read_exact(&mut found).expect("the first byte");
    storage.remove(&key("object")).expect("remove");
    put(storage, "object", b"another");
    if reader.read_to_end(&mut found).is_ok() {
        assert!(found == bytes, "{} other bytes", found.len());
    }
}
