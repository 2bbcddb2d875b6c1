//! Disks that are full, or may not be written.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_storage::{Error, SftpStorage, Storage};

use crate::server::{have, is_root, key};
use crate::subsystem::{SERVER, address, options};

/// A file system of a few MiB in memory, unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// `None` where nothing may be mounted.
    fn mount(path: &Path) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", "size=4m", "lifeboat-test"];
        if is_root() && run("mount", &mount, path) {
            return Some(Self { path: path.to_owned() });
        }
        println!("skipped: nothing can be mounted here");
        None
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    let status = Command::new(program).args(arguments).arg(path).status();
    status.is_ok_and(|status| status.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["--lazy"], &self.path);
    }
}

fn kind(error: &Error) -> ErrorKind {
    match error {
        Error::Storage { source, .. } => source.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    if !have(SERVER) {
        return;
    }
    let Some(disk) = SmallDisk::mount(directory.path()) else { return };
    let storage = SftpStorage::create(&address(&disk.path), &options(&[])).unwrap();
    let error = storage.put(&key("a/object"), &vec![1; 8 << 20]).unwrap_err();
    assert_eq!(kind(&error), ErrorKind::StorageFull, "{error:?}");
    assert!(matches!(&error, Error::Storage { object, .. } if object.starts_with("tmp/")));

    let mut upload = storage.begin().unwrap();
    assert!(upload.write_all(&vec![1; 8 << 20]).is_err());
    assert!(upload.publish(&key("a/object")).is_err());
    assert_eq!(storage.list(None).unwrap(), []);
    assert_eq!(std::fs::read_dir(disk.path.join("tmp")).unwrap().count(), 0);
    storage.put(&key("a/object"), b"there is room for this").unwrap();
}

#[test]
fn a_read_only_disk() {
    let directory = tempfile::tempdir().unwrap();
    if !have(SERVER) {
        return;
    }
    let Some(disk) = SmallDisk::mount(directory.path()) else { return };
    let storage = SftpStorage::create(&address(&disk.path), &options(&[])).unwrap();
    storage.put(&key("object"), b"x").unwrap();
    // What is answered after this was done before: nothing is open any more.
    assert_eq!(storage.list(None).unwrap().len(), 1);
    assert!(run("mount", &["-o", "remount,ro"], &disk.path));
    let failures = [
        storage.put(&key("another"), b"x").unwrap_err(),
        storage.remove(&key("object")).unwrap_err(),
    ];
    for error in failures {
        assert_eq!(kind(&error), ErrorKind::ReadOnlyFilesystem, "{error:?}");
    }
    assert_eq!(storage.list(None).unwrap().len(), 1);
}

/// The server's own way to be read-only.
#[test]
fn a_read_only_server() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("tmp")).unwrap();
    std::fs::write(directory.path().join("object"), b"x").unwrap();
    let storage = SftpStorage::open(&address(directory.path()), &options(&["-R"])).unwrap();
    let failures = [
        storage.put(&key("another"), b"x").unwrap_err(),
        storage.remove(&key("object")).unwrap_err(),
        SftpStorage::create(&address(&directory.path().join("new")), &options(&["-R"]))
            .unwrap_err(),
    ];
    for error in failures {
        assert_eq!(kind(&error), ErrorKind::PermissionDenied, "{error:?}");
    }
    assert_eq!(storage.list(None).unwrap().len(), 1);
}
