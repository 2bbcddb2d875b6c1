//! A connection to a server, which all threads share.

use std::collections::HashSet;
use std::io::Write;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;

use super::address::SftpAddress;
use super::failure::Failure;
use super::features::Features;
use super::options::SftpOptions;
use super::pending::Pending;
use super::problem::{NoConnection, SftpProblem};
use super::process::{PATIENCE, Process, no_thread};
use super::receiver::{self, Timeouts};
use super::reply::Reply;
use super::request::{self, Request};
use super::ticket::Ticket;
use crate::Key;

/// A connection to a server: requests of several threads, each of which may have several under
/// way. The last to let go of it ends it.
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    pub(super) features: Features,
    /// Directories that were found or made through this connection.
    pub(super) directories: Mutex<HashSet<Key>>,
    /// The file system was found to have no hard links.
    pub(super) refuses_links: AtomicBool,
    /// Ends when the receiving thread does.
    ended: Mutex<Receiver<()>>,
}

/// What the two directions of a connection have in common.
pub(super) struct Link {
    pub(super) process: Process,
    pub(super) pending: Pending,
    /// `user@host`, for messages.
    pub(super) host: String,
    /// `None` once it is to end.
    input: Mutex<Option<ChildStdin>>,
}

impl Connection {
    /// Connects, and learns what the server can do.
    pub(super) fn open(
        address: &SftpAddress,
        options: &SftpOptions,
    ) -> Result<Arc<Self>, NoConnection> {
        let command = super::command::command(address, options)?;
        let (process, input, output) = Process::start(command)?;
        let link = Arc::new(Link {
            process,
            pending: Pending::new(),
            host: address.login(),
            input: Mutex::new(Some(input)),
        });
        let timeouts = Timeouts {
            greeting: options.connect_timeout.saturating_mul(2),
            answer: options.answer_timeout,
        };
        let (greeted, greeting) = sync_channel(1);
        let ended = start_receiver(&link, output, greeted, timeouts)?;
        link.send(&request::greeting());
        let Ok(extensions) = greeting.recv() else { return Err(link.lost()) };
        let mut connection = Self {
            link,
            features: Features::new(&extensions),
            directories: Mutex::default(),
            refuses_links: AtomicBool::new(false),
            ended: Mutex::new(ended),
        };
        connection.learn_limits()?;
        Ok(Arc::new(connection))
    }

    /// A server that will not say what it takes is asked for what all take.
    fn learn_limits(&mut self) -> Result<(), NoConnection> {
        if !self.features.limits {
            return Ok(());
        }
        match self.send(Request::limits()).and_then(Ticket::reply) {
            Ok(Reply::Extended(limits)) => match self.features.limit(&limits) {
                Ok(()) => Ok(()),
                Err(malformed) => Err(self.link.violated(malformed.0)),
            },
            Err(Failure::Connection(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends a request. It waits while the server takes nothing.
    pub(super) fn send(&self, request: Request) -> Result<Ticket, Failure> {
        let (id, answer) = self.link.pending.add()?;
        self.link.send(&request.numbered(id));
        Ok(Ticket::new(answer, Arc::clone(&self.link)))
    }

    /// Sends a request whose answer nobody needs.
    pub(super) fn send_and_forget(&self, request: Request) {
        // Without a connection there is nothing to do it to.
        drop(self.send(request));
    }

    /// Whether hard links can be made, as far as is known.
    pub(super) fn makes_links(&self) -> bool {
        self.features.hard_links && !self.refuses_links.load(Ordering::Relaxed)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.link.pending.lost().is_some()
    }
}

fn start_receiver(
    link: &Arc<Link>,
    output: std::process::ChildStdout,
    greeted: SyncSender<Vec<String>>,
    timeouts: Timeouts,
) -> Result<Receiver<()>, NoConnection> {
    let (ends, ended) = channel();
    let receiving = Arc::clone(link);
    let receive = move || {
        receiver::run(&receiving, output, greeted, timeouts);
        // What it has of the program goes before: whoever waits for this finds it gone.
        drop(receiving);
        drop(ends);
    };
    thread::Builder::new()
        .name("sftp-receiver".to_owned())
        .spawn(receive)
        .map_err(|error| no_thread(&error))?;
    Ok(ended)
}

impl Link {
    /// A packet that cannot be sent whole leaves nothing to go on with; the receiving thread then
    /// finds out what happened, and tells who waits.
    fn send(&self, packet: &[u8]) {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = input.as_mut().is_some_and(|input| input.write_all(packet).is_ok());
        if !sent {
            *input = None;
        }
    }

    /// Lets the program see the end of its input. While somebody waits for it to take more it can not;
    /// then it has to be killed.
    pub(super) fn close_input(&self) {
        match self.input.try_lock() {
            Ok(mut input) => *input = None,
            Err(TryLockError::Poisoned(input)) => *input.into_inner() = None,
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Why the connection ended.
    pub(super) fn lost(&self) -> NoConnection {
        let unknown = || NoConnection::new(SftpProblem::Lost, "the connection ended");
        self.pending.lost().unwrap_or_else(unknown)
    }

    /// Ends a connection whose server answers what it was not asked.
    pub(super) fn violated(&self, why: &str) -> NoConnection {
        let message =
            format!("what answers at {} does not speak SFTP as it should ({why})", self.host);
        self.pending.fail(NoConnection::new(SftpProblem::Protocol, message));
        self.process.kill();
        self.lost()
    }
}

impl Drop for Connection {
    /// What was sent and forgotten is still done: OpenSSH's server drops what it has not begun when
    /// its input ends. Then the program gets a moment to end by itself.
    fn drop(&mut self) {
        self.link.pending.wait_until_idle(PATIENCE);
        self.link.close_input();
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            self.link.process.kill();
            // It also waits for the words and the exit.
            let _ = ended.recv_timeout(PATIENCE * 3);
        }
    }
}
