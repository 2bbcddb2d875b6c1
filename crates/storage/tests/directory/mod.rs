//! What all storages promise that keep objects in a directory, here or on a server.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use lifeboat_storage::{Error, Key, Storage};
use rustix::fs::{CWD, FileType, Mode};

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Links out of the repository, to files and to directories, and names that are no keys. Of a storage in a `root` that
/// is empty; `outside` is made.
pub(crate) fn what_is_foreign_is_left_alone(storage: &impl Storage, root: &Path, outside: &Path) {
    fs::create_dir(outside).unwrap();
    fs::write(outside.join("secret"), b"secret").unwrap();
    fs::create_dir(root.join("a")).unwrap();
    symlink(outside, root.join("a/directory")).unwrap();
    symlink(outside.join("secret"), root.join("a/file")).unwrap();
    symlink("nowhere", root.join("a/dangling")).unwrap();
    fs::write(root.join("a/not a key"), b"").unwrap();
    fs::create_dir(root.join("lost+found")).unwrap();
    rustix::fs::mknodat(CWD, root.join("a/fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();

    assert_eq!(storage.list(None).unwrap(), []);
    assert_eq!(storage.list_names(Some(&key("a"))).unwrap(), []);
    assert_eq!(storage.list(Some(&key("a/directory"))).unwrap(), []);
    for name in ["a/directory/secret", "a/file", "a/dangling", "a/fifo"] {
        assert!(matches!(storage.read(&key(name), None), Err(Error::NotFound { .. })), "{name}");
        assert_eq!(storage.stat(&key(name)).unwrap(), None, "{name}");
        assert!(!storage.remove(&key(name)).unwrap(), "{name}");
        assert!(storage.put(&key(name), b"x").is_err(), "{name}");
    }
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
}
