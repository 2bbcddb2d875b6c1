//! Files that are begun and not ended as they should be.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use lifeboat_files::{Decision, FileInProgress, Outcome, Put, PutReport};

use crate::tree::{Node, file, names, problems, read_entry, safe, scratch, write};

/// Puts a file of ten bytes over one of three, and does something with it while it is written.
fn with_file(end: impl FnOnce(FileInProgress<'_>)) -> (PutReport, Vec<u8>) {
    let scratch = scratch();
    write(scratch.path().join("file"), b"old", 1);
    let node = ten();
    let mut put = Put::open(scratch.path(), safe()).unwrap();
    let Decision::Write(in_progress) = put.file("file".as_ref(), &node.entry) else { panic!() };
    assert_eq!(names(scratch.path()).len(), 2, "a temporary file beside it");
    end(in_progress);
    let report = put.finish();
    let left = names(scratch.path());
    assert!(left.iter().all(|name| !name.contains(".tmp")), "{left:?}");
    (report, fs::read(scratch.path().join("file")).unwrap())
}

fn ten() -> Node {
    file("file", b"0123456789", 1)
}

#[track_caller]
fn assert_failed((report, content): (PutReport, Vec<u8>), why: &str) {
    let problems = problems(&report);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].ends_with(why), "{problems:?}");
    assert_eq!(content, b"old", "what is there stays");
    assert_eq!((report.files, report.replaced, report.moved_aside), (0, 0, 0));
    assert_eq!(report.written_bytes, 0);
}

#[test]
fn written_in_pieces() {
    let (report, content) = with_file(|mut file| {
        for byte in b'0'..=b'9' {
            file.write_all(&[byte]).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(file.commit(), Outcome::Replaced);
    });
    assert_eq!(content, b"0123456789");
    assert_eq!((report.problem_count, report.files, report.written_bytes), (0, 1, 10));
}

#[test]
fn too_short() {
    let short = with_file(|mut file| {
        file.write_all(b"012345678").unwrap();
        assert_eq!(file.commit(), Outcome::Failed);
    });
    assert_failed(short, "file: the backup has 9 bytes of 10");
}

#[test]
fn too_long() {
    let long = with_file(|mut file| {
        file.write_all(b"0123456789").unwrap();
        let error = file.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(file.commit(), Outcome::Failed);
    });
    assert_failed(long, "file: the backup has more bytes than it should");
}

#[test]
fn dropped() {
    let dropped = with_file(|mut file| file.write_all(b"0123456789").unwrap());
    assert_failed(dropped, "file: it was not finished");
}

#[test]
fn abandoned() {
    let abandoned = with_file(|mut file| {
        file.write_all(b"012").unwrap();
        file.abandon("read from the backup", io::Error::other("a blob is damaged"));
    });
    assert_failed(abandoned, "file: a blob is damaged");
}

/// What appears while it is written is not overwritten: nobody decided about that.
#[test]
fn something_appears_meanwhile() {
    let scratch = scratch();
    let node = ten();
    let mut put = Put::open(scratch.path(), safe()).unwrap();
    let Decision::Write(mut in_progress) = put.file("file".as_ref(), &node.entry) else { panic!() };
    in_progress.write_all(&node.content).unwrap();
    fs::write(scratch.path().join("file"), "new").unwrap();
    assert_eq!(in_progress.commit(), Outcome::Failed);
    let report = put.finish();
    let path = scratch.path().join("file");
    let expected = format!("cannot put {}: File exists (os error 17)", path.display());
    assert_eq!(problems(&report), [expected]);
    assert_eq!(names(scratch.path()), ["file"]);
    assert_eq!(fs::read(path).unwrap(), b"new");
}

/// What is there when the file is complete is moved aside, even if it came meanwhile.
#[test]
fn something_else_is_there_meanwhile() {
    let scratch = scratch();
    let path = scratch.path().join("file");
    write(path.clone(), b"old", 1);
    let node = ten();
    let mut put = Put::open(scratch.path(), safe()).unwrap();
    let Decision::Write(mut in_progress) = put.file("file".as_ref(), &node.entry) else { panic!() };
    in_progress.write_all(&node.content).unwrap();
    replace_with_directory(&path);
    assert_eq!(in_progress.commit(), Outcome::Replaced);
    crate::tree::assert_well(&put.finish());
    assert_eq!(names(scratch.path()), ["before", "before/file", "before/file/below", "file"]);
}

fn replace_with_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    fs::write(path.join("below"), "new").unwrap();
}

/// The last step fails, because someone has cleaned up the temporary file: what was moved aside for
/// it is where it was.
#[test]
fn what_was_moved_aside_is_moved_back() {
    for is_directory in [false, true] {
        let scratch = scratch();
        let path = scratch.path().join("file");
        write(path.clone(), b"old", 1);
        if is_directory {
            replace_with_directory(&path);
        }
        let before = read_entry(&path);
        let node = ten();
        let mut put = Put::open(scratch.path(), safe()).unwrap();
        let Decision::Write(mut file) = put.file("file".as_ref(), &node.entry) else { panic!() };
        file.write_all(&node.content).unwrap();
        let is_temporary = |name: &String| name.ends_with(".tmp");
        let temporary = names(scratch.path()).into_iter().find(is_temporary).unwrap();
        fs::remove_file(scratch.path().join(temporary)).unwrap();
        assert_eq!(file.commit(), Outcome::Failed);
        let report = put.finish();
        let problems = problems(&report);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("cannot put "), "{problems:?}");
        assert!(problems[1].starts_with("cannot remove the temporary file of "), "{problems:?}");
        let after = read_entry(&path);
        assert_eq!(after.metadata.inode, before.metadata.inode);
        assert_eq!(after.metadata.links, before.metadata.links);
        assert_eq!((report.files, report.moved_aside), (0, 0));
        let left = if is_directory {
            vec!["before", "file", "file/below"]
        } else {
            vec!["before", "file"]
        };
        assert_eq!(names(scratch.path()), left);
    }
}
