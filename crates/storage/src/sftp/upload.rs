//! An object being written to `tmp/`, and its publishing. The order of the steps is argued for in
//! the module above.

mod placing;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use super::attributes::{Kind, whole_seconds};
use super::connection::Connection;
use super::failure::Failure;
use super::features::IN_FLIGHT;
use super::request::Request;
use super::shared::Shared;
use super::ticket::{Handle, Ticket};
use super::{directory, space};
use crate::key::TEMPORARY;
use crate::random::random_hex;
use crate::{Error, Key, Result, Upload};
use placing::Placed;

struct SftpUpload {
    shared: Arc<Shared>,
    name: String,
    handle: Handle,
    /// Written, but not sent yet: less than one piece.
    piece: Vec<u8>,
    /// Where it belongs.
    offset: u64,
    sent: VecDeque<Ticket>,
    modified: Option<SystemTime>,
    failed: bool,
    /// Nothing is left in `tmp/`.
    moved: bool,
}

pub(super) fn begin(shared: &Arc<Shared>) -> Result<Box<dyn Upload>> {
    let failed = |source: io::Error| shared.error("begin an upload in", TEMPORARY, source);
    let (name, handle) = shared
        .retrying(|connection| {
            create(shared, connection)
                .map_err(|failure| space::explain(shared, connection, failure))
        })
        .map_err(|failure| failed(failure.into()))?;
    Ok(Box::new(SftpUpload {
        shared: Arc::clone(shared),
        name,
        handle,
        piece: Vec::new(),
        offset: 0,
        sent: VecDeque::new(),
        modified: None,
        failed: false,
        moved: false,
    }))
}

/// A new file in `tmp/`, which is made if it is missing.
pub(super) fn create(
    shared: &Shared,
    connection: &Arc<Connection>,
) -> Result<(String, Handle), Failure> {
    let name = format!("{TEMPORARY}/{}", random_hex::<16>().map_err(Failure::Unfit)?);
    let path = shared.path(&name);
    let open = || connection.send(Request::create(&path))?.handle(connection);
    match open() {
        Err(failure) if failure.is_missing() => {
            directory::make_temporary(shared, connection)?;
            open()
        }
        opened => opened,
    }
    .map(|handle| (name, handle))
}

impl SftpUpload {
    fn connection(&self) -> &Arc<Connection> {
        self.handle.connection()
    }

    fn piece_bytes(&self) -> usize {
        self.connection().features.write_bytes as usize
    }

    /// Takes bytes, and sends them when they are a piece.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let piece_bytes = self.piece_bytes();
        let taken = bytes.len().min(piece_bytes - self.piece.len());
        self.piece.extend(&bytes[..taken]);
        if self.piece.len() == piece_bytes {
            self.send_piece()?;
        }
        Ok(taken)
    }

    fn send_piece(&mut self) -> Result<(), Failure> {
        if self.piece.is_empty() {
            return Ok(());
        }
        while self.sent.len() >= IN_FLIGHT {
            self.settle_one()?;
        }
        let request = Request::write(self.handle.bytes(), self.offset, &self.piece);
        self.sent.push_back(self.connection().send(request)?);
        self.offset += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    fn settle_one(&mut self) -> Result<(), Failure> {
        self.sent.pop_front().map_or(Ok(()), Ticket::done)
    }

    /// Step 1: the bytes and the time are there, and durable.
    fn finish(&mut self) -> Result<(), Failure> {
        self.send_piece()?;
        let connection = self.connection();
        let time = self.modified.map(|modified| {
            // The last write is under way: requests for one file are done in their order.
            Request::set_modified(self.handle.bytes(), whole_seconds(modified))
        });
        let time = time.map(|request| connection.send(request)).transpose()?;
        let fsync = self.begin_fsync()?;
        while !self.sent.is_empty() {
            self.settle_one()?;
        }
        for ticket in time.into_iter().chain(fsync) {
            ticket.done()?;
        }
        Ok(())
    }

    fn begin_fsync(&self) -> Result<Option<Ticket>, Failure> {
        let connection = self.connection();
        if !connection.features.fsync {
            return Ok(None);
        }
        connection.send(Request::fsync(self.handle.bytes())).map(Some)
    }

    fn publish(&mut self, key: &Key) -> Result<Placed, Failure> {
        if self.failed {
            return Err(Failure::unfit(io::ErrorKind::Other, "a write to it failed before"));
        }
        self.finish()?;
        match self.place(key)? {
            Placed::New => {
                self.begin_fsync()?.map_or(Ok(()), Ticket::done)?;
                Ok(Placed::New)
            }
            Placed::Taken => {
                self.make_durable(key)?;
                Ok(Placed::Taken)
            }
        }
    }

    /// Makes the object that has the name as durable as its own publisher will. What is no object,
    /// or is gone again, has no need of it.
    fn make_durable(&self, key: &Key) -> Result<(), Failure> {
        let connection = self.connection();
        if !connection.features.fsync {
            return Ok(());
        }
        let path = self.shared.path(key.as_str());
        let found = connection.send(Request::lstat(&path))?.attributes_if_any()?;
        if found.and_then(|found| found.kind()) != Some(Kind::File) {
            return Ok(());
        }
        match connection.send(Request::open(&path))?.handle(connection) {
            Err(failure) if failure.is_missing() => Ok(()),
            opened => connection.send(Request::fsync(opened?.bytes()))?.done(),
        }
    }
}

impl Write for SftpUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map_err(|failure| {
            self.failed = true;
            let failure = space::explain(&self.shared, self.connection(), failure);
            self.shared.error("write", &self.name, failure).into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for SftpUpload {
    fn set_modified(&mut self, modified: SystemTime) {
        self.modified = Some(modified);
    }

    fn publish(mut self: Box<Self>, key: &Key) -> Result<()> {
        match SftpUpload::publish(&mut self, key) {
            Ok(Placed::New) => Ok(()),
            Ok(Placed::Taken) => {
                Err(Error::Exists { key: key.clone(), location: self.shared.location() })
            }
            Err(failure) => {
                let failure = space::explain(&self.shared, self.connection(), failure);
                Err(self.shared.error("publish", key.as_str(), failure))
            }
        }
    }
}

impl Drop for SftpUpload {
    /// What cannot be removed now stays for a sweep; it is not visible as an object.
    fn drop(&mut self) {
        if !self.moved {
            self.connection().send_and_forget(Request::remove(&self.shared.path(&self.name)));
        }
    }
}
