//! S3 as it is when nothing goes wrong.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_storage::conformance::{self, Promises};
use lifeboat_storage::{
    BucketAddress, Cause, CreateNew, Credentials, Environment, Failure, HttpOptions, LockMode,
    ObjectLock, Patience, RemoteOptions, S3Options, Storage, s3,
};

use crate::proxy::{Fault, Proxy};
use crate::server::{KEY_ID, SECRET, serve};
use crate::store::{BUCKET, Store, Traits};

pub(crate) fn nothing() -> Environment {
    Environment::new(|name| (name == "AWS_EC2_METADATA_DISABLED").then(|| "true".to_owned()))
}

/// Options for a server of ours, with small parts.
pub(crate) fn options(server: SocketAddr) -> S3Options {
    S3Options {
        endpoint: Some(format!("http://{server}")),
        region: Some("eu-test-1".to_owned()),
        credentials: Some(Credentials::new(KEY_ID.to_owned(), SECRET.to_owned(), None)),
        part_bytes: 5 << 20,
        parts_at_once: NonZeroUsize::new(3).unwrap(),
        http: HttpOptions { proxy_from_environment: false, ..HttpOptions::default() },
        remote: RemoteOptions { patience: Patience::NONE, ..RemoteOptions::default() },
        ..S3Options::default()
    }
}

pub(crate) fn address(prefix: &str) -> BucketAddress {
    BucketAddress { bucket: BUCKET.to_owned(), prefix: prefix.to_owned() }
}

pub(crate) fn open(options: &S3Options) -> Arc<dyn Storage> {
    s3(&address("some/prefix"), &nothing(), options).unwrap()
}

/// Tries again, with pauses too short to notice.
pub(crate) fn quickly() -> Patience {
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(5));
    Patience { first, longest, total: Duration::from_secs(60) }
}

#[test]
fn s3_keeps_what_a_storage_promises() {
    conformance::run(&|| open(&options(serve(&Store::default(), true, None))));
}

#[test]
fn a_store_without_conditions_is_looked_at_first() {
    let make = || {
        let store = Store::new(Traits { no_conditions: true, ..Traits::default() });
        let options = S3Options {
            create_new: Some(CreateNew::Checked),
            ..options(serve(&store, true, None))
        };
        open(&options)
    };
    let promises = Promises { create_new: CreateNew::Checked, ..Promises::default() };
    conformance::run_promising(promises, &make);
}

#[test]
fn what_is_stored_beside_an_object_is_what_was_asked_for() {
    let store = Store::new(Traits { wants_checksums: true, ..Traits::default() });
    let storage = open(&S3Options {
        storage_class: Some("STANDARD_IA".to_owned()),
        object_lock: Some(ObjectLock { mode: LockMode::Compliance, days: 30 }),
        ..options(serve(&store, true, None))
    });
    let given = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_229_340_123);
    for (name, size) in [("small", 10), ("large", 11 << 20)] {
        let bytes = vec![7; size];
        storage.put_content(&name.parse().unwrap(), &&bytes[..], Some(given)).unwrap();
        let object = store.object(&format!("some/prefix/{name}")).unwrap();
        assert!(*object.bytes == bytes);
        assert_eq!(object.storage_class.as_deref(), Some("STANDARD_IA"));
        // Litestream's name for it, and its form.
        assert_eq!(object.metadata["litestream-timestamp"], "2026-11-21T02:49:00.123Z");
        let until: jiff::Timestamp = object.retained_until.unwrap().parse().unwrap();
        let days = until.duration_since(jiff::Timestamp::now()).as_hours() / 24;
        assert!((29..=30).contains(&days), "{until}");
        let error = storage.remove(&name.parse().unwrap()).unwrap_err();
        assert_eq!(Failure::of(&error).unwrap().cause, Cause::Protected, "{error:?}");
    }
}

/// Of others, and names that are no keys.
#[test]
fn only_what_is_ours_is_seen() {
    let store = Store::default();
    for name in ["some/prefix-other/a", "some/prefixa", "some/prefix/no key", "some/prefix//a", "a"]
    {
        store.plant(name, b"x");
    }
    let storage = open(&options(serve(&store, true, None)));
    storage.put(&"a".parse().unwrap(), b"ours").unwrap();
    let names: Vec<String> =
        storage.list(None).unwrap().iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(names, ["a"]);
    assert_eq!(storage.list_names(None).unwrap().len(), 1);
}

#[test]
fn a_prefix_may_be_anything() {
    let store = Store::default();
    let options = options(serve(&store, true, None));
    for prefix in ["ä b+c/%41~(x)'", "/slashes/", "", "a=b&c?d#e"] {
        let storage = s3(&address(prefix), &nothing(), &options).unwrap();
        storage.put(&"d/%2e.ltx".parse().unwrap(), b"x").unwrap();
        let listed = storage.list(Some(&"d".parse().unwrap())).unwrap();
        assert_eq!(listed.len(), 1, "{prefix}");
        assert_eq!(listed[0].key.as_str(), "d/%2e.ltx");
        assert!(storage.remove(&listed[0].key).unwrap(), "{prefix}");
    }
}

#[test]
fn uploads_that_were_cut_off_are_swept() {
    let store = Store::default();
    let server = serve(&store, true, None);
    let proxy = Proxy::start(server);
    let storage = open(&options(proxy.address));
    let large = vec![1; 11 << 20];
    // The last request of each is never answered, and the abort after it neither.
    proxy.decide(|head| {
        let is_end = head.method == "POST" && head.path.contains("uploadId=");
        (is_end || head.method == "DELETE").then_some(Fault::Answer(500, "", ""))
    });
    for name in ["a", "b", "c"] {
        storage.put(&name.parse().unwrap(), &large).unwrap_err();
    }
    let other = s3(&address("some/prefix-other"), &nothing(), &options(proxy.address)).unwrap();
    other.put(&"a".parse().unwrap(), &large).unwrap_err();
    proxy.decide(|_| None);
    assert_eq!(store.unfinished(), 4);
    let hour = Duration::from_secs(3600);
    assert_eq!(storage.sweep(hour).unwrap(), 0);
    store.age_uploads(SystemTime::now() - 2 * hour);
    assert_eq!(storage.sweep(hour).unwrap(), 3);
    assert_eq!((store.unfinished(), store.names().len()), (1, 0));
}

/// One request for each file that has its time from its writer, and only once.
#[test]
fn times_of_litestreams_files_are_asked_for_once() {
    let store = Store::default();
    let proxy = Proxy::start(serve(&store, true, None));
    let storage = open(&options(proxy.address));
    for name in ["x/a.ltx", "x/b.ltx", "x/c.json.zst"] {
        storage
            .put_content(&name.parse().unwrap(), &&b"x"[..], Some(SystemTime::UNIX_EPOCH))
            .unwrap();
    }
    let listed = || {
        proxy.take_seen();
        let listed = storage.list(None).unwrap();
        let old = listed.iter().filter(|entry| entry.modified == SystemTime::UNIX_EPOCH).count();
        (old, proxy.take_seen().len())
    };
    assert_eq!(listed(), (2, 3));
    assert_eq!(listed(), (2, 1));
}
