//! The program that connects, and what it says.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::problem::{NoConnection, SftpProblem};

/// Of what the program writes to its standard error, the last bytes are kept.
const WORDS_BYTES: usize = 4 << 10;
/// How long the program gets for each step of its end.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The program that connects. Whoever has it ends it.
pub(super) struct Process {
    child: Mutex<Child>,
    words: Words,
}

/// What the program wrote to its standard error so far.
struct Words {
    last: Arc<Mutex<VecDeque<u8>>>,
    complete: Mutex<Receiver<()>>,
}

impl Process {
    /// Starts the program, with its input and output.
    pub(super) fn start(
        mut command: Command,
    ) -> Result<(Self, ChildStdin, ChildStdout), NoConnection> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: Ctrl-C in a terminal is for us, who still have to clean up through
        // this connection; and what the program starts is ended with it.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| not_started(&command, &error))?;
        let (Some(input), Some(output), Some(words)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(NoConnection::new(SftpProblem::Lost, "the program has no pipes"));
        };
        let words = match Words::keep(words) {
            Ok(words) => words,
            Err(error) => {
                // Nobody else knows of it yet.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(no_thread(&error));
            }
        };
        Ok((Self { child: Mutex::new(child), words }, input, output))
    }

    /// Waits until the program has exited, but not for long: then it is killed. How it ended.
    pub(super) fn reap(&self) -> String {
        let mut child = self.child();
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) if Instant::now() < deadline => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
                _ => break,
            }
        }
        kill_group(&mut child);
        child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }

    /// Kills the program and what it started, if it has not exited. [`Process::reap`] has to follow.
    pub(super) fn kill(&self) {
        kill_group(&mut self.child());
    }

    /// What the program wrote to its standard error, to the end if that is reached soon: something
    /// that it left running may have it open for ever.
    pub(super) fn words(&self) -> String {
        if let Ok(complete) = self.words.complete.lock() {
            let _ = complete.recv_timeout(PATIENCE);
        }
        let mut last = self.words.last.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(last.make_contiguous()).into_owned()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            kill_group(&mut child);
            let _ = child.wait();
        }
    }
}

/// Only of a child that was not waited for: afterwards its number may be another's.
fn kill_group(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        let _ = child.kill();
    }
}

fn not_started(command: &Command, error: &io::Error) -> NoConnection {
    let program = command.get_program().display();
    if error.kind() == io::ErrorKind::NotFound {
        let message = format!("{program} is not installed; SFTP needs OpenSSH's client");
        return NoConnection::new(SftpProblem::ProgramMissing, message);
    }
    NoConnection::new(SftpProblem::Configuration, format!("cannot run {program}: {error}"))
}

pub(super) fn no_thread(error: &io::Error) -> NoConnection {
    NoConnection::new(SftpProblem::Lost, format!("cannot start a thread: {error}"))
}

impl Words {
    fn keep(mut words: ChildStderr) -> io::Result<Self> {
        let last = Arc::new(Mutex::new(VecDeque::with_capacity(WORDS_BYTES)));
        let (complete, at_end) = channel();
        let kept = Arc::clone(&last);
        let read = move || {
            let mut piece = [0; 512];
            while let Ok(bytes @ 1..) = words.read(&mut piece) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let excess = (kept.len() + bytes).saturating_sub(WORDS_BYTES);
                kept.drain(..excess);
                kept.extend(&piece[..bytes]);
            }
            drop(complete);
        };
        thread::Builder::new().name("sftp-words".to_owned()).spawn(read)?;
        Ok(Self { last, complete: Mutex::new(at_end) })
    }
}
