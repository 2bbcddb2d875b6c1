//! What lies where a single file is to be put, and whether it may go.

use std::fs::{File, FileType};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::{Error, Result};

/// What is at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Onto {
    Nothing,
    File,
    /// A block device of so many bytes.
    Device {
        bytes: u64,
    },
    Other,
}

/// Why it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Exists,
    TooSmall { bytes: u64 },
    NoFile,
}

impl Onto {
    pub(super) fn look(target: &Path) -> Result<Self> {
        let found = match target.metadata() {
            Ok(found) => found,
            // A link that leads nowhere is something, too.
            Err(_) if target.is_symlink() => return Ok(Self::File),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(Error::file("look at", target)(error)),
        };
        let kind: FileType = found.file_type();
        if kind.is_file() {
            return Ok(Self::File);
        }
        if !kind.is_block_device() {
            return Ok(Self::Other);
        }
        let failed = Error::file("look at", target);
        let size = File::open(target).and_then(|mut device| device.seek(SeekFrom::End(0)));
        Ok(Self::Device { bytes: size.map_err(failed)? })
    }
}

/// Whether so many bytes may be put there.
pub(super) fn decide(onto: &Onto, force: bool, size_bytes: u64) -> Result<(), Refused> {
    match *onto {
        Onto::Nothing => Ok(()),
        Onto::Other => Err(Refused::NoFile),
        Onto::Device { bytes } if bytes < size_bytes => Err(Refused::TooSmall { bytes }),
        Onto::File | Onto::Device { .. } if force => Ok(()),
        Onto::File | Onto::Device { .. } => Err(Refused::Exists),
    }
}

impl Refused {
    pub(super) fn into_error(self, target: &Path, size_bytes: u64) -> Error {
        let target = target.display();
        match self {
            Self::Exists => Error::usage(
                format!("{target} exists"),
                "--force replaces it: a file is moved aside, what is on a device is lost",
            ),
            Self::TooSmall { bytes } => Error::usage(
                format!("{target} holds {bytes} bytes, {size_bytes} are needed"),
                "choose a larger device, or a file",
            ),
            Self::NoFile => Error::usage(
                format!("{target} is neither a file nor a block device"),
                "choose another place with --target",
            ),
        }
    }
}

/// A block device that nobody else uses: the kernel refuses one that is mounted or part of something.
pub(super) struct Device(File);

impl Device {
    pub(super) fn open(path: &Path, size_bytes: u64) -> Result<Self> {
        let flags = i32::try_from((OFlags::EXCL | OFlags::CLOEXEC).bits()).unwrap_or_default();
        let opened = File::options().write(true).custom_flags(flags).open(path);
        let mut device = opened.map_err(Error::file("open for nobody else", path))?;
        let kind = device.metadata().map_err(Error::file("look at", path))?.file_type();
        if !kind.is_block_device() {
            return Err(Refused::NoFile.into_error(path, size_bytes));
        }
        let bytes = device.seek(SeekFrom::End(0)).map_err(Error::file("look at", path))?;
        decide(&Onto::Device { bytes }, true, size_bytes)
            .map_err(|refused| refused.into_error(path, size_bytes))?;
        device.rewind().map_err(Error::file("write to", path))?;
        Ok(Self(device))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl Write for Device {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_replaced() {
        let device = Onto::Device { bytes: 100 };
        let cases = [
            (Onto::Nothing, false, Ok(())),
            (Onto::File, false, Err(Refused::Exists)),
            (Onto::File, true, Ok(())),
            (device, false, Err(Refused::Exists)),
            (device, true, Ok(())),
            (Onto::Device { bytes: 99 }, true, Err(Refused::TooSmall { bytes: 99 })),
            (Onto::Other, true, Err(Refused::NoFile)),
        ];
        for (onto, force, expected) in cases {
            assert_eq!(decide(&onto, force, 100), expected, "{onto:?}, force: {force}");
        }
    }

    #[test]
    fn what_is_no_block_device_is_not_opened_as_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("image");
        std::fs::write(&file, "old").unwrap();
        assert!(Device::open(&file, 1).is_err());
        assert_eq!(Onto::look(&file).unwrap(), Onto::File);
        assert_eq!(Onto::look(directory.path()).unwrap(), Onto::Other);
        assert_eq!(Onto::look(Path::new("/dev/null")).unwrap(), Onto::Other);
        assert_eq!(Onto::look(&directory.path().join("none")).unwrap(), Onto::Nothing);
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
    }
}
