//! The socket of a replication, by which other commands of this machine ask it: what is the state of
//! things, capture this now, let go of that.
//!
//! One line of JSON each way. The socket lies in the state directory, which only its owner can enter;
//! each process has one of its own, named by its number.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::create_private_directory;
use crate::{Error, Result};

/// How long the engine waits for a question that was begun: it must go on.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest question.
const MAX_QUESTION: u64 = 64 * 1024;

/// The answer of a replication of other databases.
pub(crate) const NOT_HERE: &str = "not replicated here";

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "question", rename_all = "lowercase")]
pub(crate) enum Question {
    /// How things stand.
    Status,
    /// Capture a database, and say when that is in a repository.
    Capture {
        /// The name of the database.
        database: String,
        /// The id of the repository.
        repository: String,
    },
    /// Let go of a database for some seconds.
    Yield {
        /// The name of the database.
        database: String,
        /// For so long.
        seconds: u64,
    },
}

/// The socket.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

/// Somebody who asked.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: UnixStream,
}

impl Control {
    /// Makes the socket, and removes those of processes that are no more.
    pub(super) fn open(state: &Path) -> Result<Self> {
        let directory = directory(state);
        create_private_directory(&directory)?;
        for path in sockets(state) {
            if UnixStream::connect(&path).is_err() {
                let _ = std::fs::remove_file(&path);
            }
        }
        let path = directory.join(format!("{}-{}.sock", std::process::id(), random()));
        let failed = || Error::file("listen on", &path);
        let listener = UnixListener::bind(&path).map_err(failed())?;
        listener.set_nonblocking(true).map_err(failed())?;
        Ok(Self { listener, path })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The next question. One that makes no sense is answered, and left out.
    pub(super) fn question(&self) -> Option<(Question, Conversation)> {
        loop {
            let (stream, _) = self.listener.accept().ok()?;
            let conversation = Conversation { stream };
            match conversation.read() {
                Ok(question) => return Some((question, conversation)),
                Err(error) => conversation.refuse(&error),
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Conversation {
    fn read(&self) -> Result<Question, String> {
        let read = || {
            // What `accept` gives is not of the listener's kind everywhere.
            self.stream.set_nonblocking(false)?;
            self.stream.set_read_timeout(Some(PATIENCE))?;
            self.stream.set_write_timeout(Some(PATIENCE))?;
            let mut line = String::new();
            let limited = std::io::Read::take(&self.stream, MAX_QUESTION);
            BufReader::new(limited).read_line(&mut line)?;
            Ok::<_, std::io::Error>(line)
        };
        let line = read().map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| error.to_string())
    }

    /// Answers. Whoever went away meanwhile needs none.
    pub(super) fn answer(&self, answer: &Value) {
        let _ = writeln!(&self.stream, "{answer}");
    }

    pub(super) fn refuse(&self, problem: &str) {
        self.answer(&serde_json::json!({ "error": problem }));
    }
}

/// Asks every replication of this state directory; the answers of those that gave one. Each gets so
/// long.
pub(crate) fn ask(state: &Path, question: &Question, patience: Duration) -> Vec<Value> {
    let ask_one = |path: PathBuf| {
        let mut stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(patience)).ok()?;
        let question = serde_json::to_string(question).ok()?;
        writeln!(stream, "{question}").ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    };
    sockets(state).into_iter().filter_map(ask_one).collect()
}

fn directory(state: &Path) -> PathBuf {
    state.join("replications")
}

fn sockets(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory(state)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "sock")).collect()
}

/// Several replications may run in one process: tests do that.
fn random() -> String {
    format!("{:08x}", getrandom::u32().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::{Control, Question, ask, sockets};

    #[test]
    fn questions_are_answered_and_nonsense_is_refused() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("replications")).unwrap();
        // What a killed process leaves is removed.
        let dead = state.path().join("replications/1-0.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let control = Control::open(state.path()).unwrap();
        assert!(!dead.exists());
        let nonsense = UnixStream::connect(&sockets(state.path())[0]).unwrap();
        writeln!(&nonsense, "{{\"question\":\"what\"}}").unwrap();
        std::thread::scope(|scope| {
            let question = Question::Yield { database: "app".into(), seconds: 3 };
            let path = state.path();
            let asked = scope.spawn({
                let question = question.clone();
                move || ask(path, &question, Duration::from_secs(5))
            });
            let (found, conversation) = loop {
                if let Some(found) = control.question() {
                    break found;
                }
            };
            assert_eq!(found, question);
            conversation.answer(&serde_json::json!({ "ok": 1 }));
            assert_eq!(asked.join().unwrap(), [serde_json::json!({ "ok": 1 })]);
        });
        drop(control);
        assert!(ask(state.path(), &Question::Status, Duration::from_secs(1)).is_empty());
    }
}
