//! What a program prints, as it is read.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::config::CommandConfig;
use crate::hooks::SECRETS;

/// From the request to end to the end that nothing can refuse.
const MERCY: Duration = Duration::from_secs(5);
/// So much of what it wrote to its standard error is kept: the end of it.
const ERROR_BYTES: usize = 4096;

/// A program whose standard output is a source. Dropped early, it is killed with all it has started.
pub(crate) struct RunningCommand {
    child: Child,
    group: Pid,
    output: ChildStdout,
    errors: Option<JoinHandle<io::Result<Errors>>>,
    watch: Option<Watch>,
    timeout: Duration,
    ended: bool,
}

/// How a program ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Lines that it wrote to its standard error.
    pub(crate) error_lines: u64,
}

/// What a program wrote to its standard error.
#[derive(Debug, Default)]
struct Errors {
    lines: u64,
    tail: Vec<u8>,
}

/// The thread that ends a program which takes too long.
struct Watch {
    over: Sender<()>,
    thread: JoinHandle<bool>,
}

impl RunningCommand {
    /// Starts it, without input and without the passwords that we know.
    pub(crate) fn start(config: &CommandConfig) -> io::Result<Self> {
        let mut command = config.run.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.envs(&config.environment);
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("its output cannot be read"));
        };
        let errors = Some(thread::spawn(move || Errors::read(errors)));
        let timeout = config.timeout();
        let watch = Some(Watch::start(group, timeout));
        Ok(Self { child, group, output, errors, watch, timeout, ended: false })
    }

    /// Waits for its end; an error that says why it was not a good one.
    pub(crate) fn end(&mut self) -> io::Result<Ended> {
        let status = self.child.wait()?;
        self.ended = true;
        // What it has left behind may hold its standard error open: the watch ends that, too.
        let errors = self.errors.take().map_or(Ok(Errors::default()), |thread| {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        });
        let late = self.watch.take().is_some_and(Watch::end);
        let errors = errors?;
        if late {
            return Err(io::Error::other(format!("not done after {:?}{errors}", self.timeout)));
        }
        if !status.success() {
            return Err(io::Error::other(format!("it ended with {}{errors}", how(status))));
        }
        Ok(Ended { error_lines: errors.lines })
    }
}

impl Read for RunningCommand {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer)
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
        self.watch.take().map(Watch::end);
    }
}

impl Watch {
    fn start(group: Pid, timeout: Duration) -> Self {
        let (over, ended) = channel();
        Self { over, thread: thread::spawn(move || Self::watch(group, timeout, &ended)) }
    }

    /// Whether the program took too long.
    fn watch(group: Pid, timeout: Duration, ended: &Receiver<()>) -> bool {
        let mut wait = timeout;
        for signal in [Signal::TERM, Signal::KILL] {
            if ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return signal == Signal::KILL;
            }
            let _ = kill_process_group(group, signal);
            wait = MERCY;
        }
        true
    }

    fn end(self) -> bool {
        let _ = self.over.send(());
        self.thread.join().unwrap_or(true)
    }
}

impl Errors {
    fn read(mut from: ChildStderr) -> io::Result<Self> {
        let (mut errors, mut buffer) = (Self::default(), [0; ERROR_BYTES]);
        loop {
            let bytes = match from.read(&mut buffer) {
                Ok(0) => return Ok(errors),
                Ok(bytes) => &buffer[..bytes],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            errors.lines += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
            errors.tail.extend_from_slice(bytes);
            let too_many = errors.tail.len().saturating_sub(ERROR_BYTES);
            errors.tail.drain(..too_many);
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match String::from_utf8_lossy(&self.tail).trim() {
            "" => Ok(()),
            text => write!(formatter, "; it said: {text}"),
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, Instant};

    use super::{Ended, RunningCommand};
    use crate::config::{CommandConfig, CommandLine, Interval};

    fn run(script: &str, timeout: Option<u64>) -> (String, Result<Ended, String>) {
        let timeout = timeout.map(|millis| Interval::new(Duration::from_millis(millis)));
        let run = CommandLine::Shell(script.to_owned());
        let environment = [("GREETING".to_owned(), "hello".to_owned())].into();
        let (file_name, keep, hooks) = (None, None, Default::default());
        let config = CommandConfig { run, file_name, timeout, environment, keep, hooks };
        let mut running = RunningCommand::start(&config).unwrap();
        let mut output = String::new();
        running.read_to_string(&mut output).unwrap();
        (output, running.end().map_err(|error| error.to_string()))
    }

    #[test]
    fn its_output_is_read_and_its_end_told() {
        assert_eq!(
            run("printf a; printf b", None),
            ("ab".to_owned(), Ok(Ended { error_lines: 0 }))
        );
        let (output, ended) = run("echo one >&2; echo two >&2; echo $GREETING", None);
        assert_eq!((output.as_str(), ended), ("hello\n", Ok(Ended { error_lines: 2 })));
        let (output, ended) = run("echo part; echo it broke >&2; exit 7", None);
        let expected = "it ended with status 7; it said: it broke";
        assert_eq!((output.as_str(), ended), ("part\n", Err(expected.to_owned())));
        assert_eq!(run("kill -9 $$", None).1, Err("it ended with signal 9".to_owned()));
    }

    #[test]
    fn one_that_takes_too_long_is_ended_with_all_it_started() {
        let began = Instant::now();
        let (_, ended) = run("sleep 600 & sleep 600; wait", Some(200));
        assert_eq!(ended, Err("not done after 200ms".to_owned()));
        assert!(began.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn one_that_leaves_something_behind_which_holds_its_standard_error_takes_too_long() {
        let began = Instant::now();
        let (output, ended) = run("sleep 600 >/dev/null & echo done", Some(200));
        assert_eq!((output.as_str(), ended), ("done\n", Err("not done after 200ms".to_owned())));
        assert!(began.elapsed() < Duration::from_secs(300));
    }
}
