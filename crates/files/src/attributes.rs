//! Extended attributes, access control lists among them.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{lgetxattr, llistxattr};
use rustix::io::{Errno, retry_on_intr};

use crate::{Attribute, Problem};

/// Enough for nearly all, and cheap to ask the kernel for.
const USUAL_BYTES: usize = 1024;
/// The kernel gives no longer list of names, and no longer value.
const MOST_BYTES: usize = 64 * 1024;

/// Reads extended attributes.
///
/// The kernel knows no call that takes a directory's handle and a name in it (but the newest). The name
/// below `/proc/self/fd/<handle>` leads to the same place, whatever was renamed above it meanwhile.
/// Where `/proc` is not mounted, the full path has to do.
pub(crate) struct AttributeReader {
    has_proc: bool,
    names: Vec<u8>,
    value: Vec<u8>,
}

impl AttributeReader {
    pub(crate) fn new() -> Self {
        let has_proc = Path::new("/proc/self/fd").exists();
        Self { has_proc, names: vec![0; USUAL_BYTES], value: vec![0; USUAL_BYTES] }
    }

    /// The attributes of a `name` in a directory, whose path from the root is `path`, in the order of
    /// their names. A link is not followed. Each attribute that cannot be read is added to `problems`.
    pub(crate) fn read(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &CStr,
        path: &Path,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<Attribute>, Errno> {
        let place = self.place(directory, name, path)?;
        let names = match fill(&mut self.names, |names| llistxattr(&*place, names)) {
            Ok(names) => names,
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut attributes = Vec::new();
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            match fill(&mut self.value, |value| lgetxattr(&*place, name, value)) {
                Ok(value) => attributes.push(Attribute { name: os(name), value: value.to_vec() }),
                // It was removed meanwhile.
                Err(Errno::NODATA) => {}
                Err(error) => problems.push(unreadable(path, name, error)),
            }
        }
        attributes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(attributes)
    }

    fn place(&self, directory: BorrowedFd<'_>, name: &CStr, path: &Path) -> Result<CString, Errno> {
        if !self.has_proc {
            return CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL);
        }
        let mut place = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
        place.extend_from_slice(name.to_bytes());
        CString::new(place).map_err(|_| Errno::INVAL)
    }
}

/// What `read` puts into the buffer, which grows if it has to.
fn fill(
    buffer: &mut Vec<u8>,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<&[u8], Errno> {
    let mut length = retry_on_intr(|| read(&mut *buffer));
    if length == Err(Errno::RANGE) && buffer.len() < MOST_BYTES {
        buffer.resize(MOST_BYTES, 0);
        length = retry_on_intr(|| read(&mut *buffer));
    }
    Ok(&buffer[..length?])
}

fn os(name: &CStr) -> OsString {
    OsString::from_vec(name.to_bytes().to_vec())
}

fn unreadable(path: &Path, name: &CStr, error: Errno) -> Problem {
    let source = io::Error::from(error);
    let source = io::Error::new(source.kind(), AttributeError { name: os(name), source });
    Problem::new(path, "read an extended attribute of", source)
}

/// Which attribute could not be read.
#[derive(Debug)]
struct AttributeError {
    name: OsString,
    source: io::Error,
}

impl fmt::Display for AttributeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", OsStr::display(&self.name))
    }
}

impl std::error::Error for AttributeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use rustix::fs::{XattrFlags, lsetxattr};
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    #[test]
    fn without_proc_the_path_does() {
        let scratch = tempfile::tempdir().unwrap();
        let (file, link) = (scratch.path().join("file"), scratch.path().join("link"));
        std::fs::write(&file, "").unwrap();
        symlink("file", &link).unwrap();
        lsetxattr(&file, "user.a", b"1", XattrFlags::empty()).unwrap();
        let directory = scratch.path().iter().skip(1).fold(Directory::root(), |above, name| {
            above?.pass(&CString::new(name.as_bytes()).unwrap())
        });
        let directory = directory.unwrap();
        for has_proc in [true, false] {
            let mut reader = AttributeReader { has_proc, ..AttributeReader::new() };
            let mut problems = Vec::new();
            let mut read = |name, path| reader.read(directory.as_fd(), name, path, &mut problems);
            let expected = Attribute { name: "user.a".into(), value: b"1".to_vec() };
            assert_eq!(read(c"file", &file).unwrap(), [expected]);
            assert_eq!(read(c"link", &link).unwrap(), []);
            assert_eq!(read(c"missing", &scratch.path().join("missing")), Err(Errno::NOENT));
            assert!(problems.is_empty());
        }
    }
}
