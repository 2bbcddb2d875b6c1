//! Google Cloud Storage: what differs from S3 is translated, or done, in front of the same store.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use lifeboat_storage::{
    Cause, Environment, Error, Failure, Patience, S3Options, Storage, conformance, gcs,
};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};

use crate::front::{answer, serve};
use crate::proxy::{Fault, Head, Proxy, forward};
use crate::s3::{address, options, quickly};
use crate::server;
use crate::store::{BUCKET, Store};

/// A key of RSA that serves nothing else.
const ACCOUNT_KEY: &str = include_str!("account-key.base64");
const ACCOUNT: &str = "backup@example.iam.gserviceaccount.com";

#[derive(Default)]
struct Sessions {
    open: BTreeMap<String, (Head, Vec<u8>)>,
    /// How those ended that have all their bytes: whoever asks again is told the same.
    ended: BTreeMap<String, Vec<u8>>,
}

/// Google's bucket: the token that it wants, the store behind it, and what is not finished.
#[derive(Clone)]
struct Bucket {
    /// Those that are refused because they are too old.
    expired: Arc<AtomicU32>,
    store: Store,
    server: SocketAddr,
    sessions: Arc<Mutex<Sessions>>,
}

fn bucket() -> (Bucket, SocketAddr) {
    let store = Store::default();
    let server = server::serve(&store, false, None);
    let bucket = Bucket { expired: Arc::default(), store, server, sessions: Arc::default() };
    let handler = bucket.clone();
    (bucket, serve(move |head, body| handler.handle(head, body)))
}

fn refused(status: u16, code: &str) -> Vec<u8> {
    let body =
        format!("<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>");
    answer(status, &[], body.as_bytes())
}

impl Bucket {
    fn handle(&self, head: &Head, body: &[u8]) -> Vec<u8> {
        if let Some(id) = head.path.strip_prefix("/session/") {
            return self.add(id, head, body);
        }
        let number =
            head.header("authorization").and_then(|it| it.strip_prefix("Bearer token-value-"));
        let number = number.and_then(|number| number.parse::<u32>().ok());
        if number.is_none_or(|number| number < self.expired.load(Ordering::Relaxed)) {
            return refused(401, "AuthenticationRequired");
        }
        if head.header("x-goog-resumable").is_some() {
            assert_eq!(head.header("x-goog-if-generation-match"), Some("0"));
            let mut sessions = self.sessions.lock().unwrap();
            let id = format!("secret-{}", sessions.open.len());
            let location = format!("http://{}/session/{id}", head.header("host").unwrap());
            sessions.open.insert(id, (head.clone(), Vec::new()));
            return answer(201, &[("location", &location)], b"");
        }
        self.pass(head, body)
    }

    /// To the store, in its words.
    fn pass(&self, head: &Head, body: &[u8]) -> Vec<u8> {
        let mut head = head.clone();
        head.headers.retain(|(name, _)| name != "authorization");
        for (name, value) in &mut head.headers {
            if name == "x-goog-if-generation-match" {
                (*name, *value) = ("if-none-match".to_owned(), "*".to_owned());
            }
            *name = name.replace("x-goog-", "x-amz-");
        }
        let answer = forward(self.server, &head, body, false).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let words = String::from_utf8(answer[..end].to_vec()).unwrap().replace("x-amz-", "x-goog-");
        [words.as_bytes(), &answer[end..]].concat()
    }

    fn add(&self, id: &str, head: &Head, body: &[u8]) -> Vec<u8> {
        let mut sessions = self.sessions.lock().unwrap();
        if let Some(end) = sessions.ended.get(id) {
            return end.clone();
        }
        if head.method == "DELETE" {
            sessions.open.remove(id);
            return answer(499, &[], b"");
        }
        let Some((begin, bytes)) = sessions.open.get_mut(id) else { return answer(410, &[], b"") };
        let range = head.header("content-range").unwrap().strip_prefix("bytes ").unwrap();
        let (range, total) = range.split_once('/').unwrap();
        if let Some((first, _)) = range.split_once('-') {
            assert_eq!(first.parse::<usize>().unwrap(), bytes.len(), "a gap or an overlap");
            bytes.extend(body);
        }
        if bytes.len() < total.parse().unwrap() {
            assert!(bytes.len() % (256 * 1024) == 0);
            let range = format!("bytes=0-{}", bytes.len().wrapping_sub(1));
            let headers = [("range", &*range)];
            return answer(308, if bytes.is_empty() { &[] } else { &headers }, b"");
        }
        let mut put = begin.clone();
        put.method = "PUT".to_owned();
        put.headers.retain(|(name, _)| !matches!(&**name, "content-length" | "x-goog-resumable"));
        put.headers.push(("content-length".to_owned(), bytes.len().to_string()));
        let end = self.pass(&put, bytes);
        sessions.ended.insert(id.to_owned(), end.clone());
        end
    }
}

/// Hands out tokens to the account of the key, each with the next number.
fn tokens() -> (SocketAddr, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let address = serve(move |head, body| {
        assert_eq!((&*head.method, &*head.path), ("POST", "/token"));
        let form = String::from_utf8(body.to_vec()).unwrap();
        let assertion = form.split("assertion=").nth(1).unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let key = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(account_key()).unwrap()).unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        if public.verify(signed.as_bytes(), &signature).is_err() {
            return answer(400, &[], br#"{"error":"invalid_grant","error_description":"bad"}"#);
        }
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["iss"], ACCOUNT);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let body = format!(r#"{{"access_token":"token-value-{number}","expires_in":3599}}"#);
        answer(200, &[], body.as_bytes())
    });
    (address, count)
}

fn account_key() -> String {
    ACCOUNT_KEY.lines().collect()
}

/// An account's file, with its key in the form that PEM has.
fn write_account(file: &Path, tokens: SocketAddr) {
    let dashes = "-----";
    let pem = format!(
        "{dashes}BEGIN PRIVATE KEY{dashes}\n{ACCOUNT_KEY}{dashes}END PRIVATE KEY{dashes}\n"
    );
    let account = serde_json::json!({
        "type": "service_account", "client_email": ACCOUNT, "private_key": pem,
        "token_uri": format!("http://{tokens}/token"),
    });
    fs::write(file, account.to_string()).unwrap();
}

fn with(name: &'static str, value: String) -> Environment {
    Environment::new(move |it| (it == name).then(|| value.clone()))
}

fn open(server: SocketAddr, environment: &Environment, patience: Patience) -> Arc<dyn Storage> {
    let mut options = S3Options { credentials: None, ..options(server) };
    options.remote.patience = patience;
    gcs(&address("some/prefix"), environment, &options).unwrap()
}

#[test]
fn gcs_keeps_what_a_storage_promises() {
    let token = with("GOOGLE_ACCESS_TOKEN", "token-value-7".to_owned());
    conformance::run(&|| open(bucket().1, &token, Patience::NONE));
}

#[test]
fn an_account_asks_for_tokens_and_for_others_when_they_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("account.json");
    let (tokens, asked) = tokens();
    write_account(&file, tokens);
    let environment = with("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap().to_owned());
    let (bucket, server) = bucket();
    let storage = open(server, &environment, Patience::NONE);
    storage.put(&"a".parse().unwrap(), b"x").unwrap();
    assert_eq!(storage.list(None).unwrap().len(), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    bucket.expired.store(1, Ordering::Relaxed);
    assert_eq!(storage.list(None).unwrap().len(), 1);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    bucket.expired.store(u32::MAX, Ordering::Relaxed);
    let error = storage.list(None).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Unauthenticated);
    assert!(!format!("{error:?} {storage:?}").contains("token-value"));
}

/// At each request of a session, whatever it is.
#[test]
fn a_session_that_was_cut_goes_on() {
    let token = with("GOOGLE_ACCESS_TOKEN", "token-value-7".to_owned());
    let bytes: Vec<u8> = (0..3 << 16_u32).flat_map(u32::to_le_bytes).collect();
    for fault in [Fault::LoseAnswer, Fault::CutRequest(1000), Fault::Answer(503, "", "")] {
        for at in 0..5 {
            let (bucket, server) = bucket();
            let proxy = Proxy::start(server);
            let mut options =
                S3Options { credentials: None, part_bytes: 1, ..options(proxy.address) };
            options.remote.patience = quickly();
            let storage = gcs(&address("some/prefix"), &token, &options).unwrap();
            let once = fault.clone();
            proxy.decide(move |head| (head.at == at).then(|| once.clone()));
            storage.put(&"large".parse().unwrap(), &bytes).unwrap();
            assert!(*bucket.store.object("some/prefix/large").unwrap().bytes == bytes);
            let taken = storage.put(&"large".parse().unwrap(), &bytes[1..]);
            assert!(matches!(taken, Err(Error::Exists { .. })), "{taken:?}");
        }
    }
}

#[test]
fn files_that_are_no_accounts_are_refused_without_what_is_in_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("account.json");
    for text in [
        "secret-text",
        r#"{"type":"service_account","client_email":"a","private_key":"secret-text"}"#,
        r#"{"type":"external_account","x":"secret-text"}"#,
        r#"{"type":"authorized_user","client_id":"a","client_secret":"secret-text"}"#,
    ] {
        fs::write(&file, text).unwrap();
        let environment = with("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap().to_owned());
        let error = gcs(&address(BUCKET), &environment, &S3Options::default()).unwrap_err();
        assert_eq!(Failure::of(&error).unwrap().cause, Cause::Unauthenticated);
        assert!(!format!("{error:?}").contains("secret-text"), "{error:?}");
    }
}
