//! The tables of a database and a hash of its whole schema.

use std::fmt::Write as _;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

/// What `sqlite_schema` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// Tables with a b-tree of their own: not views, not virtual tables (but their shadow tables).
    pub tables: Vec<Table>,
    /// SHA-256 over type, name, table and SQL text of each entry in the order of the schema table,
    /// each preceded by its length as 8 little-endian bytes (8 bytes 0xff for NULL).
    pub sha256: String,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The root page of its b-tree.
    pub root: u32,
}

impl Schema {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut statement = connection.prepare(
            "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema ORDER BY rowid",
        )?;
        let mut rows = statement.query([])?;
        let mut hash = Sha256::new();
        let mut tables = Vec::new();
        while let Some(row) = rows.next()? {
            for column in 0..4 {
                let text = row.get_ref(column)?.as_bytes_or_null().unwrap_or_default();
                let length = text.map_or(u64::MAX, |text| text.len() as u64);
                hash.update(length.to_le_bytes());
                hash.update(text.unwrap_or_default());
            }
            // A damaged row may hold anything; what is not a table with a root is not counted.
            let kind: String = row.get(0).unwrap_or_default();
            let root: u32 = row.get(4).unwrap_or_default();
            if kind == "table" && root > 0 {
                let name = row.get_ref(1)?.as_bytes_or_null().unwrap_or_default();
                let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
                tables.push(Table { name, root });
            }
        }
        let mut sha256 = String::with_capacity(64);
        for byte in hash.finalize() {
            let _ = write!(sha256, "{byte:02x}");
        }
        Ok(Self { tables, sha256 })
    }
}
