//! Against a server that answers what a test says, byte by byte.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::testing::{Answer, Server};
use super::*;
use crate::{Cause, Content, Failure};

fn http() -> Http {
    let idle_timeout = Duration::from_millis(200);
    let options =
        HttpOptions { idle_timeout, proxy_from_environment: false, ..HttpOptions::default() };
    Http::new(&options).unwrap()
}

/// What an attempt against a server with one answer fails with.
fn failure(answer: &'static [Answer]) -> Failure {
    let server = Server::start(answer);
    let sent = http().send(Request::new("GET", format!("{}/a?secret=1", server.url)));
    let failure = match sent {
        Ok(response) if response.is_success() => response.bytes(100).unwrap_err(),
        Ok(response) => response.into_failure(),
        Err(failure) => failure,
    };
    server.requests();
    assert!(!failure.message.contains("secret"), "{failure:?}");
    failure
}

#[test]
fn a_failure_has_its_cause() {
    use Answer::{Close, Say, Silence};
    let cases: [(&'static [Answer], Cause); 8] = [
        (&[Close], Cause::Interrupted),
        (&[Silence], Cause::TimedOut),
        (&[Say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")], Cause::Interrupted),
        (&[Say("HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n")], Cause::Interrupted),
        (&[Say("HTTP/1.1 200")], Cause::Interrupted),
        (&[Say("SSH-2.0-OpenSSH_9.2p1\r\n\r\n")], Cause::Protocol),
        (&[Say("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")], Cause::Denied),
        (
            &[Say("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n")],
            Cause::Throttled,
        ),
    ];
    for (n, (answers, cause)) in cases.into_iter().enumerate() {
        let failure = failure(answers);
        assert_eq!(failure.cause, cause, "case {n}: {failure:?}");
    }
}

#[test]
fn a_host_that_is_not_there_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{closed}/"), "http://nowhere.invalid/".to_owned()] {
        let failure = http().send(Request::new("GET", url)).err().unwrap();
        assert_eq!(failure.cause, Cause::Unreachable, "{failure:?}");
        assert!(!failure.may_have_come_through());
    }
    let failure = http().send(Request::new("GET", "no address")).err().unwrap();
    assert_eq!(failure.cause, Cause::Invalid, "{failure:?}");
}

/// A server that speaks no TLS.
#[test]
fn a_connection_that_is_not_secure_is_untrusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _end = stream.read_to_end(&mut Vec::new());
    });
    let failure = http().send(Request::new("GET", url)).err().unwrap();
    assert_eq!(failure.cause, Cause::Untrusted, "{failure:?}");
    server.join().unwrap();
}

#[test]
fn bodies_are_sent_with_their_length() {
    let cases: [(&'static str, Body<'_>, &str); 5] = [
        ("PUT", Body::Content(&b"0123456789".as_slice(), 2..5), "content-length: 3\r\n\r\n234"),
        ("PUT", Body::Nothing, "content-length: 0\r\n\r\n"),
        ("POST", Body::Bytes(Vec::new()), "content-length: 0\r\n\r\n"),
        ("PROPFIND", Body::Bytes(b"<x/>".to_vec()), "content-length: 4\r\n\r\n<x/>"),
        ("DELETE", Body::Nothing, "\r\n\r\n"),
    ];
    for (method, body, end) in cases {
        let server =
            Server::start(&[Answer::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")]);
        let request = Request::new(method, format!("{}/x", server.url)).body(body);
        assert_eq!(http().send(request).unwrap().text(2).unwrap(), "ok");
        let seen = server.requests().remove(0);
        assert!(seen.starts_with(&format!("{method} /x HTTP/1.1\r\n")), "{seen}");
        assert!(seen.contains(&format!("user-agent: {USER_AGENT}\r\n")), "{seen}");
        assert!(seen.ends_with(end), "{seen}");
        assert_eq!(seen.contains("content-length"), end.contains("content-length"), "{seen}");
    }
}

struct Unreadable;

impl Content for Unreadable {
    fn size(&self) -> u64 {
        1 << 20
    }

    fn read(&self, _: std::ops::Range<u64>) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(io::repeat(0).take(1 << 19)))
    }
}

#[test]
fn what_cannot_be_read_is_no_fault_of_the_connection() {
    let server = Server::start(&[Answer::Silence]);
    let request = Request::new("PUT", &server.url).body(Body::Content(&Unreadable, 0..1 << 20));
    let failure = http().send(request).err().unwrap();
    assert_eq!(failure.cause, Cause::Local, "{failure:?}");
    server.requests();
}

#[test]
fn a_secret_that_is_echoed_is_in_no_message() {
    let server = Server::start(&[Answer::Say(
        "HTTP/1.1 403 No\r\ncontent-length: 27\r\n\r\nno: Bearer secretsecret now",
    )]);
    let request =
        Request::new("GET", &server.url).secret_header("authorization", "Bearer secretsecret");
    let failure = http().send(request).unwrap().into_failure();
    assert_eq!(failure.cause, Cause::Denied);
    assert_eq!(failure.message, "403 Forbidden: no: Bearer … now");
    assert!(server.requests()[0].contains("authorization: Bearer secretsecret\r\n"));
}

#[test]
fn another_host_learns_no_secret() {
    let other = Server::start(&[Answer::Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")]);
    let location =
        format!("HTTP/1.1 307 There\r\nlocation: {}/there\r\ncontent-length: 0\r\n\r\n", other.url);
    let first = Server::start(vec![Answer::Say(location.leak())].leak());
    let request = Request::new("GET", &first.url)
        .secret_header("authorization", "Bearer secretsecret")
        .header("range", "bytes=0-1");
    assert!(http().send(request).unwrap().is_success());
    let second = other.requests().remove(0);
    assert!(second.starts_with("GET /there ") && second.contains("range: bytes=0-1"), "{second}");
    assert!(!second.contains("authorization"), "{second}");
}

#[test]
fn a_body_is_not_sent_elsewhere() {
    let server = Server::start(&[Answer::Say(
        "HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    )]);
    let request = Request::new("PUT", &server.url).body(Body::Bytes(b"x".to_vec()));
    assert_eq!(http().send(request).unwrap().status(), 307);
}

#[test]
fn a_file_without_certificates_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = HttpOptions { ca_file: Some(file.path().into()), ..HttpOptions::default() };
    assert_eq!(Http::new(&options).unwrap_err().cause, Cause::Local);
}
