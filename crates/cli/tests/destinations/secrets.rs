//! Secrets of stores are seen by nobody: not in the list of processes, not in what is printed, not in what is kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lifeboat_servers::s3::{KEY_ID, SECRET};

use crate::common::{Home, files_below};
use crate::places::{Bucket, configure, require_rclone, write_config};

/// The command lines of all processes.
fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    // Some have gone meanwhile.
    let lines = entries.filter_map(|path| fs::read(path.join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

fn nowhere_below(directory: &Path, secret: &str) {
    for file in files_below(directory) {
        assert!(!contains(&fs::read(&file).unwrap(), secret), "{}", file.display());
    }
}

#[test]
fn the_secret_of_a_key_is_seen_by_nobody() {
    let home = Home::new();
    let bucket = Bucket::new();
    configure(&home, &[("s3", bucket.table())]);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let found = seen.clone();
    bucket.proxy.decide(move |_| {
        let shown = command_lines().into_iter().filter(|line| line.contains(SECRET));
        found.lock().unwrap().extend(shown);
        None
    });
    let commands: [&[&str]; 7] = [
        &["backup", "-v"],
        &["backup", "--json", "-v"],
        &["config", "show"],
        &["config", "show", "--json"],
        &["doctor", "--json"],
        &["stats", "--json"],
        &["replicate", "--once", "--json", "-v"],
    ];
    for command in commands {
        let ran = home.run(command);
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
        assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{command:?}: {ran:?}");
    }
    assert_eq!(*seen.lock().unwrap(), [] as [String; 0]);
    nowhere_below(&home.state(), SECRET);
    for name in bucket.store.names() {
        assert!(!contains(&bucket.store.object(&name).unwrap().bytes, SECRET), "{name}");
    }
    for file in files_below(&home.state()) {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", file.display());
    }
}

#[test]
fn a_secret_on_the_command_line_is_warned_of() {
    let home = Home::new();
    let bucket = Bucket::new();
    write_config(&home, &[]);
    let endpoint = format!("http://{}", bucket.proxy.address);
    let place = [
        "--s3-bucket",
        "bucket",
        "--s3-prefix",
        "p",
        "--s3-region",
        "eu-test-1",
        "--s3-endpoint",
        &endpoint,
        "--s3-access-key",
        KEY_ID,
    ];
    let with = |more: &[&'static str], given: &[&'static str]| {
        let arguments: Vec<&str> = [more, &place[..], given].concat();
        let mut command = home.command(&arguments);
        command.env("AWS_SECRET_ACCESS_KEY", SECRET);
        crate::common::Ran::of(command.output().unwrap())
    };
    let warned = with(&["init"], &["--s3-secret-key", SECRET]);
    assert_eq!(warned.code, Some(0), "{warned:?}");
    assert!(warned.err.contains("warning: every user of this machine can see"), "{warned:?}");
    assert!(!warned.err.contains(SECRET), "{warned:?}");
    let silent = with(&["backups"], &[]);
    assert!(!silent.err.contains("warning"), "{silent:?}");
}

/// rclone's server has a password of its own: only rclone and we know it.
#[test]
fn the_password_of_rclones_server_is_seen_by_nobody() {
    if !require_rclone() {
        return;
    }
    let home = Home::new();
    home.write("rclone.conf", "[box]\ntype = alias\nremote = /\n");
    let script = "#!/bin/sh\nenv | grep '^RCLONE_' >> env.txt\n\
        cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' >> lines.txt\n\
        printf '%s ' \"$@\" >> lines.txt\nexec rclone \"$@\"\n";
    let wrapper = home.write("wrapper", script);
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o700)).unwrap();
    let table = format!(
        "url = 'rclone:box:{}'\nrclone-config = 'rclone.conf'\nrclone = '{}'\n",
        home.path("over").display(),
        wrapper.display()
    );
    configure(&home, &[("rclone", table)]);
    let mut printed = String::new();
    for command in [&["backup", "-v"][..], &["backup", "--json"], &["config", "show"]] {
        let ran = home.run(command);
        assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
        printed += &(ran.out + &ran.err);
    }
    let environment = fs::read_to_string(home.path("env.txt")).unwrap();
    let lines = fs::read_to_string(home.path("lines.txt")).unwrap();
    assert!(lines.contains("serve"), "{lines}");
    let secrets: Vec<&str> =
        environment.lines().filter_map(|line| line.strip_prefix("RCLONE_PASS=")).collect();
    assert!(secrets.len() >= 3, "{environment}");
    for secret in secrets {
        assert!(secret.len() >= 32 && !lines.contains(secret) && !printed.contains(secret));
        nowhere_below(&home.state(), secret);
    }
}
