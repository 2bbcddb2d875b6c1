//! An index object: `{"packs":[{"id":…,"blobs":[{"id":…,"type":…,"offset":…,"length":…,…}]}]}`.

use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::blob::{BlobExtent, BlobHandle, BlobKind};
use crate::cipher::OVERHEAD_BYTES;
use crate::pack::PackedBlob;
use crate::{BlobId, Error, IndexId, PackId, Result};

/// What an index object lists. `supersedes` of older programs is of no use where all index objects are
/// read, and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexFile {
    pub(crate) packs: Vec<IndexedPack>,
}

/// A pack and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexedPack {
    pub(crate) id: PackId,
    pub(crate) blobs: Vec<PackedBlob>,
}

impl IndexFile {
    pub(crate) fn from_json(id: &IndexId, json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json)
            .map_err(|error| Error::corrupt(format_args!("index {id}"), error.to_string()))
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::corrupt("a new index", error.to_string()))
    }
}

#[derive(Serialize, Deserialize)]
struct BlobJson {
    id: BlobId,
    #[serde(rename = "type")]
    kind: KindJson,
    offset: u32,
    length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    uncompressed_length: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindJson {
    Data,
    Tree,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Serialize for PackedBlob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = match self.blob.kind {
            BlobKind::Data => KindJson::Data,
            BlobKind::Tree => KindJson::Tree,
        };
        let BlobExtent { offset, length, uncompressed_length } = self.extent;
        BlobJson { id: self.blob.id, kind, offset, length, uncompressed_length }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PackedBlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let BlobJson { id, kind, offset, length, uncompressed_length } =
            BlobJson::deserialize(deserializer)?;
        let kind = match kind {
            KindJson::Data => BlobKind::Data,
            KindJson::Tree => BlobKind::Tree,
        };
        if (length as usize) < OVERHEAD_BYTES {
            return Err(de::Error::custom("a blob shorter than an empty one"));
        }
        if offset.checked_add(length).is_none() {
            return Err(de::Error::custom("a blob beyond 4 GiB"));
        }
        let extent = BlobExtent { offset, length, uncompressed_length };
        Ok(Self { blob: BlobHandle { kind, id }, extent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in restic's design document.
    const JSON: &str = r#"{"supersedes":["ed54ae36197f4745ebc4b54d10e0f623eaaaedd03013eb7ae90df881b7781452"],
        "packs":[{"id":"73d04e6125cf3c28a299cc2f3cca3b78ceac396e4fcf9575e34536b26782413c","blobs":[
        {"id":"3ec79977ef0cf5de7b08cd12b874cd0f62bbaf7f07f3497a5b1bbcc8cb39b1ce","type":"data",
         "offset":0,"length":38,"uncompressed_length":11},
        {"id":"9ccb846e60d90d4eb915848add7aa7ea1e4bbabfc60e573db9f7bfb2789afbae","type":"tree",
         "offset":38,"length":112}]}]}"#;

    #[test]
    fn reads_and_writes_what_restic_writes() {
        let file = IndexFile::from_json(&IndexId::of(b""), JSON.as_bytes()).unwrap();
        let [pack] = &file.packs[..] else { panic!("{file:?}") };
        let [data, tree] = pack.blobs[..] else { panic!("{pack:?}") };
        assert_eq!((data.blob.kind, data.extent.plain_length()), (BlobKind::Data, 11));
        assert_eq!((tree.blob.kind, tree.extent.plain_length()), (BlobKind::Tree, 80));
        assert_eq!(tree.extent.range(), 38..150);

        let written = file.to_json().unwrap();
        assert!(!String::from_utf8_lossy(&written).contains("\"uncompressed_length\":0"));
        assert_eq!(IndexFile::from_json(&IndexId::of(b""), &written).unwrap(), file);
    }

    #[test]
    fn refuses_what_cannot_be() {
        for (found, replacement) in [
            ("\"length\":38", "\"length\":31"),
            ("\"offset\":38", "\"offset\":4294967290"),
            ("\"offset\":0", "\"offset\":-1"),
            ("\"tree\"", "\"leaf\""),
            ("73d04e", "zzzzzz"),
            ("]}]}", "]}]"),
        ] {
            assert!(JSON.contains(found));
            let json = JSON.replace(found, replacement);
            let error = IndexFile::from_json(&IndexId::of(b""), json.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(&IndexId::of(b"").to_string()), "{error}");
        }
    }
}
