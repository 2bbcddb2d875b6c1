//! Requests signed with the key of an account.

use std::fmt::Write as _;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The headers that have a line of their own, in its order.
const LINES: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) account: &'a str,
    /// Percent-encoded, as it is sent.
    pub(super) path: &'a str,
    /// Not encoded, in any order.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Names in lower case, with `content-length` where there is a body.
    pub(super) headers: &'a [(String, String)],
}

impl Signed<'_> {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self, key: &[u8]) -> String {
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
        hmac.update(self.text().as_bytes());
        let signature = BASE64_STANDARD.encode(hmac.finalize().into_bytes());
        format!("SharedKey {}:{signature}", self.account)
    }

    /// The request in one form.
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.method);
        for line in LINES {
            let value = self.headers.iter().find(|(name, _)| name == line);
            let value = value.map_or("", |(_, value)| value.as_str());
            let is_no_body = line == "content-length" && value == "0";
            let _infallible = writeln!(text, "{}", if is_no_body { "" } else { value });
        }
        let mut own: Vec<_> =
            self.headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).collect();
        own.sort_unstable();
        for (name, value) in own {
            let _infallible = writeln!(text, "{name}:{}", value.trim());
        }
        let _infallible = write!(text, "/{}{}", self.account, self.path);
        let mut query = self.query.to_vec();
        query.sort_unstable();
        for (name, value) in query {
            let _infallible = write!(text, "\n{name}:{value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Microsoft's documentation of the form to be signed.
    #[test]
    fn the_form_is_microsofts() {
        let headers =
            [("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"), ("x-ms-version", "2015-02-21")];
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let signed = Signed {
            method: "GET",
            account: "myaccount",
            path: "/mycontainer",
            query: &[("timeout", "20"), ("restype", "container"), ("comp", "metadata")],
            headers: &headers,
        };
        assert_eq!(
            signed.text(),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n\
             x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }
}
