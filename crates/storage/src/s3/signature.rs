//! Signature version 4, of requests whose secret is shared with the store.

use std::fmt::Write as _;
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::hash::hex;
use crate::percent;

/// What a dialect calls the parts of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scheme {
    pub(super) algorithm: &'static str,
    pub(super) key_prefix: &'static str,
    pub(super) service: &'static str,
    pub(super) terminator: &'static str,
}

/// Amazon's.
pub(super) const AWS4: Scheme = Scheme {
    algorithm: "AWS4-HMAC-SHA256",
    key_prefix: "AWS4",
    service: "s3",
    terminator: "aws4_request",
};

/// Google's, which differs in names only.
pub(super) const GOOG4: Scheme = Scheme {
    algorithm: "GOOG4-HMAC-SHA256",
    key_prefix: "GOOG4",
    service: "storage",
    terminator: "goog4_request",
};

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Percent-encoded.
    pub(super) path: &'a str,
    /// Not encoded, in any order.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Names in lower case, in any order, with `host`.
    pub(super) headers: &'a [(String, String)],
    /// The SHA-256 of the body in hex, or what stands for it.
    pub(super) payload: &'a str,
}

/// Who signs, and when.
pub(super) struct Signer<'a> {
    pub(super) scheme: Scheme,
    pub(super) access_key_id: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
    /// `20150830T123600Z`.
    pub(super) time: &'a str,
}

/// `20150830T123600Z`.
pub(super) fn amz_date(time: SystemTime) -> String {
    // A clock before the year 0 or after 9999 is told by the server.
    Timestamp::try_from(time).unwrap_or_default().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A query as it is signed and sent.
pub(super) fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut encoded: Vec<String> = query
        .iter()
        .map(|(name, value)| {
            format!("{}={}", percent::encode(name, b""), percent::encode(value, b""))
        })
        .collect();
    encoded.sort_unstable();
    encoded.join("&")
}

impl Signer<'_> {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self, signed: &Signed<'_>) -> String {
        let scheme = self.scheme;
        let day = self.time.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{}/{}/{}", self.region, scheme.service, scheme.terminator);
        let (canonical, names) = canonical_request(signed);
        let digest = hex(&Sha256::digest(canonical));
        let to_sign = format!("{}\n{}\n{scope}\n{digest}", scheme.algorithm, self.time);
        let mut key = format!("{}{}", scheme.key_prefix, self.secret).into_bytes();
        for part in [day, self.region, scheme.service, scheme.terminator, &to_sign] {
            key = hmac(&key, part);
        }
        format!(
            "{} Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            scheme.algorithm,
            self.access_key_id,
            hex(&key)
        )
    }
}

/// The request in one form, and the names of its headers.
fn canonical_request(signed: &Signed<'_>) -> (String, String) {
    let mut headers: Vec<_> = signed.headers.iter().collect();
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let mut canonical =
        format!("{}\n{}\n{}\n", signed.method, signed.path, canonical_query(signed.query));
    for (name, value) in headers {
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        let _infallible = writeln!(canonical, "{name}:{}", words.join(" "));
    }
    let _infallible = write!(canonical, "\n{names}\n{}", signed.payload);
    (canonical, names)
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    hmac.update(message.as_bytes());
    hmac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn authorization(
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        payload: &str,
    ) -> String {
        let mut all = vec![
            ("host".to_owned(), "examplebucket.s3.amazonaws.com".to_owned()),
            ("x-amz-content-sha256".to_owned(), payload.to_owned()),
            ("x-amz-date".to_owned(), "20130524T000000Z".to_owned()),
        ];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let signed = Signed { method, path, query, headers: &all, payload };
        let signer = Signer {
            scheme: AWS4,
            access_key_id: "AKIAIOSFODNN7EXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            time: "20130524T000000Z",
        };
        signer.authorization(&signed)
    }

    /// The examples of Amazon's documentation of signature version 4 in the `Authorization` header.
    #[test]
    fn signs_as_amazon_documents() {
        let get = authorization("GET", "/test.txt", &[], &[("range", "bytes=0-9")], EMPTY);
        assert_eq!(
            get,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = authorization(
            "PUT",
            "/test%24file.text",
            &[],
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        );
        assert!(put.ends_with("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"));
        let lifecycle = authorization("GET", "/", &[("lifecycle", "")], &[], EMPTY);
        assert!(
            lifecycle.ends_with("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
        );
        let list = authorization("GET", "/", &[("prefix", "J"), ("max-keys", "2")], &[], EMPTY);
        assert!(list.ends_with("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
    }

    #[test]
    fn times_have_their_form() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_369_353_600_999);
        assert_eq!(amz_date(time), "20130524T000000Z");
    }
}
