//! Where a server is, and the addresses below it.

use std::fmt;

use crate::remote::Attempt;
use crate::{Cause, Failure, percent};

/// The collection that holds all objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// `http` or `https`.
    scheme: &'static str,
    user: Option<String>,
    /// Host, and port where it was given.
    authority: String,
    /// Of the path, as they are named.
    segments: Vec<String>,
}

impl Address {
    /// Reads `webdav://user@host/path`; an endpoint stands for scheme and host.
    pub(super) fn parse(url: &str, endpoint: Option<&str>) -> Attempt<Self> {
        let address = Self::parse_url(url)?;
        let Some(endpoint) = endpoint else { return Ok(address) };
        let base = Self::parse_url(endpoint)?;
        Ok(Self {
            user: address.user.or(base.user),
            segments: [base.segments, address.segments].concat(),
            ..base
        })
    }

    fn parse_url(url: &str) -> Attempt<Self> {
        let invalid = |what: &str| Failure::new(Cause::Invalid, what.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("no scheme"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "webdav" | "http" => "http",
            "webdavs" | "https" => "https",
            _ => return Err(invalid("its scheme is none of webdav, webdavs, http and https")),
        };
        if rest.contains(['?', '#']) {
            return Err(invalid("a query or a fragment has no meaning in it"));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(invalid(
                "a password does not belong into it: set LIFEBOAT_WEBDAV_PASSWORD, or the option",
            ));
        }
        if authority.is_empty() || authority.contains(|c: char| c.is_whitespace() || c == '@') {
            return Err(invalid("no host"));
        }
        let decoded =
            |text: &str| percent::decode(text).ok_or_else(|| invalid("a broken %-escape"));
        let segments: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(decoded)
            .collect::<Attempt<_>>()?;
        if segments.iter().any(|segment| segment == "." || segment == "..") {
            return Err(invalid("a segment . or .. in its path"));
        }
        let user = user.map(decoded).transpose()?;
        Ok(Self { scheme, user, authority: authority.to_owned(), segments })
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Segments of the path to what is at `below`, as they are named.
    pub(super) fn segments<'a>(&'a self, below: &'a str) -> impl Iterator<Item = &'a str> {
        let below = below.split('/').filter(|segment| !segment.is_empty());
        self.segments.iter().map(String::as_str).chain(below)
    }

    /// The address of a file.
    pub(super) fn file(&self, below: &str) -> String {
        let mut url = format!("{}://{}", self.scheme, self.authority);
        for segment in self.segments(below) {
            url.push('/');
            url.push_str(&percent::encode(segment, b""));
        }
        url
    }

    /// The address of a collection: some servers know it with its slash only.
    pub(super) fn collection(&self, below: &str) -> String {
        format!("{}/", self.file(below))
    }

    /// The collection `below` this one, as an address of its own.
    pub(super) fn below(&self, below: &str) -> Self {
        let segments = self.segments(below).map(str::to_owned).collect();
        Self { segments, ..self.clone() }
    }

    /// The address of the collection that has only the first `count` segments of this path.
    pub(super) fn ancestor(&self, count: usize) -> Self {
        let segments = self.segments.iter().take(count).cloned().collect();
        Self { segments, ..self.clone() }
    }

    /// How many segments the path of this address has.
    pub(super) fn depth(&self) -> usize {
        self.segments.len()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.scheme == "https" { "webdavs" } else { "webdav" };
        write!(formatter, "{scheme}://")?;
        if let Some(user) = &self.user {
            write!(formatter, "{user}@")?;
        }
        write!(formatter, "{}", self.authority)?;
        self.segments.iter().try_for_each(|segment| write!(formatter, "/{segment}"))
    }
}

/// An address that could not be read, without what may be a password.
pub(super) fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

/// The segments of the path of an `href`, which is an address or a path.
pub(super) fn segments_of(href: &str) -> Option<Vec<String>> {
    let path = match href.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => href,
    };
    path.split('/').filter(|segment| !segment.is_empty()).map(percent::decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_files() {
        for (url, endpoint, file, shown) in [
            ("webdav://host", None, "http://host/a%252F", "webdav://host"),
            (
                "webdavs://anna@host:8443/My%20files/x/",
                None,
                "https://host:8443/My%20files/x/a%252F",
                "webdavs://anna@host:8443/My files/x",
            ),
            (
                "webdav://anna@cloud/backup",
                Some("https://cloud.example/remote.php/dav/files/anna"),
                "https://cloud.example/remote.php/dav/files/anna/backup/a%252F",
                "webdavs://anna@cloud.example/remote.php/dav/files/anna/backup",
            ),
            ("https://a%40b@host/ä", None, "https://host/%C3%A4/a%252F", "webdavs://a@b@host/ä"),
        ] {
            let address = Address::parse(url, endpoint).unwrap();
            assert_eq!(address.file("a%2F"), file);
            assert_eq!(address.collection("a%2F"), format!("{file}/"));
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "host/path",
            "ftp://host",
            "webdav://",
            "webdav:///path",
            "webdav://host/a?b",
            "webdav://host/a#b",
            "webdav://host/%zz",
            "webdav://host/%ff",
            "webdav://host/a/../b",
            "webdav://user:secret@host/a",
        ] {
            let failure = Address::parse(url, None).unwrap_err();
            assert_eq!(failure.cause, Cause::Invalid, "{url}");
            assert!(!failure.message.contains("secret") && !shown(url).contains("secret"));
        }
    }

    #[test]
    fn segments_are_taken_from_paths_and_addresses() {
        let expected = Some(vec!["a b".to_owned(), "c%2F".to_owned()]);
        assert_eq!(segments_of("/a%20b/c%252F"), expected);
        assert_eq!(segments_of("https://host:1/a%20b/c%252F/"), expected);
        assert_eq!(segments_of("https://host"), Some(Vec::new()));
        assert_eq!(segments_of("/a%2"), None);
    }
}
