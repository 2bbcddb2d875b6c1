//! Connections that do not come about, and what is told of it.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use lifeboat_storage::{Error, SftpAddress, SftpOptions, SftpProblem, SftpStorage};

use crate::server::{Sshd, have};
use crate::subsystem;

const SSH: &str = "/usr/bin/ssh";

fn refused(address: &SftpAddress, options: &SftpOptions) -> (SftpProblem, String) {
    let error = SftpStorage::open(address, options).unwrap_err();
    let Error::Storage { operation: "open", source, location, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*location, address.to_string());
    let problem = SftpProblem::of(&error).unwrap();
    assert_eq!(source.kind(), problem.kind());
    assert_ne!(source.kind(), ErrorKind::NotFound, "taken for a missing directory");
    (problem, source.to_string())
}

#[test]
fn an_unknown_host_is_refused() {
    let Some(server) = Sshd::start() else { return };
    std::fs::write(server.path("known_hosts"), "").unwrap();
    let (problem, words) = refused(&server.address(Path::new("/")), &server.options());
    assert_eq!(problem, SftpProblem::HostKeyUnknown, "{words}");
    assert!(words.contains("@127.0.0.1 is not known"), "{words}");
}

#[test]
fn a_changed_host_key_is_refused() {
    let Some(server) = Sshd::start() else { return };
    server.know("other_key");
    let (problem, words) = refused(&server.address(Path::new("/")), &server.options());
    assert_eq!(problem, SftpProblem::HostKeyChanged, "{words}");
    let known = format!("{}:1", server.path("known_hosts").display());
    assert!(words.contains("SHA256:") && words.contains(&known), "{words}");
}

#[test]
fn a_wrong_key_is_refused() {
    let Some(server) = Sshd::start() else { return };
    let options = SftpOptions { key: Some(server.path("other_key")), ..server.options() };
    let (problem, words) = refused(&server.address(Path::new("/")), &options);
    assert_eq!(problem, SftpProblem::Denied, "{words}");
    assert!(words.contains("authorized_keys") && words.contains("(publickey)"), "{words}");
}

#[test]
fn a_server_without_the_subsystem() {
    let Some(server) = Sshd::start_with("") else { return };
    let (problem, words) = refused(&server.address(Path::new("/")), &server.options());
    assert_eq!(problem, SftpProblem::NoSubsystem, "{words}");
}

#[test]
fn nobody_listens() {
    if !have(SSH) {
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = SftpAddress::parse(&format!("sftp://127.0.0.1:{port}/srv")).unwrap();
    let (problem, words) = refused(&address, &SftpOptions::default());
    assert_eq!(problem, SftpProblem::Refused, "{words}");
}

#[test]
fn a_host_that_says_nothing() {
    if !have(SSH) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = SftpAddress::parse(&format!("sftp://127.0.0.1:{port}/srv")).unwrap();
    let options = SftpOptions { connect_timeout: Duration::from_secs(1), ..SftpOptions::default() };
    let (problem, words) = refused(&address, &options);
    assert_eq!(problem, SftpProblem::TimedOut, "{words}");
}

/// `.invalid` is kept free of names.
#[test]
fn a_host_without_address() {
    if !have(SSH) {
        return;
    }
    let address = SftpAddress::parse("sftp://lifeboat.invalid/srv").unwrap();
    let (problem, words) = refused(&address, &SftpOptions::default());
    assert_eq!(problem, SftpProblem::NameUnresolved, "{words}");
}

#[test]
fn a_command_that_cannot_be_run() {
    let address = SftpAddress::parse("sftp://host/srv").unwrap();
    let run = |command: &[&str]| {
        let command = Some(command.iter().map(Into::into).collect());
        refused(&address, &SftpOptions { command, ..SftpOptions::default() })
    };
    let (problem, words) = run(&["no-such-program"]);
    assert_eq!(problem, SftpProblem::ProgramMissing);
    assert!(words.contains("no-such-program is not installed"), "{words}");
    assert_eq!(run(&["/etc/passwd"]).0, SftpProblem::Configuration);
    assert_eq!(run(&[]).0, SftpProblem::Configuration);
    let (problem, words) = run(&["sh", "-c", "echo 'no such repository' >&2; exit 3"]);
    assert_eq!(problem, SftpProblem::Lost);
    assert!(words.contains("exit status: 3") && words.contains("no such repository"), "{words}");
}

/// Its arguments may have secrets.
#[test]
fn a_command_is_not_shown() {
    let command = Some(vec!["sshpass".into(), "-psecret".into()]);
    let shown = format!("{:?}", SftpOptions { command, ..SftpOptions::default() });
    assert!(shown.contains("sshpass") && !shown.contains("secret"), "{shown}");
}

/// That is what a caller takes for a repository that is not there.
#[test]
fn a_missing_directory_is_told_apart() {
    if !have(subsystem::SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let address = subsystem::address(&directory.path().join("missing"));
    let error = SftpStorage::open(&address, &subsystem::options(&[])).unwrap_err();
    let Error::Storage { operation: "open", source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::NotFound);
    assert_eq!(SftpProblem::of(&error), None);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
