//! The file system of the storage, and what it has to do with a refusal.

use std::io;

use super::connection::Connection;
use super::failure::Failure;
use super::features::FileSystem;
use super::request::Request;
use super::shared::Shared;

/// With less free than this, what an upload has under way, a refusal is put down to it.
const FULL_BYTES: u64 = 2 << 20;

/// The file system of the root; `None` if the server cannot tell.
pub(super) fn file_system(
    shared: &Shared,
    connection: &Connection,
) -> Result<Option<FileSystem>, Failure> {
    if !connection.features.file_system {
        return Ok(None);
    }
    let answer = connection.send(Request::file_system(shared.root()))?.extended()?;
    match FileSystem::decode(&answer) {
        Ok(found) => Ok(Some(found)),
        Err(malformed) => Err(connection.link.violated(malformed.0).into()),
    }
}

/// OpenSSH's server says of a full disk, and of one that may not be written, no more than that it
/// failed. The file system tells.
pub(super) fn explain(shared: &Shared, connection: &Connection, failure: Failure) -> Failure {
    if !failure.has_no_reason() {
        return failure;
    }
    match file_system(shared, connection) {
        Ok(Some(FileSystem { read_only: true, .. })) => {
            Failure::unfit(io::ErrorKind::ReadOnlyFilesystem, "the file system is read-only")
        }
        Ok(Some(FileSystem { free_bytes, .. })) if free_bytes < FULL_BYTES => {
            let message = format!("the disk is full ({free_bytes} bytes left)");
            Failure::unfit(io::ErrorKind::StorageFull, message)
        }
        // A quota is the usual reason that is left; the refusal itself says no more.
        _ => failure,
    }
}
