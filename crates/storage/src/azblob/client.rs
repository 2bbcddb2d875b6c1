//! Requests to one container.

use std::time::SystemTime;

use age::secrecy::ExposeSecret;

use super::account::{Account, Proof};
use super::refusal::Refusal;
use super::signature::Signed;
use crate::http::{Call, Http, Response, http_date};
use crate::percent;
use crate::remote::Attempt;
use crate::{Cause, Failure};

const VERSION: &str = "2021-12-02";

/// Sends requests to one container.
#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    account: Account,
    /// The scheme and the host.
    origin: String,
    /// What stands before a name: `/container`, with what the endpoint has before that.
    path: String,
}

impl Client {
    pub(super) fn new(http: Http, account: Account, container: &str) -> Attempt<Self> {
        let invalid = |what: &str| Failure::new(Cause::Invalid, what.to_owned());
        if container.is_empty() || container.contains(['/', '?', '#', ' ']) {
            return Err(invalid("this is no name of a container"));
        }
        let endpoint = account.endpoint.trim_end_matches('/');
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        let (authority, path) = rest
            .split_once('/')
            .map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
        let is_plain = !authority.is_empty() && !rest.contains(['@', '?', '#']);
        if !matches!(scheme, "https" | "http") || !is_plain {
            return Err(invalid("the endpoint is no http or https URL without a user and a query"));
        }
        let origin = format!("{scheme}://{authority}");
        let path = format!("{path}/{}", percent::encode(container, b"$"));
        Ok(Self { http, account, origin, path })
    }

    /// Sends a request; what was refused is told apart from what failed.
    pub(super) fn send(&self, call: &Call<'_>) -> Attempt<Result<Response, Refusal>> {
        let path = match call.name {
            "" => self.path.clone(),
            name => format!("{}/{}", self.path, percent::encode(name, b"/")),
        };
        let mut headers = call.headers.clone();
        let date = http_date(SystemTime::now());
        let date =
            date.ok_or_else(|| Failure::new(Cause::ClockSkew, "the clock has no valid time"))?;
        headers.push(("x-ms-date".to_owned(), date));
        headers.push(("x-ms-version".to_owned(), VERSION.to_owned()));
        let query: Vec<String> = call
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", percent::encode(value, b"")))
            .collect();
        let mut query = query.join("&");
        let mut authorization = None;
        match &self.account.proof {
            Proof::Sas(sas) => {
                let between = if query.is_empty() { "" } else { "&" };
                query = format!("{query}{between}{}", sas.expose_secret());
            }
            Proof::Key(key) => {
                let mut signed = headers.clone();
                signed.push(("content-length".to_owned(), call.body.length().to_string()));
                let account = &self.account.name;
                let signed = Signed {
                    method: call.method,
                    account,
                    path: &path,
                    query: &call.query,
                    headers: &signed,
                };
                authorization = Some(signed.authorization(key));
            }
        }
        let between = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{between}{query}", self.origin);
        let mut request = call.request(url);
        if let Some(authorization) = authorization {
            request = request.secret_header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = self.http.send(request)?;
        Ok(if response.is_success() { Ok(response) } else { Err(Refusal::of(response)) })
    }
}
