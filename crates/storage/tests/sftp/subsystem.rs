//! The server's subsystem alone, without SSH around it: quick, and with parts of it denied.

use std::path::Path;
use std::sync::{Arc, Mutex};

use lifeboat_storage::conformance::{self, Promises, Times};
use lifeboat_storage::{
    CreateNew, RemoteOptions, SftpAddress, SftpOptions, SftpStorage, Storage, tended,
};

use crate::server::{Sshd, have};

pub(crate) const SERVER: &str = "/usr/lib/openssh/sftp-server";

/// Runs the subsystem with arguments in place of ssh.
pub(crate) fn options(arguments: &[&str]) -> SftpOptions {
    let command = [SERVER].iter().chain(arguments).map(Into::into).collect();
    SftpOptions { command: Some(command), ..SftpOptions::default() }
}

pub(crate) fn address(path: &Path) -> SftpAddress {
    SftpAddress::parse(&format!("sftp://localhost{}", path.display())).unwrap()
}

/// A new storage in a directory of its own; `None` where the subsystem is not installed.
pub(crate) fn create() -> Option<(tempfile::TempDir, SftpStorage)> {
    create_with(&options(&[]))
}

pub(crate) fn create_with(options: &SftpOptions) -> Option<(tempfile::TempDir, SftpStorage)> {
    if !have(SERVER) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/repository");
    let storage = SftpStorage::create(&address(&path), options).unwrap();
    Some((directory, storage))
}

fn conforms(create_new: CreateNew, address: impl Fn(&Path) -> SftpAddress, options: &SftpOptions) {
    let directories = Mutex::new(Vec::new());
    let make = || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/repository");
        let storage = SftpStorage::create(&address(&path), options).unwrap();
        directories.lock().unwrap().push(directory);
        Arc::new(storage) as Arc<dyn Storage>
    };
    conformance::run_promising(Promises { create_new, times: Times::Seconds }, &make);
    // Without hard links too, as long as all of them are in one process of the server.
    if create_new == CreateNew::Checked {
        conformance::of_concurrent_creators_one_wins(&make());
    }
}

#[test]
fn openssh_conforms() {
    let Some(server) = Sshd::start() else { return };
    conforms(CreateNew::Refused, |path| server.address(path), &server.options());
}

#[test]
fn the_subsystem_conforms() {
    if have(SERVER) {
        conforms(CreateNew::Refused, address, &options(&[]));
    }
}

#[test]
fn a_server_without_extensions_conforms() {
    if !have(SERVER) {
        return;
    }
    let denied = options(&["-P", "hardlink,fsync,statvfs,limits"]);
    conforms(CreateNew::Checked, address, &denied);
    let (_directory, storage) = create_with(&denied).unwrap();
    let found = storage.capabilities().unwrap();
    assert!(!found.fsync && !found.hard_links && !found.free_space, "{found:?}");
    assert_eq!(storage.free_bytes().unwrap(), None);
}

#[test]
fn capabilities_of_openssh() {
    let Some((_directory, storage)) = create() else { return };
    let found = storage.capabilities().unwrap();
    assert!(found.fsync && found.hard_links && found.free_space, "{found:?}");
    let tended = tended(Arc::new(storage), &RemoteOptions::default());
    assert!(tended.free_bytes().unwrap().unwrap() > 0);
}
