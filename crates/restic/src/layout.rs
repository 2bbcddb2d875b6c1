//! Where objects lie: restic's default layout.
//!
//! Beside these, restic leaves `<name>-tmp-<n>` where it was killed; names that are no ids are never
//! listed here.

use lifeboat_storage::{Key, Storage};

use crate::ids::parse_hex;
use crate::{IndexId, KeyId, LockId, PackId, Result, SnapshotId};

/// An object whose name is the SHA-256 of its stored bytes.
pub trait ObjectId: Copy + std::fmt::Display + From<[u8; 32]> + Ord {
    /// The directory of all of its kind.
    const DIRECTORY: &'static str;

    /// The SHA-256.
    fn sha256(&self) -> &[u8; 32];

    /// Its key.
    fn key(&self) -> Result<Key> {
        Ok(format!("{}/{self}", Self::DIRECTORY).parse()?)
    }
}

macro_rules! object_id {
    ($id:ident, $directory:literal) => {
        impl ObjectId for $id {
            const DIRECTORY: &'static str = $directory;

            fn sha256(&self) -> &[u8; 32] {
                self.as_bytes()
            }
        }
    };
}

object_id!(IndexId, "index");
object_id!(KeyId, "keys");
object_id!(LockId, "locks");
object_id!(SnapshotId, "snapshots");

impl ObjectId for PackId {
    const DIRECTORY: &'static str = "data";

    fn sha256(&self) -> &[u8; 32] {
        self.as_bytes()
    }

    fn key(&self) -> Result<Key> {
        Ok(format!("{}/{:02x}/{self}", Self::DIRECTORY, self.as_bytes()[0]).parse()?)
    }
}

/// The key of the one object that every repository has.
pub(crate) fn config_key() -> Result<Key> {
    Ok("config".parse()?)
}

/// An object as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed<I> {
    /// Its id.
    pub id: I,
    /// Its length in bytes.
    pub size: u64,
}

/// All objects of a kind, in the order of their ids. What lies beside them and is none is left out.
pub fn list<I: ObjectId>(storage: &dyn Storage) -> Result<Vec<Listed<I>>> {
    let mut listed = Vec::new();
    for entry in storage.list(Some(&I::DIRECTORY.parse()?))? {
        let Some(id) = parse_hex(entry.key.file_name()).map(I::from) else { continue };
        if id.key()? == entry.key {
            listed.push(Listed { id, size: entry.size });
        }
    }
    listed.sort();
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use lifeboat_storage::MemoryStorage;

    use super::*;

    #[test]
    fn lists_only_what_has_the_name_of_an_object() {
        let storage = MemoryStorage::new();
        let (first, second) = (PackId::from([0x0a; 32]), PackId::from([0xb0; 32]));
        assert_eq!(second.key().unwrap().as_str(), format!("data/b0/{}", "b0".repeat(32)));
        for key in [
            second.key().unwrap(),
            first.key().unwrap(),
            format!("data/0b/{first}").parse().unwrap(),
            format!("data/{first}").parse().unwrap(),
            format!("data/0a/{first}-tmp-1").parse().unwrap(),
            format!("index/{first}").parse().unwrap(),
        ] {
            storage.put(&key, b"abc").unwrap();
        }
        let listed = [Listed { id: first, size: 3 }, Listed { id: second, size: 3 }];
        assert_eq!(list::<PackId>(&storage).unwrap(), listed);
        assert_eq!(list::<SnapshotId>(&storage).unwrap(), []);
    }
}
