//! Where an answer sends us.

use ureq::http::Uri;

use super::request::Header;
use super::{Request, Response};
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// After as many it goes in circles.
const MAX_REDIRECTS: u32 = 5;
/// What another host may know.
const HARMLESS: [&str; 5] = ["accept", "if-match", "if-none-match", "if-range", "range"];

/// The request that an answer asks for instead; `None` if it is the answer itself.
pub(super) fn next<'a>(
    request: &Request<'a>,
    response: &Response,
    redirects: u32,
) -> Attempt<Option<Request<'a>>> {
    if !request.follows || !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.header("location") else { return Ok(None) };
    let refused = |what: &str| {
        Failure::new(Cause::Protocol, format!("{}: a redirect {what}", request.host()))
    };
    if redirects >= MAX_REDIRECTS {
        return Err(refused("too many"));
    }
    let url = resolve(&request.url, location).ok_or_else(|| refused("to no address"))?;
    if request.url.starts_with("https:") && !url.starts_with("https:") {
        return Err(refused("to an insecure address"));
    }
    let mut next = Request { url, ..request.clone() };
    if origin(&next.url) != origin(&request.url) {
        next.headers.retain(|Header { name, .. }| HARMLESS.contains(&&*name.to_ascii_lowercase()));
    }
    Ok(Some(next))
}

fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_ascii_lowercase()))
}

/// The address that a location names, as seen from another.
fn resolve(from: &str, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default().trim();
    let uri: Uri = from.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    if location.starts_with("https://") || location.starts_with("http://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let is_other_scheme =
        location.split(['/', '?']).next().is_some_and(|first| first.contains(':'));
    if location.is_empty() || is_other_scheme {
        return None;
    }
    let directory = uri.path().rsplit_once('/').map_or("", |(directory, _)| directory);
    Some(format!("{scheme}://{authority}{directory}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let from = "https://host:1/a/b?c";
        for (location, expected) in [
            ("https://other/x#y", Some("https://other/x")),
            ("//other/x", Some("https://other/x")),
            ("/x?y", Some("https://host:1/x?y")),
            ("x", Some("https://host:1/a/x")),
            ("file:///etc", None),
            ("", None),
        ] {
            assert_eq!(resolve(from, location).as_deref(), expected, "{location}");
        }
    }
}
