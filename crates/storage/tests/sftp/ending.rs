//! The end of the program that connects.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread;

use lifeboat_storage::{SftpOptions, Storage};

use crate::server::{have, key, output};
use crate::subsystem::{SERVER, create_with};

/// A process that is gone, waited for included, has no directory there.
fn is_there(pid: &str) -> bool {
    Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn the_program_ends_with_the_last_user() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let script = format!("echo $$ > {}; exec {SERVER}", pid.display());
    let command = Some(vec!["sh".into(), "-c".into(), script.into()]);
    let options = SftpOptions { command, ..SftpOptions::default() };
    let Some((_directory, storage)) = create_with(&options) else { return };
    let pid = fs::read_to_string(pid).unwrap();
    storage.put(&key("object"), b"some bytes").unwrap();
    let clone = storage.clone();
    let mut reader = storage.read(&key("object"), None).unwrap();
    let path = storage.address().path().to_owned();
    drop(storage);
    drop(clone);
    assert!(is_there(&pid));
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap();
    assert_eq!(found, b"some bytes");
    drop(reader);
    assert!(!is_there(&pid));
    // What was sent last was done.
    assert_eq!(fs::read_dir(Path::new(&path).join("tmp")).unwrap().count(), 0);
}

/// What it started is ended with it, also if that has its output open.
#[test]
fn a_program_that_does_not_end_is_killed() {
    if !have(SERVER) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let alive = directory.path().join("alive");
    output(Command::new("mkfifo").arg(&alive));
    let script = format!("trap '' TERM; {SERVER}; sleep infinity 3> {} & wait", alive.display());
    let command = Some(vec!["sh".into(), "-c".into(), script.into()]);
    let options = SftpOptions { command, ..SftpOptions::default() };
    let Some((_directory, storage)) = create_with(&options) else { return };
    // The pipe is at its end when the last who has it open is gone.
    let until_gone = thread::spawn(move || fs::read(alive).unwrap());
    drop(storage);
    assert_eq!(until_gone.join().unwrap(), b"");
}
