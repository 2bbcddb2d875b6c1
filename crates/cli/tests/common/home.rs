//! A home directory, and the real binary in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A temporary home directory: nothing of the real user, and no variable of theirs, is seen.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// In memory where there is such a place: what is durable is durable at once there.
    pub(crate) fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let directory = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self { directory: directory.unwrap() }
    }

    /// The directory. It is also the working directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// The repository that is made without configuration.
    pub(crate) fn repository(&self) -> PathBuf {
        self.path(".local/share/lifeboat/repository")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path(".local/state/lifeboat")
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.path(".config/lifeboat/password")
    }

    /// Writes a file, with its directories.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Any program, in this home.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory())
            .env("TZ", "UTC")
            .current_dir(self.directory());
        command
    }

    /// The binary.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs it and expects success; what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "lifeboat {arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs it with `--json` and expects success; its last line.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let out = self.ok(&arguments);
        let line = out.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// Backs a source up; the one source of the summary.
    #[track_caller]
    pub(crate) fn backup(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = ["backup"].iter().chain(arguments).copied().collect();
        let summary = self.json(&arguments);
        let mut source = summary["sources"][0].clone();
        source["backup_id"] = summary["backup_id"].clone();
        source
    }

    /// The ids of all backups, newest first.
    #[track_caller]
    pub(crate) fn ids(&self, arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<&str> = ["backups"].iter().chain(arguments).copied().collect();
        let backups = self.json(&arguments);
        let ids = backups.as_array().unwrap().iter();
        ids.map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Restores the database of a backup to a file that must not exist; its bytes.
    #[track_caller]
    pub(crate) fn restored(&self, arguments: &[&str]) -> Vec<u8> {
        let target = self.path("restored.db");
        let to = ["restore", "--target", target.to_str().unwrap()];
        let arguments: Vec<&str> = to.iter().chain(arguments).copied().collect();
        self.ok(&arguments);
        let bytes = std::fs::read(&target).unwrap();
        std::fs::remove_file(&target).unwrap();
        bytes
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Expects the command line to be refused, with a text that says this.
    #[track_caller]
    pub(crate) fn fails_usage(&self, text: &str) {
        assert_eq!(self.code, Some(2), "{self:?}");
        assert!(self.err.contains(text), "expected {text:?}: {self:?}");
    }

    /// Expects this exit code, an error line with `error` in it, a hint line with `hint` in it, and
    /// no panic.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, error: &str, hint: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        let line = |prefix: &str| {
            let mut lines = self.err.lines().filter_map(|line| line.strip_prefix(prefix));
            lines.next().unwrap_or_default().to_owned()
        };
        assert!(line("error: ").contains(error), "expected error {error:?}: {self:?}");
        assert!(line("hint: ").contains(hint), "expected hint {hint:?}: {self:?}");
        assert_eq!(line("hint: ").is_empty(), hint.is_empty(), "{self:?}");
    }
}

/// All files below a directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return files };
    for entry in entries.map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}
