//! Reads the answer to `PROPFIND` (RFC 4918, 13), one response at a time.

use std::io::{BufReader, Read};
use std::time::SystemTime;

use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

use crate::http::parse_http_date;
use crate::remote::Attempt;
use crate::{Cause, Entry, Failure, Key};

const DAV: Namespace<'static> = Namespace("DAV:");
/// No text that is asked for is longer.
const MAX_TEXT: usize = 64 * 1024;

/// What a server tells about a file or a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resource {
    /// Its address or path, as it was sent.
    pub(super) href: String,
    pub(super) is_collection: bool,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<SystemTime>,
    /// Bytes that its owner may still store.
    pub(super) free_bytes: Option<u64>,
}

impl Resource {
    /// The object that it is, under a key.
    pub(super) fn entry(&self, key: Key) -> Attempt<Entry> {
        let missing = |what: &str| Failure::new(Cause::Protocol, format!("no {what} of {key}"));
        let size = self.size.ok_or_else(|| missing("size"))?;
        let modified = self.modified.ok_or_else(|| missing("time"))?;
        Ok(Entry { key, size, modified })
    }
}

/// Memory is bounded by what is kept of each response, not by the answer.
pub(super) fn parse(answer: impl Read) -> Attempt<Vec<Resource>> {
    let mut reader = NsReader::from_reader(BufReader::new(answer));
    let mut parser = Parser::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let (namespace, event) = reader.read_resolved_event_into(&mut buffer).map_err(broken)?;
        let ours = namespace == ResolveResult::Bound(DAV);
        match event {
            Event::Start(tag) => parser.open(ours, tag.local_name().as_ref()),
            Event::Empty(tag) => {
                parser.open(ours, tag.local_name().as_ref());
                parser.close();
            }
            Event::End(_) => parser.close(),
            Event::Text(text) => parser.text(&text)?,
            Event::CData(text) => parser.text(&text)?,
            Event::GeneralRef(reference) => parser.text(&resolve(&reference)?)?,
            Event::Eof => return parser.finish(),
            _ => {}
        }
    }
}

/// A character that was written as a reference.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Attempt<String> {
    if let Some(character) = reference.resolve_char_ref().map_err(broken)? {
        return Ok(character.to_string());
    }
    let known = quick_xml::escape::resolve_predefined_entity(reference);
    known.map(str::to_owned).ok_or_else(|| protocol("an unknown entity"))
}

fn protocol(what: &str) -> Failure {
    Failure::new(Cause::Protocol, format!("the answer to PROPFIND has {what}"))
}

fn broken(error: quick_xml::Error) -> Failure {
    let quick_xml::Error::Io(error) = error else {
        return protocol(&format!("broken XML: {error}"));
    };
    match crate::Failure::inside(&error) {
        Some(inner) => Failure::new(inner.cause, inner.message.clone()),
        None => Failure::new(Cause::Interrupted, error.to_string()),
    }
}

/// The elements that matter; all others are passed over, with what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    Multistatus,
    Response,
    Href,
    Propstat,
    Prop,
    Status,
    ResourceType,
    Collection,
    Length,
    Modified,
    Quota,
    Other,
}

#[derive(Default)]
struct Parser {
    path: Vec<Element>,
    text: String,
    resources: Vec<Resource>,
    /// Of the response that is being read.
    resource: Resource,
    /// Of the group of properties that is being read: taken over if its status says that they are there.
    properties: Resource,
    found: bool,
    whole: bool,
}

impl Parser {
    fn open(&mut self, ours: bool, name: &str) {
        use Element::{
            Collection, Href, Length, Modified, Multistatus, Other, Prop, Propstat, Quota,
            ResourceType, Response, Status,
        };
        let element = match (self.path.last(), name) {
            _ if !ours => Other,
            (None, "multistatus") => Multistatus,
            (Some(Multistatus), "response") => Response,
            (Some(Response), "href") => Href,
            (Some(Response), "propstat") => Propstat,
            (Some(Propstat), "prop") => Prop,
            (Some(Propstat), "status") => Status,
            (Some(Prop), "resourcetype") => ResourceType,
            (Some(ResourceType), "collection") => Collection,
            (Some(Prop), "getcontentlength") => Length,
            (Some(Prop), "getlastmodified") => Modified,
            (Some(Prop), "quota-available-bytes") => Quota,
            _ => Other,
        };
        match element {
            Response => self.resource = Resource::default(),
            Propstat => (self.properties, self.found) = (Resource::default(), true),
            Collection => self.properties.is_collection = true,
            _ => {}
        }
        self.path.push(element);
        self.text.clear();
    }

    fn text(&mut self, text: &str) -> Attempt<()> {
        if self.text.len() + text.len() > MAX_TEXT {
            return Err(protocol("a text that is too long"));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn close(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        match self.path.pop() {
            Some(Element::Href) => self.resource.href = text.to_owned(),
            Some(Element::Length) => self.properties.size = text.parse().ok(),
            Some(Element::Modified) => self.properties.modified = parse_http_date(text),
            // Negative where there is no limit, or none is known.
            Some(Element::Quota) => self.properties.free_bytes = text.parse().ok(),
            Some(Element::Status) => self.found = text.split(' ').nth(1) == Some("200"),
            Some(Element::Propstat) if self.found => {
                let href = std::mem::take(&mut self.resource.href);
                self.resource = Resource { href, ..merged(&self.resource, &self.properties) };
            }
            Some(Element::Response) => self.resources.push(std::mem::take(&mut self.resource)),
            Some(Element::Multistatus) => self.whole = true,
            _ => {}
        }
    }

    fn finish(self) -> Attempt<Vec<Resource>> {
        if self.whole { Ok(self.resources) } else { Err(protocol("no end")) }
    }
}

fn merged(one: &Resource, other: &Resource) -> Resource {
    Resource {
        href: String::new(),
        is_collection: one.is_collection || other.is_collection,
        size: other.size.or(one.size),
        modified: other.modified.or(one.modified),
        free_bytes: other.free_bytes.or(one.free_bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:x="other:">
 <d:response><d:href>/dav/a%20b/</d:href>
  <d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype>
   <d:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</d:getlastmodified>
   <d:quota-available-bytes>1000</d:quota-available-bytes></d:prop>
   <d:status>HTTP/1.1 200 OK</d:status></d:propstat>
  <d:propstat><d:prop><d:getcontentlength/></d:prop>
   <d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>
 </d:response>
 <d:response xmlns:lp1="DAV:"><d:href>/dav/a%20b/&#99;&amp;<![CDATA[d]]></d:href>
  <d:propstat><d:prop><lp1:resourcetype/><lp1:getcontentlength>12</lp1:getcontentlength>
   <x:getcontentlength>13</x:getcontentlength>
   <lp1:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</lp1:getlastmodified>
   <d:quota-available-bytes>-3</d:quota-available-bytes></d:prop>
   <d:status>HTTP/1.1 200 OK</d:status></d:propstat>
 </d:response>
</d:multistatus>"#;

    #[test]
    fn an_answer_is_read() {
        let modified = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
        let collection = Resource {
            href: "/dav/a%20b/".to_owned(),
            is_collection: true,
            modified,
            free_bytes: Some(1000),
            ..Resource::default()
        };
        let href = "/dav/a%20b/c&d".to_owned();
        let file = Resource { href, size: Some(12), modified, ..Resource::default() };
        assert_eq!(parse(ANSWER.as_bytes()).unwrap(), [collection, file]);
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused() {
        for end in [0, 100, ANSWER.len() - 100, ANSWER.len() - 1] {
            let failure = parse(&ANSWER.as_bytes()[..end]).unwrap_err();
            assert_eq!(failure.cause, Cause::Protocol, "{end}");
        }
        for text in ["<html><body>hello</body></html>", "{}", "<a>&nothing;</a>"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = format!("<a>{}</a>", "x".repeat(MAX_TEXT + 1));
        assert!(parse(long.as_bytes()).is_err());
    }
}
