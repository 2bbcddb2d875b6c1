//! An answer that is still to come.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::attributes::Attributes;
use super::connection::{Connection, Link};
use super::failure::{END_OF_FILE, Failure};
use super::reply::{Name, Reply, Status};
use super::request::Request;

/// An answer that is still to come. Who drops it does not want it.
pub(super) struct Ticket {
    answer: Receiver<Reply>,
    link: Arc<Link>,
}

impl Ticket {
    pub(super) fn new(answer: Receiver<Reply>, link: Arc<Link>) -> Self {
        Self { answer, link }
    }

    /// Waits for any answer; a status other than yes is a failure.
    pub(super) fn reply(self) -> Result<Reply, Failure> {
        match self.answer.recv() {
            Ok(Reply::Status(status)) if status.code != 0 => Err(Failure::Refused(status)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(self.link.lost().into()),
        }
    }

    /// Waits for a yes.
    pub(super) fn done(self) -> Result<(), Failure> {
        self.expect(|reply| matches!(reply, Reply::Status(_)).then_some(()))
    }

    /// Waits for what is at a path.
    pub(super) fn attributes(self) -> Result<Attributes, Failure> {
        self.expect(|reply| match reply {
            Reply::Attributes(attributes) => Some(attributes),
            _ => None,
        })
    }

    /// Waits for what is at a path; `None` if nothing is there.
    pub(super) fn attributes_if_any(self) -> Result<Option<Attributes>, Failure> {
        match self.attributes() {
            Err(failure) if failure.is_missing() => Ok(None),
            result => result.map(Some),
        }
    }

    /// Waits for an open file or directory, which is closed when it is dropped.
    pub(super) fn handle(self, connection: &Arc<Connection>) -> Result<Handle, Failure> {
        let bytes = self.expect(|reply| match reply {
            Reply::Handle(handle) => Some(handle),
            _ => None,
        })?;
        Ok(Handle { bytes, connection: Arc::clone(connection) })
    }

    /// Waits for bytes of a file; `None` at its end.
    pub(super) fn data(self) -> Result<Option<Vec<u8>>, Failure> {
        self.until_the_end(|reply| match reply {
            Reply::Data(bytes) => Some(bytes),
            _ => None,
        })
    }

    /// Waits for names of a directory; `None` at its end.
    pub(super) fn names(self) -> Result<Option<Vec<Name>>, Failure> {
        self.until_the_end(|reply| match reply {
            Reply::Names(names) => Some(names),
            _ => None,
        })
    }

    /// Waits for the answer of an extension.
    pub(super) fn extended(self) -> Result<Vec<u8>, Failure> {
        self.expect(|reply| match reply {
            Reply::Extended(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn until_the_end<T>(self, want: impl Fn(Reply) -> Option<T>) -> Result<Option<T>, Failure> {
        match self.expect(want) {
            Err(Failure::Refused(Status { code: END_OF_FILE, .. })) => Ok(None),
            result => result.map(Some),
        }
    }

    fn expect<T>(self, want: impl Fn(Reply) -> Option<T>) -> Result<T, Failure> {
        let link = Arc::clone(&self.link);
        let reply = self.reply()?;
        want(reply).ok_or_else(|| link.violated("an answer of another kind than was asked").into())
    }
}

/// An open file or directory of the server, closed when it is dropped.
pub(super) struct Handle {
    bytes: Vec<u8>,
    connection: Arc<Connection>,
}

impl Handle {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.connection.send_and_forget(Request::close(&self.bytes));
    }
}
