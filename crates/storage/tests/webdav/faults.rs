//! Servers that differ, and connections that break.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lifeboat_storage::{Cause, Error, Failure, Patience, Storage, WebDavOptions};

use super::dav::{Customs, Dav};
use super::server::{Fault, FaultKind, Response};
use super::{open, options};

fn read(storage: &Arc<dyn Storage>, key: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    storage.read(&key.parse().unwrap(), None).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn cause(error: &Error) -> Cause {
    Failure::of(error).unwrap().cause
}

fn kinds() -> Vec<FaultKind> {
    let answer = |status| FaultKind::Answer(Response::new(status, "no"));
    vec![
        FaultKind::Reset,
        FaultKind::HalfRequest,
        FaultKind::LostAnswer,
        FaultKind::HalfAnswer,
        answer(423),
        answer(429),
        answer(500),
        answer(503),
    ]
}

/// Runs an operation on a server of its own for each of its requests and each kind of fault.
fn each(operate: impl Fn(&Arc<dyn Storage>, &Dav)) {
    for kind in kinds() {
        for at in 0.. {
            let dav = Dav::start(Customs::default());
            let before = open(&dav.url(), &options()).unwrap();
            before.put(&"a/first".parse().unwrap(), b"the first").unwrap();
            let storage = open(&dav.url(), &options()).unwrap();
            dav.server.reset(Some(Fault { at, kind: kind.clone() }));
            operate(&storage, &dav);
            if dav.server.requests().len() <= at {
                assert!(at > 0, "nothing was sent");
                break;
            }
        }
    }
}

/// What is in `tmp/` is not visible, and swept.
fn objects(dav: &Dav) -> Vec<String> {
    let is_object = |path: &String| !path.starts_with("/dav/tmp/");
    dav.files().into_iter().filter(is_object).collect()
}

#[test]
fn an_object_is_there_whole() {
    let bytes: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    each(|storage, dav| {
        storage.put(&"b/c/object".parse().unwrap(), &bytes).unwrap();
        assert!(read(storage, "b/c/object") == bytes);
        assert_eq!(objects(dav), ["/dav/a/first", "/dav/b/c/object"]);
    });
}

#[test]
fn a_listing_is_whole() {
    each(|storage, _| {
        let listed = storage.list(None).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].key.as_str(), "a/first");
        assert_eq!(storage.list_names(None).unwrap().len(), 1);
    });
}

#[test]
fn what_is_removed_is_gone() {
    each(|storage, dav| {
        assert!(storage.remove(&"a/first".parse().unwrap()).unwrap());
        assert_eq!(objects(dav), [] as [String; 0]);
    });
}

/// Where its answer is lost and all else fails, nothing of it can be seen.
#[test]
fn what_was_cut_off_is_not_visible() {
    let dav = Dav::start(Customs::default());
    let mut options = options();
    options.remote.patience = Patience::NONE;
    let storage = open(&dav.url(), &options).unwrap();
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    dav.server.reset(Some(Fault { at: 1, kind: FaultKind::HalfRequest }));
    let error = storage.put(&"a/object".parse().unwrap(), &[7; 100_000]).unwrap_err();
    assert_eq!(cause(&error), Cause::Interrupted);
    assert_eq!(storage.list(None).unwrap().len(), 1);
    assert_eq!(dav.files(), ["/dav/a/first"], "what came of it is removed");
}

#[test]
fn a_server_that_ignores_ranges_is_read_anyway() {
    let dav = Dav::start(Customs { ignores_ranges: true, ..Customs::default() });
    let storage = open(&dav.url(), &options()).unwrap();
    let key = "digits".parse().unwrap();
    storage.put(&key, b"0123456789").unwrap();
    for (range, expected) in [(3..7, "3456"), (8..100, "89"), (10..20, ""), (100..101, "")] {
        let mut found = String::new();
        storage.read(&key, Some(range)).unwrap().read_to_string(&mut found).unwrap();
        assert_eq!(found, expected);
    }
}

/// A taken key is looked at first: nothing is sent to a server that would replace it.
#[test]
fn a_server_that_overwrites_is_not_asked_to() {
    let dav = Dav::start(Customs { ignores_overwrite: true, ..Customs::default() });
    let storage = open(&dav.url(), &options()).unwrap();
    let key = "a/object".parse().unwrap();
    storage.put(&key, b"first").unwrap();
    dav.server.reset(None);
    assert!(matches!(storage.put(&key, b"second"), Err(Error::Exists { .. })));
    assert_eq!(dav.server.requests().len(), 1);
    assert_eq!(read(&storage, "a/object"), b"first");
}

/// Taken between the look and the move: a server that knows `Overwrite: F` refuses, and nothing is left.
#[test]
fn a_key_that_was_taken_meanwhile_is_refused() {
    let dav = Dav::start(Customs::default());
    let storage = open(&dav.url(), &options()).unwrap();
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    // The look is answered as if it were not there yet.
    let absent = FaultKind::Answer(Response::new(404, ""));
    dav.server.reset(Some(Fault { at: 0, kind: absent }));
    let taken = storage.put(&"a/first".parse().unwrap(), b"y");
    assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
    assert_eq!(dav.files(), ["/dav/a/first"]);
    assert_eq!(read(&storage, "a/first"), b"x");
}

#[test]
fn a_given_time_is_kept_to_the_second_where_it_is_known() {
    let dav = Dav::start(Customs { keeps_times: true, ..Customs::default() });
    let storage = open(&dav.url(), &options()).unwrap();
    // The test's server shows times of one day.
    let midnight = 1_795_305_600;
    let given = SystemTime::UNIX_EPOCH + Duration::from_millis((midnight + 3723) * 1000 + 456);
    let key = "a/dated".parse().unwrap();
    storage.put_content(&key, &&b"x"[..], Some(given)).unwrap();
    let kept = storage.stat(&key).unwrap().unwrap().modified;
    assert_eq!(kept, given - Duration::from_millis(456));
}

#[test]
fn a_reader_goes_on_after_a_cut_and_notices_another_object() {
    for has_no_tags in [false, true] {
        let dav = Dav::start(Customs { has_no_tags, ..Customs::default() });
        let storage = open(&dav.url(), &options()).unwrap();
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let key = "a/object".parse().unwrap();
        storage.put(&key, &bytes).unwrap();
        dav.server.reset(Some(Fault { at: 0, kind: FaultKind::HalfAnswer }));
        assert!(read(&storage, "a/object") == bytes);
        assert_eq!(dav.server.requests().len(), 2);
        dav.server.reset(Some(Fault { at: 0, kind: FaultKind::HalfAnswer }));
        let mut reader = storage.read(&key, None).unwrap();
        storage.remove(&key).unwrap();
        storage.put(&key, &bytes[..399_999]).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(cause(Error::inside(&error).unwrap()), Cause::Protocol);
    }
}

#[test]
fn a_removal_is_verified() {
    let dav = Dav::start(Customs { keeps_what_is_deleted: true, ..Customs::default() });
    let mut options = options();
    options.remote.patience = Patience::NONE;
    let storage = open(&dav.url(), &options).unwrap();
    let key = "a/object".parse().unwrap();
    storage.put(&key, b"x").unwrap();
    assert_eq!(cause(&storage.remove(&key).unwrap_err()), Cause::Unavailable);
}

/// The server says that it did it, and did not.
#[test]
fn a_removal_that_was_none_is_asked_for_again() {
    let dav = Dav::start(Customs::default());
    let storage = open(&dav.url(), &options()).unwrap();
    let key = "a/object".parse().unwrap();
    storage.put(&key, b"x").unwrap();
    let done = FaultKind::Answer(Response::new(204, ""));
    dav.server.reset(Some(Fault { at: 1, kind: done }));
    assert!(storage.remove(&key).unwrap());
    assert_eq!(dav.files(), [] as [String; 0]);
    assert_eq!(dav.server.requests().len(), 6);
}

/// Both ways to name what is listed are understood; a name that leads elsewhere is not passed over.
#[test]
fn what_a_listing_names_is_understood_or_refused() {
    let put = |customs| {
        let dav = Dav::start(customs);
        let storage = open(&dav.url(), &options()).unwrap();
        storage.put(&"a/%2F/object".parse().unwrap(), b"x").unwrap();
        let listed = storage.list(None);
        drop(dav);
        listed
    };
    let addresses = Customs { answers_with_addresses: true, ..Customs::default() };
    assert_eq!(put(addresses).unwrap()[0].key.as_str(), "a/%2F/object");
    let elsewhere = Customs { answers_with_other_paths: true, ..Customs::default() };
    assert_eq!(cause(&put(elsewhere).unwrap_err()), Cause::Protocol);
}

/// However a server calls what is below a file.
#[test]
fn what_is_missing_is_told_apart() {
    for refuses_below_files in [false, true] {
        let dav = Dav::start(Customs { refuses_below_files, ..Customs::default() });
        let storage = open(&dav.url(), &options()).unwrap();
        lifeboat_storage::conformance::a_missing_object_is_told_apart(&storage);
    }
}

#[test]
fn a_collection_that_is_gone_is_made_again() {
    let dav = Dav::start(Customs::default());
    let storage = open(&dav.url(), &options()).unwrap();
    storage.put(&"a/b/1".parse().unwrap(), b"x").unwrap();
    dav.state().nodes.retain(|path, _| path.is_empty());
    storage.put(&"a/b/2".parse().unwrap(), b"y").unwrap();
    assert_eq!(dav.files(), ["/dav/a/b/2"]);
    assert_eq!(storage.free_bytes().unwrap(), Some(12345));
}

#[test]
fn what_is_no_webdav_server_is_told() {
    let server = super::server::Server::start(|_| Response::new(405, ""));
    let url = server.url().replace("http://", "webdav://anna@");
    let error = open(&url, &options()).unwrap().list(None).unwrap_err();
    assert_eq!(cause(&error), Cause::Invalid);
    let error = open("webdav://anna:password@host/", &options()).map(drop).unwrap_err();
    assert_eq!(cause(&error), Cause::Invalid);
    let shown = format!("{error:?} {error}");
    assert!(!shown.contains("anna:password"), "{shown}");
}

/// What the options say goes before the environment; a token before a password.
#[test]
fn who_asks_is_found() {
    let sent = |environment: &'static [(&str, &str)], options: WebDavOptions| {
        let server = super::server::Server::start(|_| Response::new(404, ""));
        let url = server.url().replace("http://", "webdav://anna@");
        let look_up = move |name: &str| {
            let found = environment.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let environment = lifeboat_storage::Environment::new(look_up);
        let storage = lifeboat_storage::webdav(&url, &environment, &options).unwrap();
        assert_eq!(storage.list(None).unwrap(), []);
        server.requests()[0].header("authorization").unwrap().to_owned()
    };
    let basic = "Basic YW5uYTpvcGVuIHNlc2FtZQ==";
    let none = || WebDavOptions { password: None, ..options() };
    assert_eq!(sent(&[("LIFEBOAT_WEBDAV_PASSWORD", "open sesame")], none()), basic);
    assert_eq!(sent(&[("LIFEBOAT_WEBDAV_TOKEN", "token")], options()), basic);
    assert_eq!(sent(&[("LIFEBOAT_WEBDAV_TOKEN", "token")], none()), "Bearer token");
    let bearer = WebDavOptions { bearer_token: Some("mine".to_owned().into()), ..options() };
    assert_eq!(sent(&[], bearer), "Bearer mine");
}

/// As the module's table has it.
#[test]
fn operations_cost_what_is_said() {
    let dav = Dav::start(Customs::default());
    let storage = open(&dav.url(), &options()).unwrap();
    let key = "a/object".parse().unwrap();
    storage.put(&"a/first".parse().unwrap(), b"x").unwrap();
    let cost = |operation: &dyn Fn()| {
        dav.server.reset(None);
        operation();
        let requests = dav.server.requests();
        requests.into_iter().map(|request| request.method).collect::<Vec<_>>().join(" ")
    };
    let put = |name: &str| storage.put(&name.parse().unwrap(), b"x").unwrap();
    assert_eq!(cost(&|| put("a/object")), "PROPFIND PUT MOVE");
    assert_eq!(cost(&|| drop(storage.read(&key, None).unwrap())), "GET");
    assert_eq!(cost(&|| drop(storage.stat(&key).unwrap())), "PROPFIND");
    assert_eq!(cost(&|| drop(storage.list(None).unwrap())), "PROPFIND PROPFIND");
    assert_eq!(cost(&|| assert!(storage.remove(&key).unwrap())), "PROPFIND DELETE PROPFIND");
    assert_eq!(cost(&|| put("a/b/1")), "PROPFIND MKCOL PUT MOVE");
    assert_eq!(cost(&|| put("a/b/c/d/1")), "PROPFIND MKCOL MKCOL MKCOL PUT MOVE");
}
