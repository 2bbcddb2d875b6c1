//! Access: refreshed in time and once, kept private, and told when it has ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use lifeboat_storage::secrecy::ExposeSecret;
use lifeboat_storage::{Cause, Error, Failure, GoogleDrive, TokenFile};

use super::emulator::Emulator;

fn refreshes(emulator: &Emulator) -> usize {
    emulator.server.requests().iter().filter(|request| request.path == "/token").count()
}

fn expired(emulator: &Emulator) -> TokenFile {
    let expired = TokenFile { access_expires: Some(SystemTime::now()), ..emulator.grant() };
    expired.save(&emulator.token_file()).unwrap();
    expired
}

fn assert_secret(shown: &str) {
    for secret in ["client-secret", "refresh-token", "access-token"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn one_that_has_ended_is_refreshed_and_kept() {
    let emulator = Emulator::start();
    expired(&emulator);
    let storage = emulator.open("gdrive://x").storage();
    assert_eq!(storage.list(None).unwrap(), []);
    assert_eq!(storage.list(None).unwrap(), []);
    assert_eq!(refreshes(&emulator), 1);
    let kept = TokenFile::load(&emulator.token_file()).unwrap();
    let token = kept.access_token.unwrap();
    assert_eq!(token.expose_secret(), emulator.state().access_token);
    assert!(kept.access_expires.unwrap() > SystemTime::now() + Duration::from_secs(3000));
    assert_eq!(kept.refresh_token.expose_secret(), "refresh-token-1");
    let mode = fs::metadata(emulator.token_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The next process needs none.
    assert_eq!(emulator.open("gdrive://x").storage().list(None).unwrap(), []);
    assert_eq!(refreshes(&emulator), 1);
}

/// Withdrawn although its time has not come: once, without the caller's knowledge.
#[test]
fn one_that_is_refused_is_refreshed() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    emulator.state().access_token = "access-token-of-tomorrow".to_owned();
    storage.put(&"a".parse().unwrap(), b"x").unwrap();
    assert_eq!(refreshes(&emulator), 1);
}

/// Processes that share a file take turns, and all but the first find what it fetched.
#[test]
fn of_several_that_refresh_one_asks() {
    let emulator = Emulator::start();
    expired(&emulator);
    let drives: Vec<GoogleDrive> = (0..8).map(|_| emulator.open("gdrive://x")).collect();
    std::thread::scope(|scope| {
        for drive in &drives {
            scope.spawn(|| assert_eq!(drive.storage().list(None).unwrap(), []));
        }
    });
    assert_eq!(refreshes(&emulator), 1);
}

#[test]
fn access_that_was_withdrawn_is_told_with_its_remedy() {
    let emulator = Emulator::start();
    let tokens = expired(&emulator);
    assert_secret(&format!("{tokens:?}"));
    emulator.state().refresh_token = "another".to_owned();
    let drive = emulator.open("gdrive://x");
    let error = drive.storage().list(None).unwrap_err();
    let failure = Failure::of(&error).unwrap();
    assert_eq!(failure.cause, Cause::Unauthenticated);
    assert!(failure.message.contains("lifeboat auth gdrive"), "{}", failure.message);
    assert_secret(&format!("{error:?} {drive:?}"));
    // Not asked for again and again: it does not pass by itself.
    assert_eq!(refreshes(&emulator), 1);
}

#[test]
fn another_client_is_told_from_it() {
    let emulator = Emulator::start();
    let tokens =
        TokenFile { client_secret: "wrong-client-secret".to_owned().into(), ..expired(&emulator) };
    tokens.save(&emulator.token_file()).unwrap();
    let error = emulator.open("gdrive://x").storage().list(None).unwrap_err();
    let failure = Failure::of(&error).unwrap();
    assert_eq!(failure.cause, Cause::Unauthenticated);
    assert!(failure.message.contains("OAuth client"), "{}", failure.message);
    assert_secret(&format!("{error:?}"));
}

#[test]
fn a_file_that_is_missing_or_broken_is_told() {
    let emulator = Emulator::start();
    let open = || GoogleDrive::open("gdrive://x", &emulator.options()).map(drop).unwrap_err();
    let error = open();
    let failure = Failure::of(&error).unwrap();
    assert_eq!(failure.cause, Cause::Unauthenticated);
    assert!(failure.message.contains("lifeboat auth gdrive"), "{}", failure.message);
    fs::write(emulator.token_file(), r#"{"client_secret": "client-secret", "refresh_token": 1}"#)
        .unwrap();
    let error = open();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::Local);
    assert_secret(&format!("{error:?}"));
    assert!(matches!(TokenFile::load(&emulator.token_file()), Err(Error::Storage { .. })));
}

/// A token that a file holds is what it was, and so is when it ends.
#[test]
fn what_is_kept_is_what_was_granted() {
    let emulator = Emulator::start();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let tokens = TokenFile { refresh_expires: Some(end), granted: Some(end), ..emulator.grant() };
    assert_eq!(emulator.open("gdrive://x").expires(), None);
    tokens.save(&emulator.token_file()).unwrap();
    assert_eq!(emulator.open("gdrive://x").expires(), Some(end));
    let kept = TokenFile::load(&emulator.token_file()).unwrap();
    assert_eq!((kept.expires(), kept.granted), (Some(end), Some(end)));
    assert_eq!(kept.scope, tokens.scope);
}
