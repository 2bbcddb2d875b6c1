//! Connections with TLS, to OpenSSL's server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use lifeboat_storage::{
    BucketAddress, Cause, Credentials, Environment, Failure, HttpOptions, Patience, RemoteOptions,
    S3Options, s3,
};

/// Ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn have_openssl() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok();
    assert!(there || std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "no openssl");
    there
}

fn openssl(directory: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority `ca.pem`, and a certificate of it for `localhost`.
fn make_certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        directory,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"),
    );
    openssl(directory, &format!("req {key} -keyout key.pem -out request.pem -subj /CN=localhost"));
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        directory,
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    );
}

/// A server that answers each `GET` with a page.
fn serve(directory: &Path) -> Server {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-www", "-cert", "cert.pem", "-key", "key.pem", "-accept"]);
    command.arg(port.to_string()).current_dir(directory);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains("ACCEPT"))), "no server");
    thread::spawn(move || lines.for_each(drop));
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    Server { child, port }
}

/// What a listing fails with: the server speaks no S3.
fn cause(endpoint: String, ca_file: Option<&Path>) -> (Cause, String) {
    let options = S3Options {
        endpoint: Some(endpoint),
        credentials: Some(Credentials::new("id".into(), "secret".into(), None)),
        http: HttpOptions { ca_file: ca_file.map(Into::into), ..HttpOptions::default() },
        remote: RemoteOptions { patience: Patience::NONE, ..RemoteOptions::default() },
        ..S3Options::default()
    };
    let address = BucketAddress { bucket: "bucket".into(), prefix: String::new() };
    let storage = s3(&address, &Environment::new(|_| None), &options).unwrap();
    let error = storage.list(None).unwrap_err();
    let failure = Failure::of(&error).unwrap();
    (failure.cause, failure.message.clone())
}

#[test]
fn a_certificate_is_believed_only_from_a_known_authority_and_for_its_host() {
    if !have_openssl() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    make_certificates(directory.path());
    let server = serve(directory.path());
    let ca = directory.path().join("ca.pem");
    let at = |host: &str| format!("https://{host}:{}", server.port);
    let (unknown, message) = cause(at("localhost"), None);
    assert_eq!(unknown, Cause::Untrusted, "{message}");
    // What was said came through: a page, and no listing.
    let (known, message) = cause(at("localhost"), Some(&ca));
    assert_eq!(known, Cause::Protocol, "{message}");
    let (other, message) = cause(at("127.0.0.1"), Some(&ca));
    assert_eq!(other, Cause::Untrusted, "{message}");
}
