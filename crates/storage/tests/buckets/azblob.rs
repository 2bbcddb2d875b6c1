//! Azure Blob Storage, against a small one of our own that checks signatures.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use lifeboat_storage::conformance;
use lifeboat_storage::{
    AzblobOptions, BucketAddress, Cause, Environment, Error, Failure, HttpOptions, Key, Patience,
    RemoteOptions, Storage, azblob,
};
use sha2::Sha256;

use crate::front::{answer, serve};
use crate::proxy::{Fault, Head, Proxy};
use crate::s3::quickly;

const ACCOUNT: &str = "account";
const KEY: &str = "c2VjcmV0LWtleS1vZi1hbi1hY2NvdW50";
const CONTAINER: &str = "/account/container";
const PAGE: usize = 100;

#[derive(Clone, Debug)]
struct Blob {
    bytes: Vec<u8>,
    tag: String,
    timestamp: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    blobs: BTreeMap<String, Blob>,
    blocks: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    tags: u64,
}

type Shared = Arc<Mutex<State>>;

fn refused(status: u16, code: &str) -> Vec<u8> {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>No.\nId</Message></Error>"
    );
    answer(status, &[("x-ms-error-code", code)], body.as_bytes())
}

/// The signature that a request should have, as the documentation describes it.
fn signature(head: &Head) -> String {
    let line = |name: &str| head.header(name).unwrap_or_default().to_owned();
    let length = Some(line("content-length")).filter(|length| length != "0").unwrap_or_default();
    let own: BTreeMap<_, _> =
        head.headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).cloned().collect();
    let own: Vec<String> = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let query: BTreeMap<_, _> = head.query().into_iter().collect();
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
    let text = [
        head.method.clone(),
        line("content-encoding"),
        line("content-language"),
        length,
        line("content-md5"),
        line("content-type"),
        line("date"),
        line("if-modified-since"),
        line("if-match"),
        line("if-none-match"),
        line("if-unmodified-since"),
        line("range"),
        format!(
            "{}/{ACCOUNT}{}{}",
            own.concat(),
            head.path.split('?').next().unwrap(),
            query.concat()
        ),
    ];
    let mut hmac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(KEY).unwrap()).unwrap();
    hmac.update(text.join("\n").as_bytes());
    format!("SharedKey {ACCOUNT}:{}", BASE64_STANDARD.encode(hmac.finalize().into_bytes()))
}

fn handle(state: &Shared, head: &Head, body: &[u8]) -> Vec<u8> {
    let is_ours = match head.field("sig") {
        Some(sig) => sig == "sas+signature",
        None => head.header("authorization") == Some(&signature(head)),
    };
    if !is_ours {
        return refused(403, "AuthenticationFailed");
    }
    let name = head.name();
    let Some(name) = name.strip_prefix(CONTAINER) else { return refused(404, "ContainerNotFound") };
    let mut state = state.lock().unwrap();
    match (&*head.method, head.field("comp").as_deref(), name.strip_prefix('/')) {
        ("GET", Some("list"), None) => list(&state, head),
        ("PUT", Some("block"), Some(name)) => {
            let id = head.field("blockid").unwrap();
            state.blocks.entry(name.to_owned()).or_default().insert(id, body.to_vec());
            answer(201, &[], b"")
        }
        ("PUT", Some("blocklist"), Some(name)) => {
            if state.blobs.contains_key(name) {
                return refused(409, "BlobAlreadyExists");
            }
            let blocks = state.blocks.remove(name).unwrap_or_default();
            let list = String::from_utf8(body.to_vec()).unwrap();
            let mut bytes = Vec::new();
            for id in list.split("<Latest>").skip(1).map(|rest| rest.split('<').next().unwrap()) {
                let Some(block) = blocks.get(id) else { return refused(400, "InvalidBlockList") };
                bytes.extend(block);
            }
            create(&mut state, head, name, bytes)
        }
        ("PUT", None, Some(name)) => create(&mut state, head, name, body.to_vec()),
        ("GET" | "HEAD", None, Some(name)) => match state.blobs.get(name) {
            None => refused(404, "BlobNotFound"),
            Some(blob) => read(blob, head),
        },
        ("DELETE", None, Some(name)) => match state.blobs.remove(name) {
            None => refused(404, "BlobNotFound"),
            Some(_) => answer(202, &[], b""),
        },
        _ => refused(400, "InvalidUri"),
    }
}

fn create(state: &mut State, head: &Head, name: &str, bytes: Vec<u8>) -> Vec<u8> {
    assert_eq!(head.header("if-none-match"), Some("*"));
    if state.blobs.contains_key(name) {
        return refused(409, "BlobAlreadyExists");
    }
    state.blocks.remove(name);
    state.tags += 1;
    let timestamp = head.header("x-ms-meta-litestreamtimestamp").map(str::to_owned);
    let blob = Blob { bytes, tag: format!("\"0x{}\"", state.tags), timestamp };
    state.blobs.insert(name.to_owned(), blob);
    answer(201, &[], b"")
}

fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap()
}

fn read(blob: &Blob, head: &Head) -> Vec<u8> {
    if head.header("if-match").is_some_and(|wanted| wanted != blob.tag) {
        return refused(412, "ConditionNotMet");
    }
    let (size, now) = (blob.bytes.len(), now());
    let mut headers = vec![("etag", &*blob.tag), ("last-modified", &*now)];
    if let Some(timestamp) = &blob.timestamp {
        headers.push(("x-ms-meta-litestreamtimestamp", timestamp));
    }
    let Some(range) = head.header("range").map(|range| range.strip_prefix("bytes=").unwrap())
    else {
        let length = size.to_string();
        headers.push(("content-length", &length));
        let body = if head.method == "HEAD" { &[][..] } else { &blob.bytes };
        return answer(200, &headers, body);
    };
    let (first, last) = range.split_once('-').unwrap();
    let first: usize = first.parse().unwrap();
    let end = last.parse().map_or(size, |last: usize| (last + 1).min(size));
    if first >= size {
        return refused(416, "InvalidRange");
    }
    let content_range = format!("bytes {first}-{}/{size}", end - 1);
    headers.push(("content-range", &content_range));
    answer(206, &headers, &blob.bytes[first..end])
}

fn list(state: &State, head: &Head) -> Vec<u8> {
    let prefix = head.field("prefix").unwrap_or_default();
    let marker = head.field("marker").unwrap_or_default();
    let mut body = String::from("\u{feff}<?xml version=\"1.0\"?><EnumerationResults><Blobs>");
    let (mut shown, mut last, mut next) = (0, String::new(), String::new());
    let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
    for (name, blob) in state.blobs.range(from).take_while(|(name, _)| name.starts_with(&prefix)) {
        let directory = head.field("delimiter").and_then(|delimiter| {
            Some(format!("{prefix}{}/", name[prefix.len()..].split_once(&delimiter)?.0))
        });
        let entry = directory.clone().unwrap_or_else(|| name.clone());
        if entry <= marker || entry == last {
            continue;
        }
        if shown == PAGE {
            next = last;
            break;
        }
        shown += 1;
        match directory {
            Some(directory) => {
                body.push_str(&format!("<BlobPrefix><Name>{directory}</Name></BlobPrefix>"));
            }
            None => {
                let timestamp = blob.timestamp.iter();
                let metadata: String = timestamp
                    .map(|it| format!("<litestreamtimestamp>{it}</litestreamtimestamp>"))
                    .collect();
                body.push_str(&format!(
                    "<Blob><Name>{name}</Name><Properties><Last-Modified>{}</Last-Modified>\
                     <Content-Length>{}</Content-Length></Properties><Metadata>{metadata}</Metadata></Blob>",
                    now(),
                    blob.bytes.len()
                ));
            }
        }
        last = entry;
    }
    body.push_str(&format!("</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"));
    answer(200, &[], body.as_bytes())
}

fn server() -> (SocketAddr, Shared) {
    let state = Shared::default();
    let shared = Arc::clone(&state);
    (serve(move |head, body| handle(&shared, head, body)), state)
}

fn options(server: SocketAddr, patience: Patience) -> AzblobOptions {
    AzblobOptions {
        endpoint: Some(format!("http://{server}/{ACCOUNT}")),
        block_bytes: 5 << 20,
        http: HttpOptions { proxy_from_environment: false, ..HttpOptions::default() },
        remote: RemoteOptions { patience, ..RemoteOptions::default() },
        ..AzblobOptions::default()
    }
}

fn open(
    server: SocketAddr,
    container: &str,
    secret: (&'static str, &'static str),
    patience: Patience,
) -> Arc<dyn Storage> {
    let environment = Environment::new(move |name| match name {
        "AZURE_ACCOUNT_NAME" => Some(ACCOUNT.to_owned()),
        _ => (name == secret.0).then(|| secret.1.to_owned()),
    });
    let address = BucketAddress { bucket: container.to_owned(), prefix: "some/pre fix".to_owned() };
    azblob(&address, &environment, &options(server, patience)).unwrap()
}

#[test]
fn azblob_keeps_what_a_storage_promises() {
    let key = ("AZURE_ACCOUNT_KEY", KEY);
    conformance::run(&|| open(server().0, "container", key, Patience::NONE));
}

#[test]
fn a_shared_access_signature_serves_too() {
    let sas = ("AZURE_ACCOUNT_SAS", "?sv=2021&sig=sas%2Bsignature");
    let storage = open(server().0, "container", sas, Patience::NONE);
    conformance::a_taken_key_is_refused(&storage);
    conformance::ranges_are_cut_to_the_object(&open(server().0, "container", sas, Patience::NONE));
}

#[test]
fn what_is_wrong_has_its_cause_and_no_secret() {
    let key: Key = "a".parse().unwrap();
    for (container, secret, cause) in [
        ("container", ("AZURE_ACCOUNT_KEY", "d3Jvbmcta2V5LWhlcmU="), Cause::Unauthenticated),
        ("container", ("AZURE_ACCOUNT_SAS", "sig=wrong-signature-here"), Cause::Unauthenticated),
        ("missing", ("AZURE_ACCOUNT_KEY", KEY), Cause::NoContainer),
    ] {
        let storage = open(server().0, container, secret, Patience::NONE);
        for error in [
            storage.put(&key, b"x").unwrap_err(),
            storage.list(None).unwrap_err(),
            storage.read(&key, None).err().unwrap(),
            storage.stat(&key).unwrap_err(),
        ] {
            assert_eq!(Failure::of(&error).unwrap().cause, cause, "{error:?}");
            let shown = format!("{error:?} {error} {storage:?}");
            assert!(
                !shown.contains("wrong-") && !shown.contains(KEY) && !shown.contains("d3Jvbmc")
            );
        }
    }
}

/// Also that of the list that makes an object of blocks.
#[test]
fn a_lost_answer_is_no_taken_key() {
    let (server, state) = server();
    let proxy = Proxy::start(server);
    let key = ("AZURE_ACCOUNT_KEY", KEY);
    for (name, size) in [("small", 10), ("large", 12 << 20)] {
        let storage = open(proxy.address, "container", key, quickly());
        proxy.take_seen();
        let bytes = vec![7; size];
        proxy.decide(|head| {
            let is_last = head.method == "PUT" && !head.path.contains("comp=block&");
            (is_last && head.at < 5).then_some(Fault::LoseAnswer)
        });
        storage.put(&name.parse().unwrap(), &bytes).unwrap();
        assert!(state.lock().unwrap().blobs[&format!("some/pre fix/{name}")].bytes == bytes);
        proxy.decide(|_| None);
        let taken = storage.put(&name.parse().unwrap(), &bytes);
        assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
    }
}
