//! Programs that we did not write, as oracles and as other processes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Whether a program is there. Where it is not, the test says so and ends; with
/// `LIFEBOAT_REQUIRE_ORACLES` set, as in CI, it fails.
#[allow(clippy::print_stdout, reason = "says why the test was skipped")]
pub(crate) fn require_tool(name: &str) -> bool {
    let found = Command::new(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{name} is missing");
    if !found {
        println!("skipped: {name} is not installed");
    }
    found
}

/// Another process, killed when dropped.
pub(crate) struct Tool {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Tool {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// A Python script, which gets `argument`s after its own name.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Self {
        Self::start(Command::new("python3").arg("-c").arg(script).args(arguments))
    }

    /// An application with a database, which executes what it is told.
    pub(crate) fn application(database: &std::path::Path) -> Self {
        Self::python(include_str!("application.py"), &[database.to_str().unwrap()])
    }

    /// Has an application execute statements without line feeds in them; the values they gave.
    pub(crate) fn run(&mut self, sql: &str) -> String {
        self.send(&sql.replace('\n', " "));
        self.line()
    }

    pub(crate) fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line of output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the process ended");
        line.trim_end().to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until the locks are gone with the process.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input and waits for its end; whether it ended well.
    pub(crate) fn finish(mut self) -> bool {
        drop(self.input.take());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
