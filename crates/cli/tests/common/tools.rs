//! Programs that we did not write, as oracles and as other processes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Whether a program is there. Where it is not, the test says so and ends; with
/// `LIFEBOAT_REQUIRE_ORACLES` set, as in CI, it fails.
pub(crate) fn require_tool(name: &str) -> bool {
    let version = if name == "restic" { "version" } else { "--version" };
    let found = Command::new(name)
        .arg(version)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{name} is missing");
    if !found {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Says that a test could not be done here.
#[allow(clippy::print_stdout, reason = "for whoever reads the output of the tests")]
pub(crate) fn skip(why: &str) {
    println!("skipped: {why}");
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|file| file.uid() == 0)
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

    /// A Python script, which gets `arguments` after its own name.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Self {
        Self::start(Command::new("python3").arg("-c").arg(script).args(arguments))
    }

    /// An application that has opened a database in Python as `c`, run this code on it, and waits.
    pub(crate) fn holding(database: &str, code: &str) -> Self {
        let script = format!(
            "import sqlite3, sys\n\
             c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)\n\
             {code}\n\
             print('ready', flush=True)\n\
             sys.stdin.readline()\n"
        );
        let mut tool = Self::python(&script, &[database]);
        assert_eq!(tool.line(), "ready");
        tool
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
