//! Answers in XML, whose namespaces differ from server to server and do not matter.

use roxmltree::{Document, Node};

use crate::remote::Attempt;
use crate::{Cause, Failure};

/// The largest answer that is read: a page of 1,000 names of 1,024 bytes, all of them encoded, is smaller.
pub(crate) const MAX_BYTES: u64 = 8 << 20;

/// Parses an answer; definitions of types and entities are refused.
pub(crate) fn parse(text: &str) -> Attempt<Document<'_>> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    Document::parse(text).map_err(|error| {
        Failure::new(Cause::Protocol, format!("an answer that is no XML: {error}"))
    })
}

/// The same of an answer whose outermost element must have this name: a page that somebody else has put in the place
/// of an empty listing would pass for one.
pub(crate) fn parse_as<'a>(text: &'a str, name: &str) -> Attempt<Document<'a>> {
    let document = parse(text)?;
    if document.root_element().tag_name().name() == name {
        return Ok(document);
    }
    Err(Failure::new(Cause::Protocol, format!("an answer that is no {name}")))
}

/// The children with this name.
pub(crate) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// The text of the first child with this name; `None` if there is none, `""` if it is empty.
pub(crate) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let child = node.children().find(|child| child.tag_name().name() == name)?;
    Some(child.text().unwrap_or_default())
}

/// A failure for what an answer lacks.
pub(crate) fn missing(what: &str) -> Failure {
    Failure::new(Cause::Protocol, format!("an answer without {what}"))
}
