//! Connections that are lost, as when the server's machine goes off.

use std::io::{Read, Write};

use lifeboat_storage::{Error, SftpProblem, SftpStorage, Storage};

use crate::server::{Sshd, key};

fn create(server: &Sshd) -> SftpStorage {
    let address = server.address(&server.path("repository"));
    SftpStorage::create(&address, &server.options()).unwrap()
}

/// What is behind the error of a stream.
fn problem(error: std::io::Error) -> SftpProblem {
    let error: Error = error.downcast().unwrap();
    SftpProblem::of(&error).unwrap_or_else(|| panic!("{error:?}"))
}

#[test]
fn in_the_middle_of_an_upload() {
    let Some(server) = Sshd::start() else { return };
    let storage = create(&server);
    storage.put(&key("before"), b"x").unwrap();
    let mut writing = storage.begin().unwrap();
    writing.write_all(&[7; 3_000_000]).unwrap();
    let mut written = storage.begin().unwrap();
    written.write_all(b"all of it").unwrap();
    server.cut();

    let error = loop {
        // Some is taken before it shows.
        if let Err(error) = writing.write_all(&[7; 3_000_000]) {
            break error;
        }
    };
    assert_eq!(problem(error), SftpProblem::Lost);
    let Err(error) = writing.publish(&key("a/half")) else { panic!("published") };
    assert!(matches!(error, Error::Storage { operation: "publish", .. }), "{error:?}");
    let Err(error) = written.publish(&key("a/all")) else { panic!("published") };
    assert_eq!(SftpProblem::of(&error), Some(SftpProblem::Lost), "{error:?}");

    assert_eq!(storage.list(None).unwrap().len(), 1, "a new connection shows what was there");
    storage.put(&key("a/all"), b"all of it").unwrap();
    assert_eq!(storage.sweep(std::time::Duration::ZERO).unwrap(), 2);
}

#[test]
fn in_the_middle_of_a_read() {
    let Some(server) = Sshd::start() else { return };
    let storage = create(&server);
    let bytes = vec![7; 20_000_000];
    storage.put(&key("object"), &bytes).unwrap();
    let mut reader = storage.read(&key("object"), None).unwrap();
    let mut found = vec![0; 100_000];
    reader.read_exact(&mut found).unwrap();
    server.cut();
    assert_eq!(problem(reader.read_to_end(&mut found).unwrap_err()), SftpProblem::Lost);
    assert!(reader.read(&mut found).is_err(), "nothing follows what is missing");

    found.clear();
    storage.read(&key("object"), None).unwrap().read_to_end(&mut found).unwrap();
    assert!(found == bytes);
}

/// Several in a row: the first finds the loss, and each goes on.
#[test]
fn between_operations() {
    let Some(server) = Sshd::start() else { return };
    let storage = create(&server);
    storage.put(&key("a/object"), b"x").unwrap();
    let operations: [&dyn Fn(); 5] = [
        &|| assert!(storage.stat(&key("a/object")).unwrap().is_some()),
        &|| assert_eq!(storage.list(None).unwrap().len(), 1),
        &|| assert_eq!(storage.list_names(None).unwrap().len(), 1),
        &|| drop(storage.read(&key("a/object"), None).unwrap()),
        &|| assert!(storage.remove(&key("a/object")).unwrap()),
    ];
    for operation in operations {
        server.cut();
        operation();
    }
}

#[test]
fn and_not_found_again() {
    let Some(mut server) = Sshd::start() else { return };
    let storage = create(&server);
    server.stop();
    for _ in 0..2 {
        let error = storage.list(None).unwrap_err();
        assert_eq!(SftpProblem::of(&error), Some(SftpProblem::Refused), "{error:?}");
    }
}
