//! The two forms of a repository: what its objects are called, and by that how they are encoded.
//!
//! | | form `sealed` | form `litestream` |
//! |---|---|---|
//! | documents | `….json.zst.age` | `….json.zst` |
//! | LTX files | `<min>-<max>-<time>.ltx.zst.age`, in parts | `<min>-<max>.ltx`, dated by the storage |
//!
//! Names are made and taken apart by form, so that an object of the other form is a foreign one. How
//! an object is read follows from its name alone.

use lifeboat_ltx::PageCoding;
use lifeboat_storage::{Key, x25519};
use serde::{Deserialize, Serialize};

/// The end of what age encrypted.
const SEALED: &str = ".age";

/// How the objects of a repository are named and encoded.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Compressed and encrypted.
    #[default]
    Sealed,
    /// For readers that are Litestream: a lineage is a replica of it. Nothing is encrypted.
    Litestream,
}

impl Form {
    /// The form that the marker names so.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Sealed, Self::Litestream].into_iter().find(|form| form.name() == name)
    }

    /// As it stands in the marker.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Litestream => "litestream",
        }
    }

    /// Whether objects are encrypted, so that writing needs a recipient and reading secrets.
    pub const fn is_sealed(self) -> bool {
        matches!(self, Self::Sealed)
    }

    /// Whether the time of an LTX file is in its name. Where it is not, files of one range have one
    /// name, and only the store knows the time.
    pub const fn names_have_times(self) -> bool {
        matches!(self, Self::Sealed)
    }

    /// How pages are stored in LTX files: plain where zstd follows, else compressed.
    pub const fn page_coding(self) -> PageCoding {
        match self {
            Self::Sealed => PageCoding::Literal,
            Self::Litestream => PageCoding::Lz4,
        }
    }

    /// The end of a document's name.
    pub(crate) const fn document_suffix(self) -> &'static str {
        match self {
            Self::Sealed => ".json.zst.age",
            Self::Litestream => ".json.zst",
        }
    }

    /// The end of an LTX file's name, before the number of its part.
    pub(crate) const fn ltx_suffix(self) -> &'static str {
        match self {
            Self::Sealed => ".ltx.zst.age",
            Self::Litestream => ".ltx",
        }
    }

    /// The form of what is written for this recipient: without one, nothing is sealed.
    pub(crate) const fn of_recipient(recipient: Option<&x25519::Recipient>) -> Self {
        match recipient {
            Some(_) => Self::Sealed,
            None => Self::Litestream,
        }
    }

    /// The form of an LTX object.
    pub(crate) fn of_ltx(key: &Key) -> Self {
        if key.as_str().ends_with(Self::Litestream.ltx_suffix()) {
            Self::Litestream
        } else {
            Self::Sealed
        }
    }
}

/// Whether a document is encrypted.
pub(crate) fn is_sealed(key: &Key) -> bool {
    key.as_str().ends_with(SEALED)
}

/// How LTX files lie in a lineage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) form: Form,
    /// All parts of a file but the last have this size.
    pub(crate) part_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn forms_are_what_the_marker_calls_them() {
        for form in [Form::Sealed, Form::Litestream] {
            assert_eq!(Form::of_name(form.name()), Some(form));
            let json = serde_json::to_string(&form).unwrap();
            assert_eq!(json, format!("\"{}\"", form.name()));
        }
        assert_eq!(Form::of_name("Sealed"), None);
    }
}
