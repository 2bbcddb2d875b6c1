//! The tools that users would read a repository with: `age` and `zstd`, not written by us.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "says which test was skipped")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use lifeboat_storage::secrecy::ExposeSecret;
use lifeboat_storage::x25519::Identity;
use lifeboat_storage::{SealOptions, SealWriter, seal_bytes, unseal_bytes};

/// Whether all tools are here. Where LIFEBOAT_REQUIRE_ORACLES is set, they must be.
fn have(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| {
        let run = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        !run.is_ok_and(|status| status.success())
    });
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing");
    false
}

fn run(tool: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success(), "{tool}: {}", output.status);
    output.stdout
}

fn identity_file(directory: &Path, identity: &Identity) -> String {
    let path = directory.join("identity.txt");
    fs::write(&path, format!("# label: test\n{}\n", identity.to_string().expose_secret())).unwrap();
    path.to_str().unwrap().to_owned()
}

fn plain(bytes: usize) -> Vec<u8> {
    (0_u32..).flat_map(|n| n.wrapping_mul(n).to_be_bytes()).take(bytes).collect()
}

#[test]
fn age_and_zstd_read_what_we_seal() {
    if !have(&["age", "zstd"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let identity = Identity::generate();
    let file = identity_file(directory.path(), &identity);
    let recipients = [identity.to_public()];
    for bytes in [0, 1, 100_000, 9 << 20] {
        let mut writer = SealWriter::new(Vec::new(), &recipients, &SealOptions::default()).unwrap();
        writer.write_all(&plain(bytes)).unwrap();
        for sealed in [writer.finish().unwrap().0, seal_bytes(&plain(bytes), &recipients).unwrap()]
        {
            let compressed = run("age", &["-d", "-i", &file], &sealed);
            assert!(run("zstd", &["-d", "-c"], &compressed) == plain(bytes), "{bytes} bytes");
        }
    }
}

#[test]
fn we_read_what_age_and_zstd_sealed() {
    if !have(&["age", "zstd"]) {
        return;
    }
    let identity = Identity::generate();
    let recipient = identity.to_public().to_string();
    for level in ["-1", "-19", "--fast=5"] {
        let compressed = run("zstd", &["-c", level], &plain(1 << 20));
        let sealed = run("age", &["-r", &recipient], &compressed);
        let unsealed = unseal_bytes(&sealed, std::slice::from_ref(&identity), 1 << 20).unwrap();
        assert!(unsealed == plain(1 << 20), "{level}");
    }
}
