//! The tools with which users would open a repository by hand: `age` and `zstd`, not written by us.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use lifeboat_ltx::Decoder;
use lifeboat_repository::Repository;
use lifeboat_storage::{LocalStorage, Storage, unwrap_with_passphrase};

use crate::common::{Database, backup, key, password, restore, txid};

/// Whether tools that we did not write are here. Where LIFEBOAT_REQUIRE_ORACLES is set, they must be.
#[allow(clippy::print_stdout, reason = "a test that does nothing says so")]
fn have(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| {
        let mut command = std::process::Command::new(tool);
        let run = command.arg("--version").stdout(std::process::Stdio::null()).status();
        !run.is_ok_and(|status| status.success())
    });
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing");
    false
}

/// A repository in a directory with one backup, and the files that hold it.
struct OnDisk {
    directory: tempfile::TempDir,
    database: Database,
    repository: Repository,
    identity: PathBuf,
    /// Unwrapped.
    secret: PathBuf,
}

impl OnDisk {
    fn new(part_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("repository");
        let storage = LocalStorage::create(&root).unwrap();
        let repository = Repository::init(Arc::new(storage.clone()), &password(), "test").unwrap();
        let repository = repository.with_part_bytes(part_bytes);
        let mut database = Database::new("pi", "app", 30);
        backup(&repository, &mut [&mut database]).unwrap();
        let key = storage.list(Some(&key("identities"))).unwrap().remove(0).key;
        let identity = root.join(key.as_str());
        let secret = directory.path().join("identity.txt");
        let text = unwrap_with_passphrase(&fs::read(&identity).unwrap(), &password()).unwrap();
        fs::write(&secret, text).unwrap();
        Self { directory, database, repository, identity, secret }
    }

    /// The paths of the base's objects.
    fn objects(&self) -> Vec<PathBuf> {
        let listing = self.repository.listing(&self.database.lineage).unwrap();
        let objects = listing.files[0].objects.iter();
        objects.map(|object| self.path(object.key.as_str())).collect()
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.path().join("repository").join(key)
    }

    /// Our decoder on what the tools made of it.
    fn assert_is_the_base(&self, ltx: &[u8]) {
        let mut decoder = Decoder::new(ltx).unwrap();
        let (mut page, mut bytes) = (Vec::new(), Vec::new());
        while decoder.next_page(&mut page).unwrap().is_some() {
            bytes.extend_from_slice(&page);
        }
        assert_eq!(decoder.header().node, self.database.lineage.id().node());
        decoder.finish().unwrap();
        assert!(bytes == self.database.captures[&1]);
    }
}

fn shell(script: &str, arguments: &[&Path]) -> Vec<u8> {
    let mut command = Command::new("sh");
    command.args(["-euc", script, "sh"]).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {} {errors}", output.status);
    output.stdout
}

#[test]
fn age_and_zstd_open_an_object() {
    if !have(&["age", "zstd"]) {
        return;
    }
    let disk = OnDisk::new(u64::MAX);
    let objects = disk.objects();
    assert_eq!(objects.len(), 1);
    let ltx = shell("age -d -i \"$1\" \"$2\" | zstd -d", &[&disk.secret, &objects[0]]);
    disk.assert_is_the_base(&ltx);
    let name = disk.repository.backups().unwrap().remove(0);
    let manifest = disk.path(name.key().unwrap().as_str());
    let json = shell("age -d -i \"$1\" \"$2\" | zstd -d", &[&disk.secret, &manifest]);
    assert!(json.starts_with(b"{\"version\":1,") && json.ends_with(b"\"}\n"));
}

#[test]
fn cat_puts_parts_together() {
    if !have(&["age", "zstd"]) {
        return;
    }
    let disk = OnDisk::new(1000);
    let objects = disk.objects();
    assert!(objects.len() > 10);
    let first = objects[0].to_str().unwrap();
    let file = PathBuf::from(first.strip_suffix(".0001").unwrap());
    let ltx = shell("cat \"$2\".* | age -d -i \"$1\" | zstd -d", &[&disk.secret, &file]);
    disk.assert_is_the_base(&ltx);
}

/// A wrapped identity as it is: age asks for its passphrase on the terminal, which is a pty here.
#[test]
fn age_asks_for_the_passphrase_of_a_wrapped_identity() {
    const PTY: &str = r#"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", 'age -d -i "$1" -o "$3" "$2"', "sh"] + sys.argv[1:4])
seen, sent = b"", False
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    if not data:
        break
    seen += data
    if not sent and b"passphrase" in seen:
        time.sleep(0.2)
        os.write(terminal, b"correct horse\n")
        sent = True
_, status = os.waitpid(pid, 0)
sys.stderr.buffer.write(seen)
sys.exit(0 if sent and status == 0 else 1)
"#;
    if !have(&["age", "zstd", "python3"]) {
        return;
    }
    let disk = OnDisk::new(u64::MAX);
    let out = disk.directory.path().join("out.zst");
    let mut child = Command::new("python3")
        .args(["-", disk.identity.to_str().unwrap()])
        .args([&disk.objects()[0], &out])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PTY.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{seen}");
    disk.assert_is_the_base(&shell("zstd -dc \"$1\"", &[&out]));
}

/// The other direction: what the tools make is read, as `docs/format.md` allows it.
#[test]
fn what_age_and_zstd_seal_is_read() {
    if !have(&["age", "zstd"]) {
        return;
    }
    let disk = OnDisk::new(u64::MAX);
    let object = disk.objects().remove(0);
    let recipient = disk.repository.recipient().unwrap().recipient.clone();
    let script = "age -d -i \"$1\" \"$2\" | zstd -d > \"$3\"; zstd -19 -c \"$3\" | age -r \"$4\" > \"$2\".new; \
                  mv \"$2\".new \"$2\"";
    let plain = disk.directory.path().join("plain.ltx");
    shell(script, &[&disk.secret, &object, &plain, Path::new(&recipient)]);
    let secrets = disk.repository.unlock(&password()).unwrap();
    let bytes = restore(&disk.repository, &secrets, &disk.database.lineage, txid(1)).unwrap();
    assert!(bytes == disk.database.captures[&1]);
}

/// `age -p` takes a work factor of 18.
#[test]
fn an_identity_that_age_wrapped_is_opened() {
    const PTY: &str = r#"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("age", ["age", "-p", "-o", sys.argv[2], sys.argv[1]])
seen, sent = b"", 0
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    if not data:
        break
    seen += data
    if seen.count(b"passphrase") > sent and seen.rstrip().endswith(b":") and sent < 2:
        sent += 1
        time.sleep(0.2)
        os.write(terminal, b"correct horse\n")
_, status = os.waitpid(pid, 0)
sys.stderr.buffer.write(seen)
sys.exit(0 if sent == 2 and status == 0 else 1)
"#;
    if !have(&["age", "python3"]) {
        return;
    }
    let disk = OnDisk::new(u64::MAX);
    let wrapped = disk.directory.path().join("wrapped.age");
    let mut child = Command::new("python3")
        .arg("-")
        .args([&disk.secret, &wrapped])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PTY.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::copy(&wrapped, &disk.identity).unwrap();
    assert!(disk.repository.unlock(&password()).is_ok());
}
