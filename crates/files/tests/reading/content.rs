//! Reading what a walk has found.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use lifeboat_files::{FileContent, FoundFile, WalkItem, WalkOptions};
use rustix::fs::{CWD, Mode};

use crate::common::{Scratch, walk};

/// The file at a path.
fn find(path: &Path) -> FoundFile {
    let file = walk(path, WalkOptions::default()).find_map(|item| match item {
        WalkItem::File(file) => Some(file),
        _ => None,
    });
    file.unwrap()
}

fn read(content: &mut FileContent) -> Vec<u8> {
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_file_is_read_as_it_is() {
    let scratch = Scratch::new();
    // Larger than what is given back to the system at once.
    let large: Vec<_> =
        (0..20_000_003_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for bytes in [&b""[..], b"some", &large] {
        let path = scratch.path("file");
        fs::write(&path, bytes).unwrap();
        let mut content = find(&path).open().unwrap().unwrap();
        assert_eq!(content.size(), bytes.len() as u64);
        assert!(read(&mut content) == bytes);
        assert_eq!(content.position(), content.size());
        assert!(!content.changed().unwrap());
    }
}

#[test]
fn a_file_that_grows_ends_where_it_ended_when_it_was_opened() {
    let scratch = Scratch::new();
    let path = scratch.write("log", "before");
    let file = find(&path);
    let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
    writer.write_all(b" open").unwrap();
    let mut content = file.open().unwrap().unwrap();
    writer.write_all(b" and after").unwrap();
    assert_eq!(read(&mut content), b"before open");
    assert_eq!((content.size(), file.entry.metadata.size), (11, 6));
    assert!(content.changed().unwrap());
}

#[test]
fn a_file_that_shrinks_has_less_to_read() {
    let scratch = Scratch::new();
    let path = scratch.write("file", "0123456789");
    let mut content = find(&path).open().unwrap().unwrap();
    File::options().write(true).open(&path).unwrap().set_len(4).unwrap();
    assert_eq!(read(&mut content), b"0123");
    assert_eq!((content.position(), content.size()), (4, 10));
    assert!(content.changed().unwrap());
}

#[test]
fn a_file_with_another_time_has_changed_even_of_the_same_size() {
    let scratch = Scratch::new();
    let path = scratch.write("file", "old");
    let mut content = find(&path).open().unwrap().unwrap();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "new").unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_modified(before + std::time::Duration::from_nanos(1)).unwrap();
    read(&mut content);
    assert!(content.changed().unwrap());
}

#[test]
fn a_file_that_was_removed_is_none() {
    let scratch = Scratch::new();
    let path = scratch.write("file", "content");
    let file = find(&path);
    fs::remove_file(&path).unwrap();
    assert!(file.open().unwrap().is_none());
}

#[test]
fn what_came_in_the_place_of_a_file_is_not_read() {
    let scratch = Scratch::new();
    let other = scratch.write("other", "other content");
    let path = scratch.write("file", "content");
    let file = find(&path);
    let swaps: [(&str, &dyn Fn()); 5] = [
        ("file", &|| drop(fs::write(&path, "content"))),
        ("link", &|| symlink(&other, &path).unwrap()),
        ("fifo", &|| rustix::fs::mkfifoat(CWD, &path, Mode::RUSR).unwrap()),
        ("socket", &|| drop(std::os::unix::net::UnixListener::bind(&path).unwrap())),
        ("directory", &|| fs::create_dir(&path).unwrap()),
    ];
    // Keeps its inode from being given to the next.
    fs::rename(&path, scratch.path("away")).unwrap();
    for (name, swap) in swaps {
        swap();
        let problem = file.open().unwrap_err();
        assert_eq!(problem.path, path);
        assert_eq!(problem.source.to_string(), "it was replaced while it was looked at", "{name}");
        assert_eq!(problem.to_string(), format!("cannot open {}", path.display()));
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    }
}

#[test]
fn a_file_is_found_in_its_directory_whatever_that_is_called_now() {
    let scratch = Scratch::new();
    let path = scratch.write("directory/file", "content");
    let file = find(&path);
    fs::rename(scratch.path("directory"), scratch.path("renamed")).unwrap();
    scratch.write("directory/file", "of another");
    assert_eq!(read(&mut file.open().unwrap().unwrap()), b"content");
}

#[test]
fn reading_leaves_no_access_time() {
    let scratch = Scratch::new();
    let path = scratch.write("directory/file", "content");
    let long_ago = fs::FileTimes::new()
        .set_accessed(std::time::UNIX_EPOCH)
        .set_modified(std::time::SystemTime::now());
    let directory = scratch.path("directory");
    for path in [&path, &directory] {
        File::open(path).unwrap().set_times(long_ago).unwrap();
    }
    read(&mut find(&directory).open().unwrap().unwrap());
    for path in [path, directory] {
        assert_eq!(fs::metadata(path).unwrap().accessed().unwrap(), std::time::UNIX_EPOCH);
    }
}
