//! The age layer of a sealed stream, with damage told from a failing stream below.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use age::stream::StreamReader;
use age::{DecryptError, Decryptor, Identity};

use crate::{Error, Result};

/// The longest header that is read: some 600 recipients. The decoder itself knows no limit, and
/// would take any file without line feeds for a header.
const HEADER_LIMIT_BYTES: u64 = 64 * 1024;

type Input<R> = Chain<Cursor<Vec<u8>>, BufReader<Below<R>>>;

/// Reads what an age file holds. Its errors carry an [`Error`]: [`Error::Stream`] (or what the
/// stream below carried) if that stream failed, else [`Error::Corrupt`].
pub(crate) struct AgeReader<R> {
    reader: StreamReader<Input<R>>,
}

impl<R: Read> AgeReader<R> {
    /// Reads the header. `refused` says what it means if no identity opens the file.
    pub(crate) fn open<'a>(
        reader: R,
        identities: impl Iterator<Item = &'a dyn Identity>,
        refused: impl Fn(DecryptError) -> Error,
    ) -> Result<Self> {
        let mut reader = BufReader::new(Below(reader));
        let header = read_header(&mut reader)?;
        let decryptor = Decryptor::new_buffered(Cursor::new(header).chain(reader)).map_err(
            |error| match error {
                DecryptError::Io(error) => Error::from_stream("read", sort(error)),
                error => self::refused(error),
            },
        )?;
        Ok(Self { reader: decryptor.decrypt(identities).map_err(refused)? })
    }
}

/// What a refusal by age means for a file with recipients.
pub(crate) fn refused(error: DecryptError) -> Error {
    match error {
        DecryptError::NoMatchingKeys => Error::NotForUs,
        DecryptError::InvalidMac => {
            Error::corrupt("authentication of the age header failed", error)
        }
        error => Error::corrupt("no age header that can be read", error),
    }
}

/// The lines up to and with the one that begins with `---`.
fn read_header<R: Read>(reader: &mut BufReader<Below<R>>) -> Result<Vec<u8>> {
    let mut header = Vec::new();
    loop {
        let start = header.len();
        let room = HEADER_LIMIT_BYTES - start as u64;
        let read = reader
            .by_ref()
            .take(room)
            .read_until(b'\n', &mut header)
            .map_err(|error| Error::from_stream("read", sort(error)))?;
        if read == 0 || !header.ends_with(b"\n") || !header.starts_with(b"age-encryption.org/") {
            return Err(Error::Corrupt { problem: "no age header", source: None });
        }
        if header[start..].starts_with(b"---") {
            return Ok(header);
        }
    }
}

impl<R: Read> Read for AgeReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // Asked for no bytes between two of its chunks, age 0.12 loses the next chunk.
        if buf.is_empty() {
            return Ok(0);
        }
        self.reader.read(buf).map_err(sort)
    }
}

/// Errors that did not come from below are the decoder's, and mean damage.
fn sort(error: io::Error) -> io::Error {
    match error.downcast::<FromBelow>() {
        Ok(FromBelow(error)) => Error::from_stream("read", error).into(),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => error,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::corrupt("the age file is cut short", error).into()
        }
        Err(error) => Error::corrupt("authentication failed", error).into(),
    }
}

/// Marks the errors of the stream below, so that they are known again above the decoder.
struct Below<R>(R);

#[derive(Debug)]
struct FromBelow(io::Error);

impl fmt::Display for FromBelow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for FromBelow {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl<R: Read> Read for Below<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, FromBelow(error)),
        })
    }
}
