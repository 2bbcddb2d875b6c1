//! The real Litestream, as an oracle: its SQLite extension, loaded into the `sqlite3` shell. It reads a
//! replica without us: page by page as a database, and *hydrated*, which is its own restore to a file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::common::{require_tool, skip};

/// Where `.ci/run` puts the package `litestream-vfs`, below the home directory.
const INSTALLED: &str = ".cache/lifeboat/oracles/litestream-vfs/litestream_vfs/litestream-vfs.so";

pub(crate) struct Vfs {
    extension: PathBuf,
}

impl Vfs {
    /// The extension that `LITESTREAM_VFS` names, else where it is installed. Where it is not, the
    /// test says so and ends; with `LIFEBOAT_REQUIRE_ORACLES` set, as in CI, it fails.
    pub(crate) fn find() -> Option<Self> {
        if !require_tool("sqlite3") {
            return None;
        }
        let named = std::env::var_os("LITESTREAM_VFS").map(PathBuf::from);
        let installed = || Some(PathBuf::from(std::env::var_os("HOME")?).join(INSTALLED));
        let extension = named.or_else(installed).filter(|path| path.is_file());
        let required = std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_some();
        assert!(extension.is_some() || !required, "litestream-vfs.so is missing");
        if extension.is_none() {
            skip("litestream-vfs is not installed");
        }
        extension.map(|extension| Self { extension })
    }

    /// A shell that has opened the replica in this directory.
    fn shell(&self, replica: &Path) -> Command {
        let mut command = Command::new("sqlite3");
        command
            .args(["-batch", "-bail", ":memory:"])
            .args(["-cmd", &format!(".load {}", self.extension.display())])
            .args(["-cmd", ".open \"file:replica.db?vfs=litestream&mode=ro\""])
            .env("LITESTREAM_REPLICA_URL", format!("file://{}", replica.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What statements answer, line by line.
    pub(crate) fn query(&self, replica: &Path, sql: &str) -> Result<Vec<String>, String> {
        let mut child = self.shell(replica).arg(sql).spawn().unwrap();
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).unwrap();
        Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// A shell that stays, and follows the replica.
    pub(crate) fn follow(&self, replica: &Path) -> Following {
        let mut shell = self.shell(replica);
        shell.stderr(Stdio::null());
        let mut child = shell.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Following { questions: child.stdin.take().unwrap(), answers, _child: Running(child) }
    }

    /// The database that Litestream restores, after verifying every file; else its error.
    pub(crate) fn hydrated(&self, replica: &Path) -> Result<Vec<u8>, String> {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("hydrated.db");
        let mut shell = self.shell(replica);
        shell
            .env("LITESTREAM_HYDRATION_ENABLED", "true")
            .env("LITESTREAM_HYDRATION_PATH", &target)
            .env("LITESTREAM_LOG_LEVEL", "debug")
            .env("LITESTREAM_LOG_FILE", "/dev/stderr");
        let mut child = Running(shell.spawn().unwrap());
        // It opens the database at the first statement, and restores while the shell waits for more.
        let mut input = child.0.stdin.take().unwrap();
        writeln!(input, "SELECT count(*) FROM sqlite_schema;").unwrap();
        let log = BufReader::new(child.0.stderr.take().unwrap());
        let lines = log.lines().map(std::result::Result::unwrap);
        let told = |line: &String| line.contains("hydration complete") || line.contains("failed");
        let mut seen = Vec::new();
        for line in lines {
            let ends = told(&line);
            seen.push(line);
            if ends {
                break;
            }
        }
        match seen.last() {
            Some(line) if line.contains("hydration complete") => {
                Ok(std::fs::read(&target).unwrap())
            }
            _ => Err(seen.join("\n")),
        }
    }
}

/// A shell that follows a replica.
pub(crate) struct Following {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    _child: Running,
}

impl Following {
    /// The first line of the answer.
    pub(crate) fn ask(&mut self, sql: &str) -> String {
        writeln!(self.questions, "{sql};").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
