//! What several test files need: a machine of its own for every test, through the library.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod replication;
pub(crate) mod tearing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, RwLock};

use lifeboat::{
    BackupReport, BackupRequest, CheckOptions, Context, DatabaseSource, Environment, Note,
    OpenRepository, Overrides, Progress, Request, RestoreReport, RestoreRequest, Result, Selection,
    Silent, backup, plan_restore, restore,
};
use rusqlite::Connection;

/// A home directory with a database `app.db`.
pub(crate) struct Machine {
    pub(crate) directory: tempfile::TempDir,
}

impl Machine {
    /// In memory where there is such a place: what is durable is durable at once there.
    pub(crate) fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self { directory: directory.unwrap() }
    }

    /// Another one that is in the same state.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_directory(self.directory.path(), copy.directory.path());
        copy
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("app.db")
    }

    pub(crate) fn context(&self) -> Context {
        context(self.directory.path(), None)
    }

    /// With another repository than the default one.
    pub(crate) fn context_of(&self, repository: &str) -> Context {
        context(self.directory.path(), Some(repository))
    }

    /// Makes the database: a table `t(a INTEGER PRIMARY KEY, b BLOB)`, about a page for each row.
    pub(crate) fn create(&self, journal_mode: &str, rows: u32) {
        let connection = self.open();
        let _: String = connection
            .query_row(&format!("PRAGMA journal_mode = {journal_mode}"), [], |row| row.get(0))
            .unwrap();
        connection.execute_batch("CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB)").unwrap();
        for _ in 0..rows {
            connection.execute("INSERT INTO t(b) VALUES (randomblob(3000))", []).unwrap();
        }
    }

    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }

    /// Gives one row other content, and adds one.
    pub(crate) fn change(&self, row: u32) {
        let sql = format!(
            "UPDATE t SET b = randomblob(3000) WHERE a = {row}; INSERT INTO t(b) VALUES (randomblob(9000))"
        );
        self.open().execute_batch(&sql).unwrap();
    }

    /// The file; nobody has it open, so there is no WAL.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.database()).unwrap()
    }
}

pub(crate) fn context(home: &Path, repository: Option<&str>) -> Context {
    let environment = Environment::of([("HOME", home)], home);
    let overrides = Overrides { repository: repository.map(str::to_owned), ..Overrides::default() };
    Context::load(environment, overrides).unwrap()
}

pub(crate) fn backup_app(context: &Context) -> Result<BackupReport> {
    back_up(context, "app.db")
}

pub(crate) fn back_up(context: &Context, source: &str) -> Result<BackupReport> {
    back_up_as(context, source, BackupRequest::default(), &Silent)
}

/// Stores the whole database again.
pub(crate) fn back_up_base(context: &Context) -> Result<BackupReport> {
    let request = BackupRequest { base: true, ..BackupRequest::default() };
    back_up_as(context, "app.db", request, &Silent)
}

pub(crate) fn back_up_with(
    context: &Context,
    source: &str,
    rescan: bool,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    back_up_as(context, source, BackupRequest { rescan, ..BackupRequest::default() }, progress)
}

fn back_up_as(
    context: &Context,
    source: &str,
    request: BackupRequest,
    progress: &dyn Progress,
) -> Result<BackupReport> {
    let sources = Request::of(vec![source.to_owned()]);
    let _nobody_forks = FORK.read().unwrap();
    backup(context, &BackupRequest { sources, ..request }, progress)
}

/// Keeps the notes.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn note(&self, note: &Note) {
        self.0.lock().unwrap().push(format!("{note:?}"));
    }
}

impl Notes {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// The pages of a database as SQLite's own page table shows them.
pub(crate) fn content(path: &Path) -> Vec<u8> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT data FROM sqlite_dbpage ORDER BY pgno").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut bytes = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        bytes.extend_from_slice(row.get_ref(0).unwrap().as_blob().unwrap());
    }
    bytes
}

/// The database of a report.
pub(crate) fn database(report: &BackupReport) -> DatabaseSource {
    report.databases().next().unwrap().clone()
}

/// A new process holds the locks of all threads of this one until it runs its own program: none is
/// started while another thread backs up.
static FORK: RwLock<()> = RwLock::new(());

pub(crate) fn start(command: &mut Command) -> Child {
    let _nobody_backs_up = FORK.write().unwrap();
    command.spawn().unwrap()
}

/// The bytes of a restored database.
#[track_caller]
pub(crate) fn restored(opened: &OpenRepository<'_>, id: &str, target: &Path) -> Vec<u8> {
    let selection = Selection { backup: Some(id.to_owned()), ..Selection::default() };
    let request =
        RestoreRequest { selection, target: Some(target.to_owned()), ..RestoreRequest::default() };
    let plan = plan_restore(opened, &request, &Silent).unwrap();
    restore(opened, plan, &Silent).unwrap();
    let bytes = fs::read(target).unwrap();
    fs::remove_file(target).unwrap();
    bytes
}

/// Restores the newest database, or that of a backup, to a file that is not there, without SQLite's
/// check: what happened, and the bytes.
pub(crate) fn try_restore(
    opened: &OpenRepository<'_>,
    id: Option<&str>,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(RestoreReport, Vec<u8>)> {
    let selection = Selection { backup: id.map(str::to_owned), ..Selection::default() };
    let target = Some(target.to_owned());
    let request =
        RestoreRequest { selection, target, no_verify: true, ..RestoreRequest::default() };
    let plan = plan_restore(opened, &request, progress)?;
    let report = restore(opened, plan, progress)?;
    let bytes = fs::read(&report.target).unwrap();
    fs::remove_file(&report.target).unwrap();
    Ok((report, bytes))
}

/// All objects of a repository in a directory, by their keys.
pub(crate) fn objects_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(std::result::Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(objects_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// Expects a repository without damage, whose every byte was read.
#[track_caller]
pub(crate) fn assert_clean(opened: &OpenRepository<'_>, what: &str) {
    let report = lifeboat::check(opened, CheckOptions::all(), &Silent).unwrap();
    assert!(report.is_clean(), "{what}: {report:?}");
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(std::result::Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            // In a repository for Litestream the times of files are those of points.
            let modified = entry.metadata().unwrap().modified().unwrap();
            fs::File::options().append(true).open(target).unwrap().set_modified(modified).unwrap();
        }
    }
}
