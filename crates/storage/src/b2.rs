//! Buckets of Backblaze B2, over its S3. Its own interface only tells where that is.

use std::sync::Arc;

use serde_json::Value;

use crate::http::{Http, Request};
use crate::refreshing::Refreshing;
use crate::remote::Attempt;
use crate::s3::{Access, Authority, BucketAddress, Dialect, S3Options, open};
use crate::{Cause, CreateNew, Credentials, Environment, Failure, Result, Storage};
use age::secrecy::ExposeSecret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

const AUTHORIZE: &str = "https://api.backblazeb2.com/b2api/v3/b2_authorize_account";
/// No answer is nearly as long.
const MAX_BYTES: u64 = 64 * 1024;

/// Objects in a bucket of Backblaze B2. One request finds out where it is, unless the options name an endpoint.
///
/// The key is that of the options, of `B2_ACCOUNT_ID` and `B2_ACCOUNT_KEY`, or of `B2_APPLICATION_KEY_ID` and
/// `B2_APPLICATION_KEY`. The store cannot refuse a taken key: it is looked at first ([`CreateNew::Checked`]). What
/// is removed stays as a hidden version for as long as the bucket's rules say.
pub fn b2(
    address: &BucketAddress,
    environment: &Environment,
    options: &S3Options,
) -> Result<Arc<dyn Storage>> {
    let options = S3Options { create_new: Some(CreateNew::Checked), ..options.clone() };
    open(address, Dialect::B2, &options, |http| {
        let keys = options.credentials.clone().or_else(|| key(environment));
        let keys = keys.ok_or_else(|| {
            Failure::new(
                Cause::Unauthenticated,
                "there is no application key: B2_ACCOUNT_ID and B2_ACCOUNT_KEY are not set",
            )
        })?;
        let endpoint = match &options.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => options.remote.patience.retry(|| s3_url(http, AUTHORIZE, &keys))?,
        };
        let region = options.region.clone().or_else(|| region(&endpoint));
        let region = region.unwrap_or_else(|| "us-west-004".to_owned());
        let authority = Authority::Keys(Refreshing::fixed(keys));
        Ok(Access { dialect: Dialect::B2, endpoint, region, authority })
    })
}

fn key(environment: &Environment) -> Option<Credentials> {
    let pair =
        |id, secret| Some(Credentials::new(environment.get(id)?, environment.get(secret)?, None));
    pair("B2_ACCOUNT_ID", "B2_ACCOUNT_KEY")
        .or_else(|| pair("B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY"))
}

/// Where the account's S3 is.
fn s3_url(http: &Http, url: &str, keys: &Credentials) -> Attempt<String> {
    let secret = keys.secret_access_key.expose_secret();
    let basic = BASE64_STANDARD.encode(format!("{}:{secret}", keys.access_key_id));
    let request = Request::new("GET", url).secret_header("authorization", format!("Basic {basic}"));
    let response = http.send(request.without_redirects())?;
    if !response.is_success() {
        return Err(response.into_failure_saying(|text| {
            let document: Value = serde_json::from_str(text).unwrap_or_default();
            document.get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
        }));
    }
    let document: Value = serde_json::from_str(&response.text(MAX_BYTES)?).unwrap_or_default();
    let url = document.pointer("/apiInfo/storageApi/s3ApiUrl").and_then(Value::as_str);
    url.map(str::to_owned)
        .ok_or_else(|| Failure::new(Cause::Protocol, "an answer without the address of its S3"))
}

/// `us-west-004` of `https://s3.us-west-004.backblazeb2.com`.
fn region(endpoint: &str) -> Option<String> {
    let host = endpoint.split("://").last()?.strip_prefix("s3.")?;
    host.split('.').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HttpOptions;
    use crate::http::testing::{Answer, Server};

    fn keys() -> Credentials {
        Credentials::new("id".to_owned(), "application-key".to_owned(), None)
    }

    fn http() -> Http {
        let options = HttpOptions { proxy_from_environment: false, ..HttpOptions::default() };
        Http::new(&options).unwrap()
    }

    #[test]
    fn an_account_knows_where_its_s3_is() {
        let server = Server::start(&[Answer::Say(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
             {\"apiInfo\":{\"storageApi\":{\"s3ApiUrl\":\"https://s3.eu-central-003.backblazeb2.com\"}}}",
        )]);
        let url = s3_url(&http(), &server.url, &keys()).unwrap();
        assert_eq!(region(&url).as_deref(), Some("eu-central-003"));
        let request = server.requests().remove(0);
        assert!(request.contains("authorization: Basic aWQ6YXBwbGljYXRpb24ta2V5\r\n"), "{request}");
    }

    #[test]
    fn a_wrong_key_is_told_without_it() {
        let server = Server::start(&[Answer::Say(
            "HTTP/1.1 401 No\r\nconnection: close\r\n\r\n{\"code\":\"bad_auth_token\",\"message\":\"unknown key\"}",
        )]);
        let failure = s3_url(&http(), &server.url, &keys()).unwrap_err();
        assert_eq!(failure.cause, Cause::Unauthenticated);
        assert_eq!(failure.message, "401 Unauthorized: unknown key");
        server.requests();
    }
}
