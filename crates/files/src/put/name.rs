//! Names that are safe to use.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Refuses what is no name of a single thing in a directory. A backup that was tampered with may
/// hold anything.
pub(super) fn check(name: &OsStr) -> io::Result<()> {
    let bytes = name.as_bytes();
    let why = if bytes.is_empty() {
        "its name is empty"
    } else if bytes == b"." || bytes == b".." {
        "its name means another directory"
    } else if bytes.contains(&b'/') {
        "its name has a slash in it"
    } else if bytes.contains(&0) {
        "its name has a zero byte in it"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}
