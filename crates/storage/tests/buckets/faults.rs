//! S3 when something goes wrong, at every request in turn.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_storage::{Cause, Error, Failure, Key, Patience, RemoteOptions, S3Options, Storage};

use crate::proxy::{Fault, Head, Proxy};
use crate::s3::{open, options, quickly};
use crate::server::{SECRET, serve};
use crate::store::{Store, Traits};

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// Small objects and one of three parts.
fn objects() -> Vec<(Key, Vec<u8>)> {
    let large = (0..40_000_u32).flat_map(u32::to_le_bytes).collect();
    vec![
        (key("data/small"), b"small".to_vec()),
        (key("data/empty"), Vec::new()),
        (key("data/large"), large),
        (key("backups/manifest"), vec![1; 60_000]),
    ]
}

/// A storage behind a proxy, with parts of 64 KiB sent one after another: so that requests have an order.
fn storage(proxy: &Proxy, patience: Patience) -> Arc<dyn Storage> {
    open(&S3Options {
        part_bytes: 1 << 16,
        parts_at_once: const { std::num::NonZeroUsize::new(1).unwrap() },
        remote: RemoteOptions { patience, ..RemoteOptions::default() },
        ..options(proxy.address)
    })
}

/// What a backup does: puts, lists, reads back, puts and removes; the first error ends it.
fn backup(storage: &dyn Storage) -> Result<(), Error> {
    for (key, bytes) in objects() {
        match storage.put(&key, &bytes) {
            // From an attempt before this one.
            Err(Error::Exists { .. }) if storage.stat(&key)?.is_some() => {}
            other => other?,
        }
    }
    let gone = key("data/gone");
    let listed = storage.list(None)?;
    assert_eq!(listed.iter().filter(|entry| entry.key != gone).count(), objects().len());
    assert_eq!(storage.list_names(None)?.len(), 2);
    for (key, bytes) in objects() {
        let mut found = Vec::new();
        let mut reader = storage.read(&key, None)?;
        reader.read_to_end(&mut found).map_err(|error| Error::from_stream("read", error))?;
        assert!(found == bytes, "{key}");
    }
    storage.put(&gone, b"x").or_else(|error| match error {
        Error::Exists { .. } => Ok(()),
        other => Err(other),
    })?;
    storage.remove(&gone)?;
    assert_eq!(storage.stat(&gone)?, None);
    Ok(())
}

/// That of all names in the store each holds exactly what it should.
fn assert_whole(store: &Store) {
    for name in store.names() {
        let name = name.strip_prefix("some/prefix/").unwrap().to_owned();
        let expected = objects().into_iter().find(|(key, _)| key.as_str() == name);
        let expected = expected.map_or(b"x".to_vec(), |(_, bytes)| bytes);
        let found = store.object(&format!("some/prefix/{name}")).unwrap();
        assert!(*found.bytes == expected, "{name} is not whole");
    }
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Answer(500, "", "<Error><Code>InternalError</Code></Error>"),
        Fault::Answer(503, "retry-after: 0\r\n", "<Error><Code>SlowDown</Code></Error>"),
        Fault::Answer(502, "", "<html><title>bad gateway</title></html>"),
        Fault::LoseAnswer,
        Fault::CutRequest(10),
        Fault::CutAnswer(0),
        Fault::CutAnswer(3),
    ]
}

/// How many requests a backup makes.
fn requests() -> usize {
    let proxy = Proxy::start(serve(&Store::default(), true, None));
    backup(&*storage(&proxy, Patience::NONE)).unwrap();
    proxy.take_seen().len()
}

#[test]
fn a_fault_at_any_request_is_overcome() {
    let requests = requests();
    assert!(requests > 15, "{requests}");
    for (kind, fault) in faults().into_iter().enumerate() {
        let store = Store::default();
        let server = serve(&store, true, None);
        for n in 0..requests {
            let proxy = Proxy::start(server);
            let fault = fault.clone();
            proxy.decide(move |head| (head.at == n).then(|| fault.clone()));
            let storage = storage(&proxy, quickly());
            backup(&*storage).unwrap_or_else(|error| panic!("{kind} at {n}: {error:?}"));
            assert_whole(&store);
            assert_eq!(store.names().len(), objects().len());
            for (key, _) in objects() {
                storage.remove(&key).unwrap();
            }
        }
    }
}

/// The errors that come of it are told; what is visible is whole; another attempt comes through.
#[test]
fn without_patience_nothing_is_lost_and_nothing_half_visible() {
    let requests = requests();
    for (kind, fault) in faults().into_iter().enumerate() {
        let store = Store::default();
        let server = serve(&store, true, None);
        for n in (0..requests).step_by(3) {
            let proxy = Proxy::start(server);
            let once = fault.clone();
            proxy.decide(move |head| (head.at == n).then(|| once.clone()));
            let storage = storage(&proxy, Patience::NONE);
            if let Err(error) = backup(&*storage) {
                let failure = Failure::of(&error).unwrap_or_else(|| panic!("{error:?}"));
                assert!(failure.cause.may_pass(), "{kind} at {n}: {error:?}");
            }
            assert_whole(&store);
            backup(&*storage).unwrap_or_else(|error| panic!("{kind} at {n}: {error:?}"));
            assert_whole(&store);
            for (key, _) in objects() {
                storage.remove(&key).unwrap();
            }
        }
    }
}

/// A key of which nobody answered that it is ours is not taken; one that another took is.
#[test]
fn a_lost_answer_is_settled_by_comparison() {
    let store = Store::default();
    let proxy = Proxy::start(serve(&store, true, None));
    let storage = storage(&proxy, quickly());
    for (name, bytes) in [("small", vec![1; 10]), ("large", vec![2; 1 << 18])] {
        let creates =
            |head: &Head| head.header("if-none-match").is_some().then_some(Fault::LoseAnswer);
        proxy.take_seen();
        let lost = AtomicBool::new(false);
        proxy.decide(move |head| creates(head).filter(|_| !lost.swap(true, Ordering::Relaxed)));
        storage.put(&key(name), &bytes).unwrap();
        let parts = proxy.take_seen().iter().filter(|it| it.path.contains("partNumber=1&")).count();
        assert!(parts <= 1, "the object was sent again");
        // Another's object, of the same size.
        let store = store.clone();
        let other = format!("some/prefix/other-{name}");
        let planted = vec![9; bytes.len()];
        proxy.decide(move |head| {
            let fault = creates(head).filter(|_| store.object(&other).is_none());
            if fault.is_some() {
                store.plant(&other, &planted);
            }
            fault
        });
        let taken = storage.put(&key(&format!("other-{name}")), &bytes);
        assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
        proxy.decide(|_| None);
        assert!(matches!(storage.put(&key(name), &bytes), Err(Error::Exists { .. })));
    }
    assert_eq!(store.unfinished(), 0);
}

#[test]
fn a_reader_goes_on_where_it_was_cut() {
    let store = Store::default();
    let proxy = Proxy::start(serve(&store, true, None));
    let storage = storage(&proxy, quickly());
    let bytes: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    storage.put_content(&key("object"), &bytes.as_slice(), None).unwrap();
    // Each answer breaks off after a third of a megabyte.
    proxy.decide(|head| (head.method == "GET").then_some(Fault::CutAnswer(333_333)));
    let mut found = Vec::new();
    storage.read(&key("object"), Some(100..1_999_900)).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == bytes[100..1_999_900]);
}

#[test]
fn a_reader_does_not_go_on_with_another_object() {
    let store = Store::default();
    let proxy = Proxy::start(serve(&store, true, None));
    let storage = storage(&proxy, quickly());
    storage.put(&key("object"), &[1; 1_000_000]).unwrap();
    proxy.decide(|head| (head.method == "GET").then_some(Fault::CutAnswer(500_000)));
    let mut reader = storage.read(&key("object"), None).unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    store.plant("some/prefix/object", &[2; 1_000_000]);
    let mut found = Vec::new();
    let error = Error::from_stream("read", reader.read_to_end(&mut found).unwrap_err());
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Protocol, "{error:?}");
    assert!(found.iter().all(|byte| *byte == 1));
}

/// One of them over a slow line.
#[test]
fn of_two_writers_one_wins() {
    for size in [10, 1 << 18] {
        let store = Store::default();
        let server = serve(&store, true, None);
        let slow = Proxy::start(server);
        slow.decide(|_| Some(Fault::Delay(std::time::Duration::from_millis(3))));
        let (one, other) = (vec![1; size], vec![2; size]);
        let (slow, quick) =
            (storage(&slow, Patience::NONE), storage(&Proxy::start(server), Patience::NONE));
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| slow.put(&key("a"), &one));
            (quick.put(&key("a"), &other), first.join().unwrap())
        });
        let (won, lost, bytes) = match (first, second) {
            (Ok(()), lost) => (Ok(()), lost, &other),
            (lost, won) => (won, lost, &one),
        };
        assert!(won.is_ok() && matches!(lost, Err(Error::Exists { .. })), "{won:?} {lost:?}");
        assert!(*store.object("some/prefix/a").unwrap().bytes == *bytes);
        assert_eq!(store.unfinished(), 0);
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept() {
    let proxy = Proxy::start(serve(&Store::default(), true, None));
    proxy.decide(|_| Some(Fault::Answer(429, "retry-after: 3600\r\n", "")));
    let error = storage(&proxy, quickly()).put(&key("a"), b"x").unwrap_err();
    let failure = Failure::of(&error).unwrap();
    assert_eq!(failure.cause, Cause::Throttled);
    assert_eq!(failure.retry_after.unwrap().as_secs(), 3600);
    assert_eq!(proxy.take_seen().len(), 1);
}

#[test]
fn a_server_that_is_silent_is_given_up() {
    let proxy = Proxy::start(serve(&Store::default(), true, None));
    proxy.decide(|_| Some(Fault::Hang));
    let mut options = options(proxy.address);
    options.http.idle_timeout = std::time::Duration::from_millis(50);
    let error = open(&options).put(&key("a"), b"x").unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::TimedOut, "{error:?}");
}

/// Every operation, each on its own.
fn errors(storage: &dyn Storage) -> Vec<Error> {
    let key = key("a");
    vec![
        storage.put(&key, b"x").unwrap_err(),
        storage.put(&key, &vec![1; 6 << 20]).unwrap_err(),
        storage.list(None).unwrap_err(),
        storage.read(&key, None).err().unwrap(),
        storage.stat(&key).unwrap_err(),
        storage.remove(&key).unwrap_err(),
    ]
}

#[test]
fn what_is_wrong_has_its_cause_and_no_secret() {
    let store = Store::default();
    let server = serve(&store, true, None);
    let wrong = |id: &str, secret: &str| S3Options {
        credentials: Some(lifeboat_storage::Credentials::new(id.into(), secret.into(), None)),
        ..options(server)
    };
    for (options, cause) in [
        (wrong(crate::server::KEY_ID, "not-the-secret-key"), Cause::Unauthenticated),
        (wrong("AKIAUNKNOWN", SECRET), Cause::Unauthenticated),
        (options(serve(&store, true, Some(0))), Cause::ClockSkew),
    ] {
        // A server that refuses what it has not read yet may close the connection before it is heard.
        let mut options = options;
        options.remote.patience = quickly();
        let storage = open(&options);
        for error in errors(&*storage) {
            assert_eq!(Failure::of(&error).unwrap().cause, cause, "{error:?}");
            let shown = format!("{error:?} {error} {storage:?} {options:?}");
            assert!(!shown.contains(SECRET) && !shown.contains("not-the-secret-key"), "{shown}");
        }
    }
}

#[test]
fn answers_have_their_cause() {
    let proxy = Proxy::start(serve(&Store::default(), true, None));
    let storage = storage(&proxy, Patience::NONE);
    for (status, code, cause) in [
        (404, "NoSuchBucket", Cause::NoContainer),
        (403, "AccessDenied", Cause::Denied),
        (403, "RequestTimeTooSkewed", Cause::ClockSkew),
        (400, "ExpiredToken", Cause::Unauthenticated),
        (400, "RequestTimeout", Cause::TimedOut),
        (503, "SlowDown", Cause::Throttled),
        (503, "ServiceUnavailable", Cause::Unavailable),
        (409, "ConditionalRequestConflict", Cause::Unavailable),
        (507, "XMinioStorageFull", Cause::Full),
        (403, "QuotaExceeded", Cause::Full),
        (301, "PermanentRedirect", Cause::Invalid),
        (400, "AuthorizationHeaderMalformed", Cause::Invalid),
        (400, "BadDigest", Cause::Interrupted),
    ] {
        let body = format!(
            "<Error><Code>{code}</Code><Message>Told so.</Message><Region>eu-1</Region></Error>"
        );
        let body: &'static str = body.leak();
        proxy.decide(move |_| Some(Fault::Answer(status, "", body)));
        let error = storage.put(&key("a"), b"x").unwrap_err();
        let failure = Failure::of(&error).unwrap();
        assert_eq!(failure.cause, cause, "{code}");
        assert!(failure.message.contains(&format!("{code}: Told so.")), "{}", failure.message);
        assert_eq!(failure.message.contains("region eu-1"), cause == Cause::Invalid);
    }
}

#[test]
fn a_locked_object_is_protected() {
    let proxy = Proxy::start(serve(&Store::default(), true, None));
    let storage = storage(&proxy, Patience::NONE);
    storage.put(&key("a"), b"x").unwrap();
    let body =
        "<Error><Code>AccessDenied</Code><Message>object is WORM protected</Message></Error>";
    proxy.decide(move |head| (head.method == "DELETE").then_some(Fault::Answer(403, "", body)));
    let error = storage.remove(&key("a")).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Protected);
    // One that is still there although it was said to be removed.
    proxy.decide(move |head| (head.method == "DELETE").then_some(Fault::Answer(204, "", "")));
    let error = storage.remove(&key("a")).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Unavailable);
}

/// What is found out by the first object that is put.
#[test]
fn a_store_that_knows_no_conditions_is_looked_at() {
    use lifeboat_storage::CreateNew;
    for size in [10, 1 << 18] {
        let store = Store::new(Traits { no_conditions: true, ..Traits::default() });
        let proxy = Proxy::start(serve(&store, true, None));
        let storage = storage(&proxy, Patience::NONE);
        assert_eq!(storage.create_new(), CreateNew::Refused);
        storage.put(&key("a"), &vec![1; size]).unwrap();
        assert_eq!(storage.create_new(), CreateNew::Checked);
        assert!(matches!(storage.put(&key("a"), b"x"), Err(Error::Exists { .. })));
        assert_eq!(store.unfinished(), 0);
    }
}
