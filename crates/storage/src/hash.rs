//! Size and SHA-256 of what passes through: how manifests name sealed objects.

use std::fmt;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// Size and SHA-256 of a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectDigest {
    /// Number of bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl ObjectDigest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    /// The SHA-256 as 64 lower-case hex digits.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for ObjectDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, SHA-256 {}", self.size, self.sha256_hex())
    }
}

#[derive(Clone, Debug, Default)]
struct Running {
    size: u64,
    sha256: Sha256,
}

impl Running {
    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
    }

    fn finish(self) -> ObjectDigest {
        ObjectDigest { size: self.size, sha256: self.sha256.finalize().into() }
    }
}

/// Hashes what is written through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    running: Running,
}

impl<W> HashingWriter<W> {
    /// Begins with nothing hashed.
    pub fn new(inner: W) -> Self {
        Self { inner, running: Running::default() }
    }

    /// The writer below and the digest of all that it accepted.
    pub fn finish(self) -> (W, ObjectDigest) {
        (self.inner, self.running.finish())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf)?;
        self.running.update(&buf[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes what is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    running: Running,
}

impl<R> HashingReader<R> {
    /// Begins with nothing hashed.
    pub fn new(inner: R) -> Self {
        Self { inner, running: Running::default() }
    }

    /// The reader below and the digest of all that was read, which is the object's only if it was
    /// read to its end.
    pub fn finish(self) -> (R, ObjectDigest) {
        (self.inner, self.running.finish())
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.running.update(&buf[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn agrees_with_the_published_vector() {
        let mut writer = HashingWriter::new(Vec::new());
        writer.write_all(b"a").unwrap();
        writer.write_all(b"bc").unwrap();
        let (bytes, written) = writer.finish();
        assert_eq!((bytes.as_slice(), written.size), (&b"abc"[..], 3));
        assert_eq!(written.sha256_hex(), ABC);

        let mut reader = HashingReader::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish().1, written);
        assert_eq!(ObjectDigest::of(b"abc"), written);
    }

    /// A writer that takes less than it is given must not have the rest hashed.
    #[test]
    fn hashes_only_what_was_accepted() {
        let mut room = [0; 2];
        let mut writer = HashingWriter::new(&mut room[..]);
        assert_eq!(writer.write(b"abc").unwrap(), 2);
        assert_eq!(writer.finish().1, ObjectDigest::of(b"ab"));
    }
}
