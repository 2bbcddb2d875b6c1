//! Pages of a listing.

use roxmltree::Node;

use super::TIMESTAMP;
use crate::http::parse_http_date;
use crate::remote::{Attempt, Page};
use crate::times::parse_rfc3339;
use crate::{Entry, Key, percent, xml};

/// The largest answer that is read: a page of 5,000 names of 1,024 bytes with their properties is smaller.
pub(super) const MAX_BYTES: u64 = 32 << 20;

pub(super) fn parse(text: &str, prefix: &str) -> Attempt<Page> {
    let document = xml::parse_as(text, "EnumerationResults")?;
    let root = document.root_element();
    let mut page = Page::default();
    let blobs = xml::children(root, "Blobs").next().ok_or_else(|| xml::missing("a listing"))?;
    for blob in xml::children(blobs, "Blob") {
        let Some(key) = name(blob)?.strip_prefix(prefix).and_then(|name| name.parse().ok()) else {
            continue;
        };
        page.entries.push(entry(blob, key)?);
    }
    for directory in xml::children(blobs, "BlobPrefix") {
        let name = name(directory)?;
        let name = name.strip_prefix(prefix).map(|name| name.trim_end_matches('/'));
        page.directories.extend(name.and_then(|name| name.parse::<Key>().ok()));
    }
    let next = xml::text(root, "NextMarker").filter(|next| !next.is_empty());
    page.next = next.map(str::to_owned);
    Ok(page)
}

/// A name, which is encoded where XML cannot have it.
fn name(node: Node<'_, '_>) -> Attempt<String> {
    let name = xml::children(node, "Name").next().ok_or_else(|| xml::missing("a name"))?;
    let text = name.text().unwrap_or_default();
    if name.attribute("Encoded") == Some("true") {
        return percent::decode(text).ok_or_else(|| xml::missing("a name that is text"));
    }
    Ok(text.to_owned())
}

fn entry(blob: Node<'_, '_>, key: Key) -> Attempt<Entry> {
    let properties = xml::children(blob, "Properties").next();
    let property = |name| properties.and_then(|properties| xml::text(properties, name));
    let given = xml::children(blob, "Metadata").next().and_then(|it| xml::text(it, TIMESTAMP));
    let modified = given
        .and_then(parse_rfc3339)
        .or_else(|| parse_http_date(property("Last-Modified")?))
        .ok_or_else(|| xml::missing("the time of an object"))?;
    let size = property("Content-Length").and_then(|size| size.parse().ok());
    Ok(Entry { key, size: size.ok_or_else(|| xml::missing("the size of an object"))?, modified })
}
