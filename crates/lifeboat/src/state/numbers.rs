//! Files of page numbers, 4 little-endian bytes each.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::file::create_private_file;
use crate::{Error, Result};

/// The numbers of a file; none where there is no file.
pub(super) fn read_numbers(path: &Path) -> Result<Vec<u32>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("open", path)(error)),
    };
    let mut bytes = Vec::new();
    BufReader::new(file).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(numbers.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
}

/// Writes a file, durably.
pub(super) fn write_numbers(path: &Path, numbers: &[u32]) -> Result<()> {
    let file = create_private_file(path)?;
    let mut out = BufWriter::new(file);
    numbers
        .iter()
        .try_for_each(|number| out.write_all(&number.to_le_bytes()))
        .and_then(|()| out.flush())
        .and_then(|()| out.get_ref().sync_all())
        .map_err(Error::file("write", path))
}
