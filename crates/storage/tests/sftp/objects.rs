//! What only this storage promises, beside the contract: as in a local directory.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use lifeboat_storage::{Error, RemoteOptions, SftpAddress, SftpStorage, Stale, Storage, tended};

use crate::directory::{self, mode};
use crate::server::{Sshd, have, key};
use crate::subsystem::{SERVER, address, create, options};

fn root(storage: &SftpStorage) -> PathBuf {
    PathBuf::from(storage.address().path())
}

/// Asks the server something, which it answers after all that it was asked before.
fn unfinished(storage: &SftpStorage) -> usize {
    storage.list_names(None).unwrap();
    fs::read_dir(root(storage).join("tmp")).unwrap().count()
}

/// G8.
#[test]
fn only_the_owner_may_read() {
    let Some((_directory, storage)) = create() else { return };
    storage.put(&key("a/b/object"), b"x").unwrap();
    let root = root(&storage);
    for directory in ["..", ".", "tmp", "a", "a/b"] {
        assert_eq!(mode(&root.join(directory)), 0o700, "{directory}");
    }
    assert_eq!(mode(&root.join("a/b/object")), 0o600);
    assert_eq!(unfinished(&storage), 0);
}

/// G5: a directory that is gone is an error, and nothing is made at it.
#[test]
fn a_missing_directory_is_not_made() {
    let Some((_directory, storage)) = create() else { return };
    fs::remove_dir_all(root(&storage)).unwrap();
    assert!(storage.begin().is_err());
    assert!(storage.list(None).is_err());
    assert!(storage.stat(&key("a/b")).is_err());
    assert!(storage.sweep(Duration::ZERO).is_err());
    assert!(!root(&storage).exists());
}

#[test]
fn a_file_is_no_directory() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, b"").unwrap();
    for path in [&path, &path.join("below")] {
        assert!(SftpStorage::open(&address(path), &options(&[])).is_err());
        assert!(SftpStorage::create(&address(path), &options(&[])).is_err());
    }
}

/// The disk of a repository is not mounted: what shows is the empty directory below.
#[test]
fn an_empty_mount_point_is_not_written() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let storage = SftpStorage::open(&address(directory.path()), &options(&[])).unwrap();
    let Err(Error::Storage { source, .. }) = storage.put(&key("object"), b"x") else {
        panic!("written")
    };
    assert!(source.to_string().contains("not mounted"), "{source}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// A restic repository, or a copy made without empty directories.
#[test]
fn a_repository_without_tmp_gets_it() {
    let Some((_directory, storage)) = create() else { return };
    fs::remove_dir(root(&storage).join("tmp")).unwrap();
    fs::write(root(&storage).join("config"), b"x").unwrap();
    storage.put(&key("object"), b"x").unwrap();
    assert_eq!(mode(&root(&storage).join("tmp")), 0o700);
    assert_eq!(storage.list(None).unwrap().len(), 2);
}

/// The server begins in the home directory; `-d` says which that is.
#[test]
fn a_path_below_the_home_directory() {
    if !have(SERVER) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let options = options(&["-d", home.path().to_str().unwrap()]);
    for (text, path) in [("sftp://host/~/a/b", "a/b"), ("sftp://host/~", ".")] {
        let storage = SftpStorage::create(&SftpAddress::parse(text).unwrap(), &options).unwrap();
        storage.put(&key("object"), b"x").unwrap();
        assert!(home.path().join(path).join("object").exists(), "{text}");
        assert_eq!(storage.location(), text);
    }
}

/// Somebody empties a repository under a running process, which knew its directories.
#[test]
fn a_directory_that_went_is_made_again() {
    let Some((_directory, storage)) = create() else { return };
    for _ in 0..2 {
        storage.put(&key("a/b/object"), b"x").unwrap();
        fs::remove_dir_all(root(&storage).join("a")).unwrap();
    }
}

#[test]
fn what_is_foreign_is_left_alone() {
    let Some((directory, storage)) = create() else { return };
    let outside = directory.path().join("outside");
    directory::what_is_foreign_is_left_alone(&storage, &root(&storage), &outside);
    assert_eq!(unfinished(&storage), 0);
}

#[test]
fn the_root_may_be_a_link() {
    let Some((directory, storage)) = create() else { return };
    storage.put(&key("object"), b"x").unwrap();
    let link = directory.path().join("link");
    symlink(root(&storage), &link).unwrap();
    let storage = SftpStorage::open(&address(&link), &options(&[])).unwrap();
    assert_eq!(storage.list(None).unwrap().len(), 1);
    storage.put(&key("another"), b"x").unwrap();
    assert!(storage.remove(&key("object")).unwrap());
}

#[test]
fn a_sweep_takes_what_is_old() {
    let Some((_directory, storage)) = create() else { return };
    let day = Duration::from_secs(86_400);
    assert_eq!(storage.sweep(day).unwrap(), 0);
    let left = root(&storage).join("tmp/left-by-a-killed-process");
    fs::write(&left, b"half").unwrap();
    let mut upload = storage.begin().unwrap();
    upload.write_all(b"still being written").unwrap();
    assert_eq!(storage.stale(day).unwrap(), Stale::default());
    assert_eq!(storage.sweep(day).unwrap(), 0);
    let old = SystemTime::now() - day - Duration::from_secs(60);
    fs::File::options().append(true).open(&left).unwrap().set_modified(old).unwrap();
    assert_eq!(storage.stale(day).unwrap(), Stale { files: 1, bytes: 4 });
    // As whoever opens a repository has it.
    let tended = tended(Arc::new(storage.clone()), &RemoteOptions::default());
    assert_eq!(tended.sweep(day).unwrap(), 1);
    assert!(!left.exists());
    upload.publish(&key("object")).unwrap();
    assert_eq!(storage.stat(&key("object")).unwrap().unwrap().size, 19);
    assert_eq!(unfinished(&storage), 0);
}

/// Each with a connection of its own, as of several hosts.
#[test]
fn of_creators_on_several_connections_one_wins() {
    const CREATORS: usize = 4;
    let Some((_directory, storage)) = create() else { return };
    let path = root(&storage);
    let connect = |_| SftpStorage::open(&address(&path), &options(&[])).unwrap();
    let storages: Vec<_> = (0..CREATORS).map(connect).collect();
    for round in 0..20 {
        let name = key(&format!("race/{round}/object"));
        let barrier = Barrier::new(CREATORS);
        let create = |storage: &SftpStorage| {
            let mut upload = storage.begin().unwrap();
            upload.write_all(b"x").unwrap();
            barrier.wait();
            match upload.publish(&name) {
                Ok(()) => true,
                Err(Error::Exists { .. }) => false,
                Err(other) => panic!("{other:?}"),
            }
        };
        let wins = thread::scope(|scope| {
            let creators: Vec<_> =
                storages.iter().map(|storage| scope.spawn(|| create(storage))).collect();
            creators.into_iter().map(|creator| creator.join().unwrap()).filter(|won| *won).count()
        });
        assert_eq!(wins, 1, "round {round}");
    }
    // Then all that they sent is done.
    drop(storages);
    assert_eq!(unfinished(&storage), 0);
}

fn plain(bytes: usize, seed: u32) -> Vec<u8> {
    (seed..).flat_map(|n| n.wrapping_mul(n).to_be_bytes()).take(bytes).collect()
}

/// Through ssh, whose pipes and channels are full at times; all over one connection.
#[test]
fn large_objects_at_once() {
    let Some(server) = Sshd::start() else { return };
    let path = server.path("repository");
    let storage = SftpStorage::create(&server.address(&path), &server.options()).unwrap();
    thread::scope(|scope| {
        for (seed, bytes) in [(1, 20 << 20), (2, (3 << 20) + 1), (3, 1 << 20)] {
            let storage = &storage;
            scope.spawn(move || {
                let (name, expected) = (key(&format!("large/{seed}")), plain(bytes, seed));
                let mut upload = storage.begin().unwrap();
                for piece in expected.chunks(100_000) {
                    upload.write_all(piece).unwrap();
                }
                upload.publish(&name).unwrap();
                let mut found = Vec::new();
                storage.read(&name, None).unwrap().read_to_end(&mut found).unwrap();
                assert!(found == expected, "{seed}");
                let range = 1_000_000..1_000_000 + 70_000;
                found.clear();
                storage.read(&name, Some(range.clone())).unwrap().read_to_end(&mut found).unwrap();
                assert_eq!(range.end - range.start, 70_000);
                let end = expected.len().min(1_070_000);
                assert!(found == expected[1_000_000..end], "{seed}");
            });
        }
    });
}

/// More directories than are read at once, and more names than come in one answer.
#[test]
fn a_long_listing_over_many_directories() {
    let Some((_directory, storage)) = create() else { return };
    let root = root(&storage);
    let mut expected = Vec::new();
    for directory in 0..40 {
        let path = root.join(format!("{directory}/deep/er"));
        fs::create_dir_all(&path).unwrap();
        for file in 0..if directory == 7 { 1500 } else { 5 } {
            fs::write(path.join(format!("{file}")), [b'x'; 3]).unwrap();
            expected.push(format!("{directory}/deep/er/{file}"));
        }
    }
    expected.sort();
    let found = storage.list(None).unwrap();
    assert!(found.iter().all(|entry| entry.size == 3));
    let names: Vec<_> = found.iter().map(|entry| entry.key.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    assert_eq!(names, expected);
    assert_eq!(storage.list_names(Some(&key("7/deep/er"))).unwrap().len(), 1500);
}
