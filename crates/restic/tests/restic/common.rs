//! What several tests use.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use lifeboat_restic::{Config, MasterKey, ResticRepository, write_key_file};
use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{LocalStorage, Storage};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) fn password() -> SecretString {
    SecretString::from(PASSWORD)
}

/// Whether restic is here. Where LIFEBOAT_REQUIRE_ORACLES is set, it must be.
#[allow(clippy::print_stdout, reason = "a test that does nothing says so")]
pub(crate) fn have_restic() -> bool {
    if Command::new("restic").arg("version").output().is_ok_and(|run| run.status.success()) {
        return true;
    }
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "restic is missing");
    println!("skipped: restic is missing");
    false
}

/// A directory for a repository, and one beside it for files.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A path beside the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("repository")
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(LocalStorage::create(&self.root()).unwrap())
    }

    /// A new repository that [`PASSWORD`] opens.
    pub(crate) fn init(&self) -> ResticRepository {
        let (storage, key) = (self.storage(), MasterKey::random().unwrap());
        write_key_file(&*storage, &key, &password(), "pi").unwrap();
        ResticRepository::init(storage, key, &Config::random().unwrap()).unwrap()
    }

    /// Runs restic on the repository, whatever comes of it.
    pub(crate) fn try_restic(&self, arguments: &[&str]) -> Output {
        Command::new("restic")
            .args(["--no-cache", "--repo"])
            .arg(self.root())
            .args(arguments)
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("TZ", "UTC")
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Runs restic on the repository, which must succeed; the bytes that it printed.
    pub(crate) fn restic_bytes(&self, arguments: &[&str]) -> Vec<u8> {
        let run = self.try_restic(arguments);
        assert!(run.status.success(), "restic {arguments:?}: {}", text(&run.stderr));
        run.stdout
    }

    /// Runs restic on the repository, which must succeed; what it printed.
    pub(crate) fn restic(&self, arguments: &[&str]) -> String {
        let run = self.try_restic(arguments);
        let (out, err) = (text(&run.stdout), text(&run.stderr));
        assert!(run.status.success(), "restic {arguments:?}: {out}{err}");
        out
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The path as text, for arguments.
pub(crate) fn display(path: &Path) -> String {
    path.display().to_string()
}
