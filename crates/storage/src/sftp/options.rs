//! How to connect.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to connect to a server. What is not said here is as ssh has it, from `~/.ssh/config` and its
/// agent: keys, jump hosts, known hosts.
#[derive(Clone, PartialEq, Eq)]
pub struct SftpOptions {
    /// The private key to use, and no other.
    pub key: Option<PathBuf>,
    /// A file of known hosts, in place of the user's own. A host that is not in it is refused.
    pub known_hosts: Option<PathBuf>,
    /// A program and its arguments to run in place of ssh: it speaks SFTP on its input and output.
    /// All else that is said here about ssh then has no effect.
    pub command: Option<Vec<OsString>>,
    /// How long it may take to reach the host. Logging in may take as long again.
    pub connect_timeout: Duration,
    /// How often ssh asks a silent server whether it is there. Four questions without an answer end
    /// the connection.
    pub keep_alive: Duration,
    /// How long a server may be silent while an answer is due. It covers the slowest fsync.
    pub answer_timeout: Duration,
}

impl Default for SftpOptions {
    fn default() -> Self {
        Self {
            key: None,
            known_hosts: None,
            command: None,
            connect_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(15),
            answer_timeout: Duration::from_secs(15 * 60),
        }
    }
}

/// Without the arguments of the command, which may have secrets.
impl fmt::Debug for SftpOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SftpOptions")
            .field("key", &self.key)
            .field("known_hosts", &self.known_hosts)
            .field("command", &self.command.as_ref().and_then(|command| command.first()))
            .field("connect_timeout", &self.connect_timeout)
            .field("keep_alive", &self.keep_alive)
            .field("answer_timeout", &self.answer_timeout)
            .finish()
    }
}
