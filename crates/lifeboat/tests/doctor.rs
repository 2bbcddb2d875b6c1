//! What an examination finds, one case for each kind of finding, and that it changes nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use common::{Machine, back_up, backup_app, start};
use lifeboat::Area::{Clock, Configuration, Database, Engine, Repository, State};
use lifeboat::Severity::{Ok, Problem, Warning};
use lifeboat::{
    Area, Diagnosis, DoctorRequest, Environment, Examination, KeySource, Overrides, PasswordSource,
    Request, Severity, Silent, doctor,
};

/// The findings of one examination.
struct Found(Vec<Examination>);

impl Found {
    /// Of the default configuration and these databases.
    fn of(machine: &Machine, sources: &[&str]) -> Self {
        Self::with(machine, sources, Overrides::default(), false)
    }

    fn with(machine: &Machine, sources: &[&str], overrides: Overrides, integrity: bool) -> Self {
        let home = machine.directory.path();
        let sources = sources.iter().map(|source| (*source).to_owned()).collect();
        let request = DoctorRequest { sources: Request::databases(sources), integrity };
        Self(doctor(Environment::of([("HOME", home)], home), overrides, &request, &Silent).unwrap())
    }

    fn integrity(machine: &Machine) -> Self {
        Self::with(machine, &["app.db"], Overrides::default(), true)
    }

    fn all(&self, area: Area, examined: &str) -> Vec<&Diagnosis> {
        let of_area = self.0.iter().filter(|examination| examination.area == area);
        let findings = of_area.flat_map(|examination| &examination.findings);
        findings.filter(|found| found.examined == examined).collect()
    }

    /// Expects a finding, and a remedy or an error (for which the command line knows one) unless
    /// all is well.
    #[track_caller]
    fn has(&self, area: Area, examined: &str, severity: Severity, text: &str) {
        let all = self.all(area, examined);
        let found = all.iter().find(|found| found.found.contains(text));
        let Some(found) = found else { panic!("no {text:?} in {all:?} of {:?}", self.0) };
        assert_eq!(found.severity, severity, "{found:?}");
        let helps = found.remedy.is_some() || found.error.is_some();
        assert_eq!(helps, severity > Ok, "{found:?}");
    }
}

fn repository(machine: &Machine) -> PathBuf {
    machine.path(".local/share/lifeboat/repository")
}

fn state(machine: &Machine) -> PathBuf {
    machine.path(".local/state/lifeboat")
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// With a WAL database of which there is a backup.
fn backed_up() -> Machine {
    let machine = Machine::new();
    machine.create("wal", 20);
    backup_app(&machine.context()).unwrap();
    machine
}

/// A directory, or a file with its content and time.
type Node = (PathBuf, Option<(Vec<u8>, SystemTime)>);

/// All files below a directory.
fn tree(directory: &Path) -> Vec<Node> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(std::result::Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.push((path.clone(), None));
            found.extend(tree(&path));
        } else {
            let modified = path.metadata().unwrap().modified().unwrap();
            found.push((path.clone(), Some((fs::read(&path).unwrap(), modified))));
        }
    }
    found.sort();
    found
}

/// Renames the one manifest, as if it had been made at another time.
fn date_manifest(machine: &Machine, time: &str) {
    let host = fs::read_dir(repository(machine).join("backups")).unwrap().next().unwrap().unwrap();
    let manifest = fs::read_dir(host.path()).unwrap().next().unwrap().unwrap().path();
    let name = manifest.file_name().unwrap().to_str().unwrap().to_owned();
    let (_, rest) = name.split_once('-').unwrap();
    fs::rename(&manifest, manifest.with_file_name(format!("{time}-{rest}"))).unwrap();
}

/// As it stands in names, so many hours ago.
fn hours_ago(hours: i64) -> String {
    lifeboat::Time::from_millis(lifeboat::Time::now().millis() - hours * 3_600_000).name()
}

#[test]
fn nothing_is_made_or_changed() {
    let machine = Machine::new();
    let found = Found::of(&machine, &[]);
    assert_eq!(tree(machine.directory.path()), []);
    found.has(Engine, "sqlite library", Ok, "SQLite 3.");
    found.has(Configuration, "content", Ok, "none");
    found.has(State, "directory", Ok, "not there");
    found.has(Clock, "time", Ok, "20");
    found.has(Repository, "marker", Ok, "none yet");
    found.has(Repository, "free space", Ok, "free");
    found.has(Database, "sources", Warning, "no database");

    for mode in ["wal", "delete"] {
        let machine = Machine::new();
        machine.create(mode, 20);
        backup_app(&machine.context()).unwrap();
        let before = tree(machine.directory.path());
        let found = Found::integrity(&machine);
        let after = tree(machine.directory.path());
        let stays = |(path, _): &&Node| path != &state(&machine).join("scratch");
        assert!(
            before.iter().eq(after.iter().filter(stays)),
            "{mode}: {before:?} became {after:?}"
        );
        found.has(Database, "integrity", Ok, "no damage");
        assert!(found.0.iter().flat_map(|it| &it.findings).all(|found| found.severity < Problem));
    }
}

#[test]
fn configurations() {
    let machine = Machine::new();
    machine.create("wal", 1);
    let config = machine.path("lifeboat.toml");
    let write = |text: &str| {
        fs::write(&config, text).unwrap();
        permit(&config, 0o600);
    };
    write("[database.main]\npath = 'app.db'\n[repository.a]\nurl = 'a'\n[repository.b]\nurl = 'b'");
    let found = Found::of(&machine, &[]);
    found.has(Configuration, "content", Ok, "2 repositories, 1 database");
    found.has(Configuration, "file mode", Ok, "private");
    found.has(Database, "content", Ok, "SQLite database");
    let missing = found.all(Repository, "marker");
    assert_eq!(missing.len(), 2, "{missing:?}");
    found.has(Repository, "marker", Problem, "no repository at");

    permit(&config, 0o644);
    Found::of(&machine, &[]).has(Configuration, "file mode", Warning, "others can read it");
    permit(&config, 0o666);
    Found::of(&machine, &[]).has(Configuration, "file mode", Problem, "others can change it");

    write("[databse.main]\npath = 'app.db'");
    let found = Found::of(&machine, &["app.db"]);
    found.has(Configuration, "content", Problem, "did you mean `database`");
    found.has(Database, "content", Ok, "SQLite database");
    assert!(found.all(Repository, "marker").is_empty(), "it may name another repository");
}

#[test]
fn state_directories() {
    let machine = backed_up();
    Found::of(&machine, &["app.db"]).has(State, "permissions", Ok, "private (0700)");
    permit(&state(&machine), 0o755);
    Found::of(&machine, &["app.db"]).has(State, "permissions", Warning, "read by others");
    permit(&state(&machine), 0o777);
    Found::of(&machine, &["app.db"]).has(State, "permissions", Problem, "changed by others");
    permit(&state(&machine), 0o700);

    let lock = File::open(state(&machine).join("databases/app/lock")).unwrap();
    lock.lock().unwrap();
    let own = format!("(pid {})", std::process::id());
    Found::of(&machine, &["app.db"]).has(State, "lock", Ok, &own);
    drop(lock);
    assert!(Found::of(&machine, &["app.db"]).all(State, "lock").is_empty());

    let host = state(&machine).join("host.json");
    permit(&host, 0o644);
    Found::of(&machine, &["app.db"]).has(State, "identity", Warning, "signing key can be read");
    fs::write(&host, "{}").unwrap();
    Found::of(&machine, &["app.db"]).has(State, "identity", Problem, "host.json is damaged");

    fs::remove_dir_all(state(&machine)).unwrap();
    fs::write(state(&machine), "").unwrap();
    Found::of(&machine, &["app.db"]).has(State, "directory", Problem, "not a directory");
}

#[test]
fn a_clock_behind_the_newest_backup() {
    let machine = backed_up();
    Found::of(&machine, &["app.db"]).has(Clock, "time", Ok, "20");
    date_manifest(&machine, "20991231T000000.000Z");
    Found::of(&machine, &["app.db"]).has(Clock, "time", Problem, "ahead of this clock");
}

#[test]
fn repositories_that_cannot_be_used() {
    let machine = backed_up();
    let named = Overrides { repository: Some("elsewhere".to_owned()), ..Overrides::default() };
    let found = Found::with(&machine, &["app.db"], named, false);
    found.has(Repository, "marker", Problem, "no repository at");
    assert!(!machine.path("elsewhere").exists());

    let remote = Overrides { repository: Some("swift://x/y".to_owned()), ..Overrides::default() };
    let found = Found::with(&machine, &["app.db"], remote, false);
    found.has(Repository, "location", Problem, "not supported");

    let marker = repository(&machine).join("lifeboat.json");
    let text = fs::read_to_string(&marker).unwrap();
    let rewrite = |text: &str| {
        fs::write(&marker, text).unwrap();
        Found::of(&machine, &["app.db"])
    };
    let found = rewrite(&text.replace("\"write\":[]", "\"write\":[\"future\"]"));
    found.has(Repository, "marker", Ok, "format 1");
    found.has(Repository, "writable", Problem, "needs \"future\"");
    let found = rewrite(&text.replace("\"read\":[]", "\"read\":[\"future\"]"));
    found.has(Repository, "marker", Problem, "needs \"future\"");
    rewrite("{").has(Repository, "marker", Problem, "cannot parse lifeboat.json");
    fs::remove_file(&marker).unwrap();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "marker", Problem, "missing, but data is there");
}

#[test]
fn passwords_and_recipients() {
    let machine = backed_up();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "recipient", Ok, "of the first use");
    found.has(Repository, "password", Ok, "opens");
    found.has(Repository, "password file", Ok, "private (0600)");

    let password = machine.path(".config/lifeboat/password");
    permit(&password, 0o640);
    Found::of(&machine, &["app.db"]).has(Repository, "password file", Warning, "read by others");
    fs::write(&password, "wrong\n").unwrap();
    Found::of(&machine, &["app.db"]).has(Repository, "password", Problem, "wrong password");
    fs::remove_file(&password).unwrap();
    Found::of(&machine, &["app.db"]).has(Repository, "password", Warning, "none");
    let key = Some(KeySource::Password(PasswordSource::Command("exit 3".to_owned())));
    let failing = Overrides { key, ..Overrides::default() };
    let found = Found::with(&machine, &["app.db"], failing, false);
    found.has(Repository, "password", Problem, "exit status: 3");

    let recipient = repository(&machine).join("recipients/0001.json");
    let other = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let text = fs::read_to_string(&recipient).unwrap();
    let (before, after) = text.split_once("age1").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    fs::write(&recipient, format!("{before}{other}\"{after}")).unwrap();
    Found::of(&machine, &["app.db"]).has(Repository, "recipient", Problem, "has changed");
    fs::remove_dir_all(state(&machine)).unwrap();
    Found::of(&machine, &["app.db"]).has(Repository, "recipient", Ok, "not used from this host");
}

#[test]
fn permissions_devices_and_leftovers() {
    let machine = backed_up();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "permissions", Ok, "private");
    found.has(Repository, "writable", Ok, "written, read back and removed");
    found.has(Repository, "device", Warning, "same disk as app");
    assert!(found.all(Repository, "leftovers").is_empty());

    let left = repository(&machine).join("tmp/0123");
    fs::write(&left, "half").unwrap();
    permit(&left, 0o600);
    let old = SystemTime::now() - Duration::from_secs(25 * 60 * 60);
    File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    Found::of(&machine, &["app.db"]).has(Repository, "leftovers", Warning, "1 file (4 B)");
    assert!(left.exists());

    permit(&repository(&machine).join("lifeboat.json"), 0o644);
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "permissions", Warning, "others can get at lifeboat.json (0644)");
    permit(&repository(&machine).join("backups"), 0o777);
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "permissions", Problem, "backups (0777), lifeboat.json (0644)");
}

#[test]
fn newest_backups() {
    let machine = backed_up();
    fs::copy(machine.database(), machine.path("other.db")).unwrap();
    let found = Found::of(&machine, &["app.db", "other.db"]);
    found.has(Repository, "newest backup", Ok, "of app: 0 min old");
    found.has(Repository, "newest backup", Warning, "none of other");

    fs::write(machine.path("broken.db"), [7; 5000]).unwrap();
    let directory = machine.path("sources");
    fs::create_dir(&directory).unwrap();
    fs::rename(machine.path("other.db"), directory.join("other.db")).unwrap();
    let context = machine.context();
    let sources = ["app.db", "broken.db"].map(str::to_owned).to_vec();
    let request =
        lifeboat::BackupRequest { sources: Request::databases(sources), ..Default::default() };
    lifeboat::backup(&context, &request, &Silent).unwrap();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "newest backup", Warning, "partial: it lacks broken.db");
    back_up(&context, "sources").unwrap();
    let found = Found::of(&machine, &["app.db", "sources/other.db"]);
    found.has(Repository, "newest backup", Ok, "of other: 0 min old");
    found.has(Repository, "newest backup", Ok, "of app: 0 min old");
}

/// Without a password only names say when backups were made.
#[test]
fn backups_that_are_too_old_or_cannot_be_read() {
    let machine = backed_up();
    date_manifest(&machine, &hours_ago(30));
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "newest backup", Problem, "");
    fs::remove_file(machine.path(".config/lifeboat/password")).unwrap();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "newest backup", Warning, "of this host: 30 h old");
    date_manifest(&machine, &hours_ago(49));
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "newest backup", Problem, "of this host: 2 days old");
    fs::remove_dir_all(repository(&machine).join("backups")).unwrap();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Repository, "newest backup", Warning, "none of this host");
}

#[test]
fn files_that_are_no_databases() {
    let machine = Machine::new();
    let random: Vec<u8> =
        (0..8192_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    for (name, content) in [
        ("text", &b"plain text, and more of it"[..]),
        ("cipher", &random),
        ("redb", b"redb\x1a\x0a\xa9\x0d\x0a and more"),
        ("cut", b"SQLite format 3\0"),
        ("empty", b""),
    ] {
        fs::write(machine.path(name), content).unwrap();
    }
    fs::create_dir(machine.path("directory")).unwrap();
    fs::write(machine.path("directory/notes"), "none").unwrap();
    for (name, text) in [
        ("text", "but text"),
        ("cipher", "encrypted database (SQLCipher"),
        ("redb", "but a redb database"),
        ("cut", "damaged or cut off"),
    ] {
        Found::of(&machine, &[name]).has(Database, "content", Problem, text);
    }
    Found::of(&machine, &["/dev/null"]).has(Database, "content", Problem, "not a regular file");
    Found::of(&machine, &["empty"]).has(Database, "content", Ok, "empty database");
    Found::of(&machine, &["nothing"]).has(Database, "access", Problem, "does not exist");
    Found::of(&machine, &["directory"]).has(Database, "sources", Problem, "no sqlite database");
    fs::write(machine.path("empty-wal"), "all that is left").unwrap();
    let found = Found::of(&machine, &["empty"]);
    found.has(Database, "content", Problem, "a WAL with content is beside it");
}

#[test]
fn journals_and_versions() {
    let machine = Machine::new();
    machine.create("wal", 20);
    let found = Found::of(&machine, &["app.db"]);
    found.has(Database, "journal mode", Ok, "WAL");
    found.has(Database, "sqlite version", Ok, "last wrote it");
    // Which one it is depends on where tests run.
    assert_eq!(found.all(Database, "file system").len(), 1);
    found.has(Database, "free space", Ok, "free");
    assert!(found.all(Database, "wal").is_empty());

    // Written by 3.46.1, as far as the header says.
    let file = File::options().write(true).open(machine.database()).unwrap();
    file.write_all_at(&3_046_001_u32.to_be_bytes(), 96).unwrap();
    drop(file);
    let found = Found::of(&machine, &["app.db"]);
    found.has(Database, "sqlite version", Warning, "SQLite 3.46.1 last wrote it");

    let connection = machine.open();
    connection.execute_batch("INSERT INTO t(b) VALUES (randomblob(9000))").unwrap();
    Found::of(&machine, &["app.db"]).has(Database, "wal", Ok, "a WAL of");
    let killed = Machine::new();
    for name in ["app.db", "app.db-wal"] {
        fs::copy(machine.path(name), killed.path(name)).unwrap();
    }
    Found::of(&killed, &["app.db"]).has(Database, "wal", Warning, "without -shm");
    assert!(killed.path("app.db-wal").exists());

    let rollback = Machine::new();
    rollback.create("delete", 20);
    let found = Found::of(&rollback, &["app.db"]);
    found.has(Database, "journal mode", Ok, "writers wait");
    let connection = rollback.open();
    connection
        .execute_batch("PRAGMA cache_size=5; BEGIN; UPDATE t SET b = randomblob(3000)")
        .unwrap();
    let killed = Machine::new();
    for name in ["app.db", "app.db-journal"] {
        fs::copy(rollback.path(name), killed.path(name)).unwrap();
    }
    Found::integrity(&killed).has(Database, "hot journal", Warning, "-journal");
    Found::integrity(&killed).has(Database, "integrity", Ok, "of a copy");
    assert!(killed.path("app.db-journal").exists());
}

#[test]
fn links_users_locks_and_neighbours() {
    let machine = Machine::new();
    machine.create("delete", 5);
    symlink(machine.database(), machine.path("link.db")).unwrap();
    let found = Found::of(&machine, &["link.db"]);
    found.has(Database, "links", Ok, "a link to");
    assert!(found.all(Database, "users").is_empty());
    fs::hard_link(machine.database(), machine.path("name.db")).unwrap();
    Found::of(&machine, &["app.db"]).has(Database, "links", Warning, "2 names");

    fs::write(machine.path("sessions.redb"), b"redb\x1a\x0a\xa9\x0d\x0a").unwrap();
    let found = Found::of(&machine, &["app.db"]);
    found.has(Database, "other stores", Warning, "sessions.redb beside it is a redb database");

    let mut user = start(
        Command::new("sleep").arg("60").stdin(Stdio::from(File::open(machine.database()).unwrap())),
    );
    let found = Found::of(&machine, &["app.db"]);
    let _ = user.kill();
    let _ = user.wait();
    found.has(Database, "users", Ok, &format!("sleep (pid {})", user.id()));

    let connection = machine.open();
    connection.execute_batch("PRAGMA locking_mode=exclusive; BEGIN EXCLUSIVE").unwrap();
    Found::of(&machine, &["app.db"]).has(Database, "lock", Problem, "locked by another");
}

#[test]
fn directories_that_are_closed_to_this_user() {
    let machine = Machine::new();
    machine.create("delete", 5);
    fs::create_dir(machine.path("closed")).unwrap();
    fs::rename(machine.database(), machine.path("closed/app.db")).unwrap();
    permit(&machine.path("closed/app.db"), 0o600);
    permit(&machine.path("closed"), 0o700);
    permit(machine.directory.path(), 0o755);
    let as_nobody = || {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                if rustix::process::geteuid().is_root() {
                    // On Linux this concerns the calling thread alone.
                    let nobody = rustix::process::Uid::from_raw(65_534);
                    rustix::thread::set_thread_uid(nobody).unwrap();
                } else {
                    permit(&machine.path("closed"), 0o000);
                }
                Found::of(&machine, &["closed/app.db"])
            });
            thread.join().unwrap()
        })
    };
    let found = as_nobody();
    found.has(Database, "access", Problem, "may not search");
    assert!(found.all(Database, "access")[0].found.contains("/closed (owner uid "));
    if rustix::process::geteuid().is_root() {
        permit(&machine.path("closed"), 0o755);
        let found = as_nobody();
        found.has(
            Database,
            "access",
            Problem,
            "(uid 65534) may not read it (owner uid 0, mode 0600)",
        );
        found.has(State, "writable", Problem, "may not write to");
        found.has(Repository, "writable", Problem, "may not write to");
    }
    permit(&machine.path("closed"), 0o700);
}

#[test]
fn damage_inside() {
    for mode in ["wal", "delete"] {
        let machine = Machine::new();
        machine.create(mode, 20);
        machine
            .open()
            .execute_batch(
                "PRAGMA foreign_keys=off; CREATE TABLE child(t REFERENCES t(a));
                 INSERT INTO child VALUES (77)",
            )
            .unwrap();
        let found = Found::integrity(&machine);
        found.has(Database, "integrity", Ok, "no damage");
        found.has(Database, "foreign keys", Warning, "1 row of child without the row of t");
        assert!(Found::of(&machine, &["app.db"]).all(Database, "integrity").is_empty());

        let size = machine.database().metadata().unwrap().len();
        let file = File::options().write(true).open(machine.database()).unwrap();
        file.write_all_at(&[7; 4096], size - 3 * 4096).unwrap();
        let found = Found::integrity(&machine);
        found.has(Database, "integrity", Problem, "is corrupt");
        let error = found.all(Database, "integrity")[0].error.as_deref().unwrap();
        let corrupt =
            lifeboat_sqlite::Error::Corrupt { path: machine.database(), detail: String::new() };
        let lifeboat::Error::Database(error) = error else { panic!("{error:?}") };
        assert_eq!(std::mem::discriminant(error), std::mem::discriminant(&corrupt));
    }
}
