//! Requests as the server reads them.

use super::attributes::NewAttributes;

/// What a request or its answer is; numbers of draft-ietf-secsh-filexfer-02.
pub(super) mod kind {
    pub(in crate::sftp) const INIT: u8 = 1;
    pub(in crate::sftp) const VERSION: u8 = 2;
    pub(in crate::sftp) const OPEN: u8 = 3;
    pub(in crate::sftp) const CLOSE: u8 = 4;
    pub(in crate::sftp) const READ: u8 = 5;
    pub(in crate::sftp) const WRITE: u8 = 6;
    pub(in crate::sftp) const LSTAT: u8 = 7;
    pub(in crate::sftp) const FSTAT: u8 = 8;
    pub(in crate::sftp) const FSETSTAT: u8 = 10;
    pub(in crate::sftp) const OPENDIR: u8 = 11;
    pub(in crate::sftp) const READDIR: u8 = 12;
    pub(in crate::sftp) const REMOVE: u8 = 13;
    pub(in crate::sftp) const MKDIR: u8 = 14;
    pub(in crate::sftp) const STAT: u8 = 17;
    pub(in crate::sftp) const RENAME: u8 = 18;
    pub(in crate::sftp) const STATUS: u8 = 101;
    pub(in crate::sftp) const HANDLE: u8 = 102;
    pub(in crate::sftp) const DATA: u8 = 103;
    pub(in crate::sftp) const NAME: u8 = 104;
    pub(in crate::sftp) const ATTRS: u8 = 105;
    pub(in crate::sftp) const EXTENDED: u8 = 200;
    pub(in crate::sftp) const EXTENDED_REPLY: u8 = 201;
}

/// The version of the protocol that is spoken: the one that OpenSSH knows.
pub(super) const VERSION: u32 = 3;

const OPEN_READ: u32 = 0x01;
const OPEN_WRITE: u32 = 0x02;
const OPEN_CREATE: u32 = 0x08;
const OPEN_EXCLUSIVE: u32 = 0x20;

/// Length and identifier are filled in when it is sent.
const HEAD_BYTES: usize = 9;

/// A request that is not sent yet.
pub(super) struct Request(Vec<u8>);

impl Request {
    fn new(kind: u8) -> Self {
        let mut bytes = vec![0; HEAD_BYTES];
        bytes[4] = kind;
        Self(bytes)
    }

    fn on(kind: u8, subject: &[u8]) -> Self {
        Self::new(kind).string(subject)
    }

    fn extended(name: &str, subject: &[u8]) -> Self {
        Self::on(kind::EXTENDED, name.as_bytes()).string(subject)
    }

    fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn offset(mut self, offset: u64) -> Self {
        self.0.extend(offset.to_be_bytes());
        self
    }

    fn string(self, bytes: &[u8]) -> Self {
        let mut request = self.number(length(bytes));
        request.0.extend(bytes);
        request
    }

    fn attributes(mut self, attributes: &NewAttributes) -> Self {
        attributes.encode(&mut self.0);
        self
    }

    /// Opens a file for reading.
    pub(super) fn open(path: &str) -> Self {
        let none = NewAttributes::default();
        Self::on(kind::OPEN, path.as_bytes()).number(OPEN_READ).attributes(&none)
    }

    /// Makes a file that is not there yet, readable by its owner alone.
    pub(super) fn create(path: &str) -> Self {
        let flags = OPEN_WRITE | OPEN_CREATE | OPEN_EXCLUSIVE;
        let attributes = NewAttributes { permissions: Some(0o600), modified: None };
        Self::on(kind::OPEN, path.as_bytes()).number(flags).attributes(&attributes)
    }

    pub(super) fn close(handle: &[u8]) -> Self {
        Self::on(kind::CLOSE, handle)
    }

    pub(super) fn read(handle: &[u8], offset: u64, bytes: u32) -> Self {
        Self::on(kind::READ, handle).offset(offset).number(bytes)
    }

    pub(super) fn write(handle: &[u8], offset: u64, bytes: &[u8]) -> Self {
        Self::on(kind::WRITE, handle).offset(offset).string(bytes)
    }

    /// What is at a path; of a link, what it leads to.
    pub(super) fn stat(path: &str) -> Self {
        Self::on(kind::STAT, path.as_bytes())
    }

    /// What is at a path, a link itself.
    pub(super) fn lstat(path: &str) -> Self {
        Self::on(kind::LSTAT, path.as_bytes())
    }

    pub(super) fn fstat(handle: &[u8]) -> Self {
        Self::on(kind::FSTAT, handle)
    }

    /// Sets the times of an open file; seconds since 1970.
    pub(super) fn set_modified(handle: &[u8], seconds: u32) -> Self {
        let attributes = NewAttributes { permissions: None, modified: Some(seconds) };
        Self::on(kind::FSETSTAT, handle).attributes(&attributes)
    }

    pub(super) fn open_directory(path: &str) -> Self {
        Self::on(kind::OPENDIR, path.as_bytes())
    }

    pub(super) fn read_directory(handle: &[u8]) -> Self {
        Self::on(kind::READDIR, handle)
    }

    /// Makes a directory that is its owner's alone.
    pub(super) fn make_directory(path: &str) -> Self {
        let attributes = NewAttributes { permissions: Some(0o700), modified: None };
        Self::on(kind::MKDIR, path.as_bytes()).attributes(&attributes)
    }

    pub(super) fn remove(path: &str) -> Self {
        Self::on(kind::REMOVE, path.as_bytes())
    }

    /// Version 3 of the protocol refuses a target that exists.
    pub(super) fn rename(from: &str, to: &str) -> Self {
        Self::on(kind::RENAME, from.as_bytes()).string(to.as_bytes())
    }

    pub(super) fn hard_link(from: &str, to: &str) -> Self {
        Self::extended(super::features::HARD_LINK, from.as_bytes()).string(to.as_bytes())
    }

    pub(super) fn fsync(handle: &[u8]) -> Self {
        Self::extended(super::features::FSYNC, handle)
    }

    pub(super) fn file_system(path: &str) -> Self {
        Self::extended(super::features::FILE_SYSTEM, path.as_bytes())
    }

    pub(super) fn limits() -> Self {
        Self::on(kind::EXTENDED, super::features::LIMITS.as_bytes())
    }

    /// The bytes to send.
    pub(super) fn numbered(self, id: u32) -> Vec<u8> {
        let mut bytes = self.0;
        let rest = length(&bytes[4..]);
        bytes[..4].copy_from_slice(&rest.to_be_bytes());
        bytes[5..HEAD_BYTES].copy_from_slice(&id.to_be_bytes());
        bytes
    }
}

/// The greeting, which has no identifier.
pub(super) fn greeting() -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 5, kind::INIT];
    bytes.extend(VERSION.to_be_bytes());
    bytes
}

/// Pieces of objects, paths and handles: nothing that is sent comes near 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
