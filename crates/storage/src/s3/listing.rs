//! Pages of a listing.

use roxmltree::Node;

use crate::remote::{Attempt, Page};
use crate::times::parse_rfc3339;
use crate::{Entry, Key, percent, xml};

/// A page as it was answered, with the entity tag of each object.
pub(super) struct Listed {
    pub(super) page: Page,
    /// One for each entry of the page.
    pub(super) tags: Vec<String>,
}

/// Reads an answer to a listing of what is below `prefix`, which ends in `/` if it is not empty.
pub(super) fn parse(text: &str, prefix: &str) -> Attempt<Listed> {
    let document = xml::parse_as(text, "ListBucketResult")?;
    let root = document.root_element();
    let names = Names::of(root);
    let mut listed = Listed { page: Page::default(), tags: Vec::new() };
    for object in xml::children(root, "Contents") {
        let name = xml::text(object, "Key").ok_or_else(|| xml::missing("a key"))?;
        let Some(key) = names.key(name, prefix) else { continue };
        let size = xml::text(object, "Size").and_then(|size| size.parse().ok());
        let modified = xml::text(object, "LastModified").and_then(parse_rfc3339);
        let size = size.ok_or_else(|| xml::missing("the size of an object"))?;
        let modified = modified.ok_or_else(|| xml::missing("the time of an object"))?;
        listed.page.entries.push(Entry { key, size, modified });
        listed.tags.push(xml::text(object, "ETag").unwrap_or_default().to_owned());
    }
    for directory in xml::children(root, "CommonPrefixes") {
        let name = xml::text(directory, "Prefix").ok_or_else(|| xml::missing("a prefix"))?;
        let Some(name) = names.decode(name) else { continue };
        listed.page.directories.extend(key(name.trim_end_matches('/'), prefix));
    }
    if xml::text(root, "IsTruncated") == Some("true") {
        let next = xml::text(root, "NextContinuationToken").filter(|next| !next.is_empty());
        listed.page.next = Some(next.ok_or_else(|| xml::missing("its continuation"))?.to_owned());
    }
    Ok(listed)
}

/// How names stand in an answer.
#[derive(Clone, Copy)]
pub(super) struct Names {
    encoded: bool,
}

impl Names {
    /// Encoded, if the store did as it was asked.
    pub(super) fn of(root: Node<'_, '_>) -> Self {
        Self { encoded: xml::text(root, "EncodingType") == Some("url") }
    }

    /// A name as it is; `None` if it is no text.
    pub(super) fn decode(self, name: &str) -> Option<String> {
        // Some encode a space as forms do; a plus sign of a name is encoded by all.
        if self.encoded {
            percent::decode(&name.replace('+', "%20"))
        } else {
            Some(name.to_owned())
        }
    }

    /// The key that a name below a prefix stands for; `None` if it is none of ours.
    pub(super) fn key(self, name: &str, prefix: &str) -> Option<Key> {
        key(&self.decode(name)?, prefix)
    }
}

fn key(name: &str, prefix: &str) -> Option<Key> {
    name.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_keys_are_left_out() {
        let text = r#"<?xml version="1.0"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextContinuationToken>more</NextContinuationToken>
            <Contents><Key>p/a%252F</Key><Size>1</Size><ETag>"x"</ETag>
            <LastModified>2026-11-21T02:49:00.000Z</LastModified></Contents>
            <Contents><Key>p/a+b</Key><Size>1</Size></Contents>
            <Contents><Key>p/</Key></Contents><Contents><Key>q/a</Key></Contents>
            <CommonPrefixes><Prefix>p/dir/</Prefix></CommonPrefixes>
            <CommonPrefixes><Prefix>p//</Prefix></CommonPrefixes></ListBucketResult>"#;
        let listed = parse(text, "p/").unwrap();
        assert_eq!(listed.page.entries.len(), 1);
        assert_eq!(listed.page.entries[0].key.as_str(), "a%2F");
        assert_eq!(listed.page.directories, ["dir".parse().unwrap()]);
        assert_eq!(listed.page.next.as_deref(), Some("more"));
        assert_eq!(listed.tags, ["\"x\""]);
    }

    #[test]
    fn an_answer_that_lacks_something_is_refused() {
        for text in [
            "<a><IsTruncated>true</IsTruncated></a>",
            "<a><Contents/></a>",
            "<a><Contents><Key>k</Key><LastModified>2026-11-21T02:49:00Z</LastModified></Contents></a>",
            "<a><Contents><Key>k</Key><Size>1</Size></Contents></a>",
            "<html>",
            "",
        ] {
            assert!(parse(text, "").is_err(), "{text}");
        }
    }
}
