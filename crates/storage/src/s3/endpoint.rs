//! Where a bucket is.

use crate::remote::Attempt;
use crate::{Cause, Failure};

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// By the host at Amazon, by the path elsewhere.
    #[default]
    Automatic,
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    VirtualHost,
}

/// The address of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https` or `http`.
    pub(super) scheme: String,
    /// The host, and the port where it is not that of the scheme.
    pub(super) host: String,
    /// What stands before a key: `""` or `/bucket`.
    pub(super) path: String,
}

impl Endpoint {
    /// Of a bucket at an endpoint: a URL, or a host.
    pub(super) fn new(endpoint: &str, bucket: &str, addressing: Addressing) -> Attempt<Self> {
        let invalid = |what: &str| Failure::new(Cause::Invalid, what.to_owned());
        if bucket.is_empty() || bucket.contains(['/', '?', '#', ' ']) {
            return Err(invalid("this is no name of a bucket"));
        }
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !matches!(scheme, "https" | "http") || authority.is_empty() || authority.contains('@') {
            return Err(invalid(
                "the endpoint is neither a host nor an http or https URL without a user",
            ));
        }
        let port = if scheme == "https" { ":443" } else { ":80" };
        let host = authority.strip_suffix(port).unwrap_or(authority).to_ascii_lowercase();
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        // A dot in the name of a bucket is one that no certificate covers.
        let by_host = match addressing {
            Addressing::Path => false,
            Addressing::VirtualHost => true,
            Addressing::Automatic => is_amazon(&host) && !bucket.contains('.'),
        };
        let scheme = scheme.to_owned();
        Ok(if by_host {
            Self { scheme, host: format!("{bucket}.{host}"), path }
        } else {
            Self { scheme, host, path: format!("{path}/{}", crate::percent::encode(bucket, b"")) }
        })
    }

    pub(super) fn is_secure(&self) -> bool {
        self.scheme == "https"
    }
}

/// Amazon's endpoint in a region.
pub(super) fn of_region(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}.amazonaws.com{suffix}")
}

fn is_amazon(host: &str) -> bool {
    host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_in_the_host_or_in_the_path() {
        use Addressing::{Automatic, Path, VirtualHost};
        for (endpoint, bucket, addressing, expected) in [
            (
                "https://s3.eu-west-1.amazonaws.com",
                "b",
                Automatic,
                "https://b.s3.eu-west-1.amazonaws.com",
            ),
            (
                "https://s3.eu-west-1.amazonaws.com",
                "b.c",
                Automatic,
                "https://s3.eu-west-1.amazonaws.com/b.c",
            ),
            (
                "https://s3.eu-west-1.amazonaws.com",
                "b",
                Path,
                "https://s3.eu-west-1.amazonaws.com/b",
            ),
            ("http://minio:9000/", "b", Automatic, "http://minio:9000/b"),
            ("https://Host:443/below/", "b", Automatic, "https://host/below/b"),
            ("host", "b", VirtualHost, "https://b.host"),
        ] {
            let endpoint = Endpoint::new(endpoint, bucket, addressing).unwrap();
            let Endpoint { scheme, host, path } = endpoint;
            assert_eq!(format!("{scheme}://{host}{path}"), expected);
        }
        for (endpoint, bucket) in [
            ("ftp://host", "b"),
            ("https://", "b"),
            ("https://u:p@host", "b"),
            ("h", ""),
            ("h", "a/b"),
        ] {
            let failure = Endpoint::new(endpoint, bucket, Automatic).unwrap_err();
            assert_eq!(failure.cause, Cause::Invalid);
            assert!(!failure.message.contains("u:p"));
        }
    }

    #[test]
    fn regions_have_endpoints() {
        assert_eq!(of_region("eu-west-1"), "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(of_region("cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn");
    }
}
