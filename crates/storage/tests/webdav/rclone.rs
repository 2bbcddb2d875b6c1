//! `rclone:`, with a remote that is a directory.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lifeboat_storage::{
    Cause, Error, Failure, Patience, RcloneOptions, Storage, conformance, rclone,
};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{PROMISES, have, remote_options};

fn options(directory: &Path) -> RcloneOptions {
    let config = directory.join("rclone.conf");
    fs::write(&config, "[box]\ntype = alias\nremote = /\n").unwrap();
    RcloneOptions { config: Some(config), remote: remote_options(), ..RcloneOptions::default() }
}

fn open(directory: &Path) -> Arc<dyn Storage> {
    let url = format!("rclone:box:{}/new/repository", directory.display());
    rclone(&url, &options(directory)).unwrap()
}

fn failure(result: Result<Arc<dyn Storage>, Error>) -> (Cause, String) {
    let error = result.map(drop).unwrap_err();
    let failure = Failure::of(&error).unwrap();
    (failure.cause, failure.message.clone())
}

/// Processes whose command line names a directory.
fn processes(directory: &Path) -> Vec<PathBuf> {
    let name = directory.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let names = |path: &PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(name)
    };
    entries.filter(names).collect()
}

#[test]
fn conformance_over_a_remote() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let count = AtomicU32::new(0);
    conformance::run_promising(PROMISES, &|| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let below = directory.path().join(number.to_string());
        fs::create_dir(&below).unwrap();
        open(&below)
    });
}

/// Whatever the owner likes better: a cache would answer first and send later.
#[test]
fn what_is_published_is_at_the_remote() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut options = options(directory.path());
    for argument in ["--vfs-cache-mode=writes", "--vfs-write-back=1h", "--cache-dir"] {
        options.arguments.push(argument.into());
    }
    options.arguments.push(directory.path().join("cache").into());
    let url = format!("rclone:box:{}/new/repository", directory.path().display());
    let storage = rclone(&url, &options).unwrap();
    let bytes = vec![7; 5 << 20];
    storage.put(&"a/object".parse().unwrap(), &bytes).unwrap();
    assert!(fs::read(directory.path().join("new/repository/a/object")).unwrap() == bytes);
}

/// Nothing of it is left, neither the shell nor rclone; and nobody who looks at processes learns the password.
#[test]
fn it_ends_with_its_storage_and_shows_no_secret() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let running = processes(directory.path());
    assert!(!running.is_empty());
    for process in &running {
        let environment = fs::read(process.join("environ")).unwrap();
        let variables = environment.split(|byte| *byte == 0);
        let variables = variables.map(|variable| String::from_utf8_lossy(variable).into_owned());
        let line = fs::read(process.join("cmdline")).unwrap();
        let line = String::from_utf8_lossy(&line).into_owned();
        let secrets: Vec<String> = variables
            .filter_map(|variable| {
                let (name, value) = variable.split_once('=')?;
                matches!(name, "RCLONE_USER" | "RCLONE_PASS").then(|| value.to_owned())
            })
            .collect();
        assert_eq!(secrets.len(), 2);
        for secret in secrets {
            assert_eq!(secret.len(), 64);
            assert!(!line.contains(&secret), "{line}");
            assert!(!format!("{storage:?} {}", storage.location()).contains(&secret));
        }
    }
    drop(storage);
    assert_eq!(processes(directory.path()), [] as [PathBuf; 0]);
}

/// Also when nobody is left to end it: the other process is killed while it uses one.
#[test]
fn it_ends_with_a_process_that_is_killed() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "rclone::uses_one_until_it_is_killed", "--nocapture"])
        .env("LIFEBOAT_TEST_ROOT", directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("one is running")));
    let running: Vec<OwnedFd> =
        processes(directory.path()).iter().map(|path| watch(path)).collect();
    assert!(running.len() >= 2, "a shell and an rclone");
    process.kill().unwrap();
    process.wait().unwrap();
    for process in running {
        let mut ended = [PollFd::new(&process, PollFlags::IN)];
        while poll(&mut ended, None).is_err() {}
    }
    assert_eq!(processes(directory.path()), [] as [PathBuf; 0]);
}

#[test]
#[ignore = "run by it_ends_with_a_process_that_is_killed"]
fn uses_one_until_it_is_killed() {
    let root = PathBuf::from(std::env::var_os("LIFEBOAT_TEST_ROOT").unwrap());
    let storage = open(&root);
    assert_eq!(storage.list(None).unwrap(), []);
    println!("one is running");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// What can be waited for until a process has ended.
fn watch(process: &Path) -> OwnedFd {
    let id: i32 = process.file_name().unwrap().to_str().unwrap().parse().unwrap();
    pidfd_open(Pid::from_raw(id).unwrap(), PidfdFlags::empty()).unwrap()
}

/// Killed, it is started again, and a reader that was open goes on.
#[test]
fn one_that_died_is_started_again() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let storage = open(directory.path());
    let bytes: Vec<u8> = (0..8_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let key = "a/object".parse().unwrap();
    storage.put(&key, &bytes).unwrap();
    for _ in 0..3 {
        let mut reader = storage.read(&key, None).unwrap();
        let mut found = vec![0; 100];
        reader.read_exact(&mut found).unwrap();
        kill(directory.path());
        reader.read_to_end(&mut found).unwrap();
        assert!(found == bytes);
        kill(directory.path());
        assert_eq!(storage.list(None).unwrap().len(), 1);
    }
}

/// Kills rclone, which is the one that has no `sh` in front.
fn kill(directory: &Path) {
    for process in processes(directory) {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        if line.starts_with(b"rclone\0") {
            let id = process.file_name().unwrap().to_str().unwrap().to_owned();
            let killed = Command::new("kill").args(["-KILL", &id]).status().unwrap();
            assert!(killed.success());
        }
    }
}

#[test]
fn what_is_missing_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let known = options(directory.path());
    let absent = RcloneOptions { program: "/nonexistent/rclone".into(), ..known.clone() };
    let (cause, message) = failure(rclone("rclone:box:x", &absent));
    assert_eq!((cause, message.as_str()), (Cause::Invalid, "/nonexistent/rclone is not installed"));
    for url in ["box:x", "rclone:", "rclone:--help"] {
        assert_eq!(failure(rclone(url, &known)).0, Cause::Invalid, "{url}");
    }
    if !have("rclone") {
        return;
    }
    let (cause, message) = failure(rclone("rclone:other:x", &known));
    assert_eq!(cause, Cause::Invalid);
    assert!(message.contains("didn't find section in config file"), "{message}");
    assert_eq!(processes(directory.path()), [] as [PathBuf; 0]);
}

/// What the remote refuses comes with rclone's words, and at once: patience would last for a day.
#[test]
fn a_refusal_of_the_remote_is_explained() {
    if !have("rclone") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("new"), "a file in the place of a directory").unwrap();
    let mut options = options(directory.path());
    let day = Duration::from_secs(24 * 60 * 60);
    options.remote.patience = Patience { total: day, ..Patience::default() };
    let below_a_file = format!("rclone:box:{}/new/repository", directory.path().display());
    // Not even root makes anything there.
    let forbidden = "rclone:box:/sys/kernel".to_owned();
    for (url, cause, words) in [
        (below_a_file, Cause::Invalid, "not a directory"),
        (forbidden, Cause::Denied, "operation not permitted"),
    ] {
        let storage = rclone(&url, &options).unwrap();
        let error = storage.put(&"a".parse().unwrap(), b"x").unwrap_err();
        let failure = Failure::of(&error).unwrap();
        assert!(failure.message.contains(words), "{}", failure.message);
        assert_eq!(failure.cause, cause, "{}", failure.message);
    }
}
