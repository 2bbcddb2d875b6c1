//! What a file is that is not an SQLite database.

use std::path::Path;

use lifeboat_sqlite::{SIDECARS, read_beginning};

use super::finding::Diagnosis;

/// As many files are looked at beside a database.
const MOST: usize = 256;

/// What the beginning of a file shows, of all that may lie where a database is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Redb,
    Lmdb,
    Sqlite2,
    SqliteCut,
    Gzip,
    Zip,
    Zstd,
    Text,
    Encrypted,
    Unknown,
}

impl Kind {
    /// Reads at least the first 100 bytes of a file of `size` bytes, or all of a smaller one.
    fn of(bytes: &[u8], size: u64) -> Self {
        // The meta page of LMDB: a page header of 16 bytes (8 on 32-bit machines), then the magic,
        // in the byte order of the machine.
        let lmdb = |at: usize| {
            let magic = bytes.get(at..at + 4);
            magic == Some(&[0xde, 0xc0, 0xef, 0xbe]) || magic == Some(&[0xbe, 0xef, 0xc0, 0xde])
        };
        if bytes.starts_with(b"redb\x1a\x0a\xa9\x0d\x0a") {
            Self::Redb
        } else if lmdb(16) || lmdb(8) {
            Self::Lmdb
        } else if bytes.starts_with(b"** This file contains an SQLite 2") {
            Self::Sqlite2
        } else if bytes.starts_with(b"SQLite format 3\0") {
            Self::SqliteCut
        } else if bytes.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if bytes.starts_with(b"PK\x03\x04") {
            Self::Zip
        } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else if bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~')) {
            Self::Text
        } else if size.is_multiple_of(512) && is_random(bytes) {
            Self::Encrypted
        } else {
            Self::Unknown
        }
    }

    /// What it is, and what to do where a database was expected.
    fn describe(self) -> (&'static str, &'static str) {
        let not_yet = "stop its application and copy the file; Lifeboat reads SQLite only";
        match self {
            Self::Redb => ("a redb database", not_yet),
            Self::Lmdb => ("an LMDB database", not_yet),
            Self::Sqlite2 => ("an SQLite 2 database", "convert it with sqlite (version 2) .dump"),
            Self::SqliteCut => (
                "the beginning of an SQLite database, but damaged or cut off",
                "restore the newest backup that is whole: lifeboat restore",
            ),
            Self::Gzip => ("a gzip file", "unpack it, or name the database itself"),
            Self::Zip => ("a zip file", "unpack it, or name the database itself"),
            Self::Zstd => ("a zstd file", "unpack it, or name the database itself"),
            Self::Text => ("text", "name the database, not a dump or a configuration"),
            Self::Encrypted => (
                "what looks like random bytes, perhaps an encrypted database (SQLCipher, SEE)",
                "copy it while its application is stopped",
            ),
            Self::Unknown => ("of an unknown kind", "check the path in the application"),
        }
    }
}

/// 100 random bytes have about 83 different ones; headers of file formats have many zeros.
fn is_random(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    bytes.len() >= 100 && seen.iter().filter(|seen| **seen).count() > 60
}

/// What the file at `path` is instead of a database.
pub(super) fn examine(path: &Path) -> Diagnosis {
    let error = lifeboat_sqlite::Error::NotADatabase { path: path.to_owned() };
    let (found, remedy) = match kind(path) {
        Some(kind) => kind.describe(),
        None => ("not a regular file", "name the database file"),
    };
    let mut diagnosis = Diagnosis::failed("content", error).remedy(remedy);
    diagnosis.found = format!("it is not an SQLite database, but {found}");
    diagnosis
}

fn kind(path: &Path) -> Option<Kind> {
    let mut bytes = [0; 100];
    let file = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let length = read_beginning(path, &mut bytes).ok()?;
    Some(Kind::of(&bytes[..length], file.len()))
}

/// Databases of other kinds in the directory of a database: the application's data is there too.
pub(super) fn beside(database: &Path) -> Vec<Diagnosis> {
    let Some(entries) = database.parent().and_then(|parent| std::fs::read_dir(parent).ok()) else {
        return Vec::new();
    };
    // Closing an index of a WAL would drop the locks that this process may have on it.
    let companion = |path: &Path| {
        let name = path.as_os_str().as_encoded_bytes();
        SIDECARS.iter().any(|suffix| name.ends_with(suffix.as_bytes()))
    };
    let others = entries.flatten().take(MOST).filter_map(|entry| {
        let path = Some(entry.path()).filter(|path| !companion(path))?;
        let kind = kind(&path).filter(|kind| matches!(kind, Kind::Redb | Kind::Lmdb))?;
        Some(Diagnosis::warning(
            "other stores",
            format!("{} beside it is {}: it is not backed up", path.display(), kind.describe().0),
            "stop the application and copy it, or export it into a file that is backed up",
        ))
    });
    others.collect()
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn kinds_by_their_first_bytes() {
        let padded = |start: &[u8]| {
            let mut bytes = start.to_vec();
            bytes.resize(100, 0);
            bytes
        };
        let random: Vec<u8> =
            (0..100_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let lmdb = [&[0; 16][..], &[0xde, 0xc0, 0xef, 0xbe, 1, 0, 0, 0]].concat();
        let cases = [
            (padded(b"redb\x1a\x0a\xa9\x0d\x0a"), 4096, Kind::Redb),
            (padded(&lmdb), 8192, Kind::Lmdb),
            (padded(b"** This file contains an SQLite 2.1 database **"), 4096, Kind::Sqlite2),
            (b"SQLite format 3\0".to_vec(), 16, Kind::SqliteCut),
            (padded(&[0x1f, 0x8b, 8]), 100, Kind::Gzip),
            (padded(b"PK\x03\x04"), 100, Kind::Zip),
            (padded(&[0x28, 0xb5, 0x2f, 0xfd]), 100, Kind::Zstd),
            (b"CREATE TABLE t(a);\n".repeat(6)[..100].to_vec(), 114, Kind::Text),
            (random.clone(), 8192, Kind::Encrypted),
            (random, 8191, Kind::Unknown),
            (padded(b"\x7fELF"), 4096, Kind::Unknown),
        ];
        for (bytes, size, kind) in cases {
            assert_eq!(Kind::of(&bytes, size), kind, "{bytes:?}");
        }
    }
}
