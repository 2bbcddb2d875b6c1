//! The owner grants access: the browser is a few requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use lifeboat_storage::secrecy::ExposeSecret;
use lifeboat_storage::{
    Authorization, AuthorizationOptions, Cause, Error, Failure, OAuthClient, TokenFile,
};

use super::emulator::Emulator;

fn begin(emulator: &Emulator) -> Authorization {
    let secret = "client-secret".to_owned().into();
    let client = OAuthClient { id: "client-id".to_owned(), secret };
    let options = AuthorizationOptions {
        endpoints: emulator.endpoints(),
        http: Emulator::http(),
        ..AuthorizationOptions::default()
    };
    Authorization::begin(client, &options).unwrap()
}

/// All that is answered to `GET url`.
fn get(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Where the page of consent sends the browser.
fn consent(authorization: &Authorization) -> String {
    let answer = get(&authorization.url());
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    location.unwrap().to_owned()
}

fn assert_granted(tokens: &TokenFile) {
    assert_eq!(tokens.refresh_token.expose_secret(), "refresh-token-1");
    assert_eq!(tokens.scope, "https://www.googleapis.com/auth/drive.file");
    let week = Duration::from_secs(604_799);
    let lasts = tokens.expires().unwrap().duration_since(tokens.granted.unwrap()).unwrap();
    assert!((week..week + Duration::from_secs(60)).contains(&lasts), "{lasts:?}");
}

fn cause(result: Result<TokenFile, Error>) -> Cause {
    Failure::of(&result.map(drop).unwrap_err()).unwrap().cause
}

#[test]
fn a_browser_on_this_host_brings_the_code() {
    let emulator = Emulator::start();
    let authorization = begin(&emulator);
    let back = consent(&authorization);
    let waiting = thread::spawn(move || authorization.wait(Duration::from_secs(600)));
    let (origin, _) = back.split_once("/?").unwrap();
    // An icon, a connection without a request, and the answer to another attempt come before it.
    assert!(get(&format!("{origin}/favicon.ico")).starts_with("HTTP/1.1 404"));
    drop(TcpStream::connect(origin.strip_prefix("http://").unwrap()).unwrap());
    let foreign = get(&format!("{origin}/?state=another&code=4%2Fcode-1"));
    assert!(foreign.starts_with("HTTP/1.1 400"), "{foreign}");
    let page = get(&back);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("You can close this page"), "{page}");
    let tokens = waiting.join().unwrap().unwrap();
    assert_granted(&tokens);
    tokens.save(&emulator.token_file()).unwrap();
    emulator.open("gdrive://x").storage().put(&"a".parse().unwrap(), b"x").unwrap();
}

/// The address that a browser elsewhere could not open, or the code in it.
#[test]
fn a_browser_elsewhere_is_pasted_from() {
    let emulator = Emulator::start();
    let authorization = begin(&emulator);
    assert_granted(&authorization.finish(&format!(" {}\n", consent(&authorization))).unwrap());
    let back = consent(&authorization);
    let (_, code) = back.split_once("code=").unwrap();
    let code = code.split('&').next().unwrap();
    assert_granted(&authorization.finish(code).unwrap());
    let back = consent(&authorization);
    let (_, code) = back.split_once("code=").unwrap();
    assert_granted(
        &authorization.finish(&code.split('&').next().unwrap().replace("%2F", "/")).unwrap(),
    );
}

#[test]
fn what_belongs_to_another_attempt_is_refused() {
    let emulator = Emulator::start();
    let (one, other) = (begin(&emulator), begin(&emulator));
    let back = consent(&one);
    assert_eq!(cause(other.finish(&back)), Cause::Invalid);
    for text in ["", "two words", "http://127.0.0.1:1/?code=x", "http://127.0.0.1:1/?state=x"] {
        assert_eq!(cause(one.finish(text)), Cause::Invalid, "{text}");
    }
    // Its code alone has no state: then the verifier refuses it.
    let (_, code) = back.split_once("code=").unwrap();
    let code = code.split('&').next().unwrap();
    assert_eq!(cause(other.finish(code)), Cause::Unauthenticated);
    assert_eq!(cause(one.wait(Duration::ZERO)), Cause::TimedOut);
}

#[test]
fn a_refusal_of_the_owner_is_told() {
    let emulator = Emulator::start();
    let authorization = begin(&emulator);
    let back = consent(&authorization);
    let refused = back.split("&code=").next().unwrap().to_owned() + "&error=access_denied";
    assert_eq!(cause(authorization.finish(&refused)), Cause::Denied);
}

/// Neither the state nor what proves that a code is ours.
#[test]
fn nothing_secret_is_shown() {
    let emulator = Emulator::start();
    let authorization = begin(&emulator);
    let url = authorization.url();
    let (_, state) = url.split_once("state=").unwrap();
    let state = state.split('&').next().unwrap();
    let shown = format!("{authorization:?}");
    assert!(!shown.contains(state) && !shown.contains("client-secret"), "{shown}");
}
