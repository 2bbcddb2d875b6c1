//! Reading an object.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::connection::Connection;
use super::directory;
use super::failure::Failure;
use super::features::IN_FLIGHT;
use super::request::Request;
use super::shared::Shared;
use super::ticket::{Handle, Ticket};
use crate::Key;

/// Reads an object, or a range of it, with several requests under way.
pub(super) struct ObjectReader {
    shared: Arc<Shared>,
    key: Key,
    handle: Handle,
    /// The size of the open file, until it is looked at: what was looked up before could have been
    /// another.
    size: Option<Ticket>,
    /// The size that is reckoned with.
    expected_size: u64,
    range: Range<u64>,
    /// What is asked for next.
    next: u64,
    asked: VecDeque<Asked>,
    current: io::Cursor<Vec<u8>>,
    failed: bool,
}

struct Asked {
    offset: u64,
    bytes: u32,
    ticket: Ticket,
}

/// Opens an object; `None` if there is none.
pub(super) fn open(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    key: &Key,
    range: Range<u64>,
) -> Result<Option<ObjectReader>, Failure> {
    // Looked up first: to open a fifo would stop the server until somebody writes to it.
    let Some(attributes) = directory::look_up(shared, connection, Some(key))? else {
        return Ok(None);
    };
    let Some(entry) = directory::entry(key, &attributes)? else { return Ok(None) };
    let opened = connection.send(Request::open(&shared.path(key.as_str())))?.handle(connection);
    let handle = match opened {
        Err(failure) if failure.is_missing() => return Ok(None),
        opened => opened?,
    };
    let size = connection.send(Request::fstat(handle.bytes()))?;
    let mut reader = ObjectReader {
        shared: Arc::clone(shared),
        key: key.clone(),
        handle,
        size: Some(size),
        expected_size: entry.size,
        next: range.start,
        range,
        asked: VecDeque::new(),
        current: io::Cursor::default(),
        failed: false,
    };
    reader.ask()?;
    Ok(Some(reader))
}

impl ObjectReader {
    fn end(&self) -> u64 {
        self.range.end.min(self.expected_size)
    }

    /// Keeps as many requests under way as may be.
    fn ask(&mut self) -> Result<(), Failure> {
        let connection = self.handle.connection();
        let piece = connection.features.read_bytes;
        while self.asked.len() < IN_FLIGHT && self.next < self.end() {
            let bytes = u32::try_from(self.end() - self.next).unwrap_or(u32::MAX).min(piece);
            let offset = self.next;
            let ticket = connection.send(Request::read(self.handle.bytes(), offset, bytes))?;
            self.asked.push_back(Asked { offset, bytes, ticket });
            self.next += u64::from(bytes);
        }
        Ok(())
    }

    /// Compares the size that was reckoned with, and begins anew if it was another's.
    fn settle_size(&mut self) -> Result<(), Failure> {
        let Some(ticket) = self.size.take() else { return Ok(()) };
        let attributes = ticket.attributes()?;
        let size = directory::entry(&self.key, &attributes)?.map(|entry| entry.size);
        let Some(size) = size else {
            return Err(Failure::unfit(io::ErrorKind::Other, "it was replaced meanwhile"));
        };
        if size != self.expected_size {
            self.expected_size = size;
            self.asked.clear();
            self.next = self.range.start;
            self.ask()?;
        }
        Ok(())
    }

    /// The next bytes; none at the end.
    fn advance(&mut self) -> Result<Vec<u8>, Failure> {
        self.settle_size()?;
        let Some(Asked { offset, bytes, ticket }) = self.asked.pop_front() else {
            return Ok(Vec::new());
        };
        let data = ticket.data()?;
        let read = data.as_ref().and_then(|data| u32::try_from(data.len()).ok()).unwrap_or(0);
        if read == 0 {
            // Never less than there is without an error.
            return Err(Failure::unfit(io::ErrorKind::UnexpectedEof, "it ends early"));
        }
        if read > bytes {
            let why = "more bytes than were asked for";
            return Err(Failure::unfit(io::ErrorKind::InvalidData, why));
        }
        if read < bytes {
            // A server may answer with less; the rest comes before what follows.
            let (offset, bytes) = (offset + u64::from(read), bytes - read);
            let request = Request::read(self.handle.bytes(), offset, bytes);
            let ticket = self.handle.connection().send(request)?;
            self.asked.push_front(Asked { offset, bytes, ticket });
        }
        self.ask()?;
        Ok(data.unwrap_or_default())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("read on after an error"));
        }
        let read = self.current.read(buffer)?;
        if read > 0 {
            return Ok(read);
        }
        match self.advance() {
            Ok(bytes) => self.current = io::Cursor::new(bytes),
            Err(failure) => {
                self.failed = true;
                return Err(self.shared.error("read", self.key.as_str(), failure).into());
            }
        }
        self.current.read(buffer)
    }
}
