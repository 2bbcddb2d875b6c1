//! Files that say of the directory that they are in that it is not to be kept.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::fs::{FileType, OFlags};

use crate::directory::{Directory, open_untouched};
use crate::metadata::Status;
use crate::{Error, Result};

/// A file that marks its directory.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    name: CString,
    /// What it has to begin with. If that is nothing, it may be anything: a link, a directory.
    header: Vec<u8>,
}

impl Marker {
    /// A `NAME` or `NAME:HEADER`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (name, header) = text.split_once(':').unwrap_or((text, ""));
        let is_name = !matches!(name, "" | "." | "..") && !name.contains('/');
        let name = CString::new(name).ok().filter(|_| is_name);
        let name = name.ok_or_else(|| Error::Marker { marker: text.to_owned() })?;
        Ok(Self { name, header: header.as_bytes().to_vec() })
    }

    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    /// Whether it marks a directory in which there is a file of its name.
    pub(super) fn marks(&self, directory: &Directory) -> bool {
        // One that cannot be read marks nothing, so that nothing is lost by it. It is kept like any other
        // file, and then shows as a problem.
        self.header.is_empty() || self.begins(directory).unwrap_or(false)
    }

    fn begins(&self, directory: &Directory) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open_untouched(directory.as_fd(), &self.name, flags)?;
        if Status::of(&file)?.file_type() != FileType::RegularFile {
            return Ok(false);
        }
        let mut beginning = Vec::new();
        File::from(file).take(self.header.len() as u64).read_to_end(&mut beginning)?;
        Ok(beginning == self.header)
    }
}
