//! `lifeboat replicate` as another process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Home;

/// How long something may take that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A replication that tells everything; killed when dropped.
pub(crate) struct Replication {
    child: Child,
    events: Receiver<Value>,
    /// What it has told.
    pub(crate) told: Vec<Value>,
    errors: Option<JoinHandle<String>>,
}

impl Replication {
    /// Replicates `app.db`, looking every 20 ms.
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_of(home, &["app.db"])
    }

    /// The same, of a database of the configuration or with more arguments.
    pub(crate) fn start_of(home: &Home, what: &[&str]) -> Self {
        Self::start_command(home.command(&["replicate", "--interval", "20ms"]).args(what))
    }

    pub(crate) fn start_command(command: &mut Command) -> Self {
        let command = command.args(["--json", "-v"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, events) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // The last line of one that was killed may be torn.
            let events = out.lines().map_while(Result::ok);
            for event in events.map_while(|line| serde_json::from_str(&line).ok()) {
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        let err = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || std::io::read_to_string(err).unwrap_or_default());
        Self { child, events, told: Vec::new(), errors: Some(errors) }
    }

    /// Waits until it tells this, from now on; fails if it does not.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, mut is: impl FnMut(&Value) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    let found = is(&event);
                    self.told.push(event);
                    if found {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("never told: {what}; {:#?}", self.told),
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.child.kill();
                    let errors = self.errors.take().map(JoinHandle::join);
                    panic!("it ended before {what}: {errors:?}; {:#?}", self.told)
                }
            }
        }
    }

    /// Does something while it stands still, and so sees nothing halfway.
    pub(crate) fn while_it_stands<T>(&self, work: impl FnOnce() -> T) -> T {
        self.signal(Signal::STOP);
        let done = work();
        self.signal(Signal::CONT);
        done
    }

    /// Kills it; what it told.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.rest()
    }

    /// Has it end; what it told. It must have nothing to complain of.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Vec<Value> {
        self.signal(Signal::TERM);
        let told = self.rest();
        let (status, errors) = (self.child.wait().unwrap(), self.errors.take().unwrap());
        assert!(status.success(), "{status}: {}", errors.join().unwrap());
        told
    }

    fn rest(&mut self) -> Vec<Value> {
        self.told.extend(self.events.iter());
        std::mem::take(&mut self.told)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }
}

impl Drop for Replication {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
