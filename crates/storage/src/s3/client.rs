//! Requests to one bucket.

use std::io::Read;
use std::time::SystemTime;

use age::secrecy::{ExposeSecret, SecretString};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::dialect::Dialect;
use super::endpoint::Endpoint;
use super::refusal::Refusal;
use super::signature::{Signed, Signer, amz_date, canonical_query};
use crate::aws::Credentials;
use crate::hash::hex;
use crate::http::{Body, Call, Http, Request, Response};
use crate::percent;
use crate::refreshing::Refreshing;
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// Stands for the hash of a body that the connection protects.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// With what requests show who they are from.
#[derive(Debug)]
pub(crate) enum Authority {
    /// With a signature.
    Keys(Refreshing<Credentials>),
    /// With a token.
    Bearer(Refreshing<SecretString>),
}

/// Sends requests to one bucket.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) http: Http,
    pub(super) endpoint: Endpoint,
    pub(super) region: String,
    pub(super) dialect: Dialect,
    pub(super) authority: Authority,
}

impl Client {
    /// Sends a request that is to succeed.
    pub(super) fn succeed(&self, call: &Call<'_>) -> Attempt<Response> {
        self.send(call)?.map_err(Failure::from)
    }

    /// Sends a request; what was refused is told apart from what failed. Where credentials that end were
    /// refused, it is sent once more with others.
    pub(super) fn send(&self, call: &Call<'_>) -> Attempt<Result<Response, Refusal>> {
        let digest = self.digest(call)?;
        let answer = self.send_once(call, digest.as_deref())?;
        let is_refused = |refusal: &Refusal| refusal.failure.cause == Cause::Unauthenticated;
        if !answer.as_ref().is_err_and(is_refused) || !self.can_renew() {
            return Ok(answer);
        }
        self.forget();
        self.send_once(call, digest.as_deref())
    }

    /// The SHA-256 of a body, where the connection does not protect it or the store wants to know.
    fn digest(&self, call: &Call<'_>) -> Attempt<Option<Vec<u8>>> {
        let is_signed = matches!(self.authority, Authority::Keys(_));
        Ok(match &call.body {
            Body::Nothing => Some(Sha256::digest(b"").to_vec()),
            Body::Bytes(bytes) => Some(Sha256::digest(bytes).to_vec()),
            Body::Content(..)
                if !call.has_checksum && (self.endpoint.is_secure() || !is_signed) =>
            {
                None
            }
            Body::Content(content, range) => {
                let local = |error: std::io::Error| Failure::new(Cause::Local, error.to_string());
                let mut reader = content.examine(range.clone()).map_err(local)?;
                let mut hasher = Sha256::new();
                let mut piece = vec![0; 64 * 1024];
                loop {
                    match reader.read(&mut piece) {
                        Ok(0) => break,
                        Ok(read) => hasher.update(&piece[..read]),
                        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(local(error)),
                    }
                }
                Some(hasher.finalize().to_vec())
            }
        })
    }

    fn send_once(
        &self,
        call: &Call<'_>,
        digest: Option<&[u8]>,
    ) -> Attempt<Result<Response, Refusal>> {
        let Endpoint { scheme, host, path } = &self.endpoint;
        let path = match call.name {
            "" if path.is_empty() => "/".to_owned(),
            "" => path.clone(),
            name => format!("{path}/{}", percent::encode(name, b"/")),
        };
        let mut url = format!("{scheme}://{host}{path}");
        if !call.query.is_empty() {
            url.push('?');
            url.push_str(&canonical_query(&call.query));
        }
        let mut headers = call.headers.clone();
        if let (true, Some(digest)) = (call.has_checksum, digest) {
            headers.push((self.dialect.header("checksum-sha256"), BASE64_STANDARD.encode(digest)));
        }
        let response =
            self.http.send(self.authorize(call.request(url), call, &path, headers, digest)?)?;
        Ok(if response.is_success() { Ok(response) } else { Err(Refusal::of(response)) })
    }

    /// With all headers, and what shows who sends it.
    fn authorize<'a>(
        &self,
        request: Request<'a>,
        call: &Call<'_>,
        path: &str,
        mut headers: Vec<(String, String)>,
        digest: Option<&[u8]>,
    ) -> Attempt<Request<'a>> {
        let keys = match &self.authority {
            Authority::Bearer(token) => {
                let bearer = format!("Bearer {}", token.get()?.expose_secret());
                let request = request.secret_header("authorization", bearer);
                return Ok(with_headers(request, headers));
            }
            Authority::Keys(keys) => keys.get()?,
        };
        let time = amz_date(SystemTime::now());
        let payload = digest.map_or_else(|| UNSIGNED.to_owned(), hex);
        headers.push((self.dialect.header("date"), time.clone()));
        headers.push((self.dialect.header("content-sha256"), payload.clone()));
        let token = keys.session_token.as_ref().map(|token| token.expose_secret().to_owned());
        let token_header = self.dialect.header("security-token");
        let mut signed = headers.clone();
        signed.push(("host".to_owned(), self.endpoint.host.clone()));
        signed.extend(token.iter().map(|token| (token_header.clone(), token.clone())));
        let signer = Signer {
            scheme: self.dialect.scheme,
            access_key_id: &keys.access_key_id,
            secret: keys.secret_access_key.expose_secret(),
            region: &self.region,
            time: &time,
        };
        let authorization = signer.authorization(&Signed {
            method: call.method,
            path,
            query: &call.query,
            headers: &signed,
            payload: &payload,
        });
        let mut request = request.secret_header("authorization", authorization);
        if let Some(token) = token {
            request = request.secret_header(&token_header, token);
        }
        Ok(with_headers(request, headers))
    }

    fn can_renew(&self) -> bool {
        match &self.authority {
            Authority::Keys(keys) => keys.ends(),
            Authority::Bearer(token) => token.ends(),
        }
    }

    fn forget(&self) {
        match &self.authority {
            Authority::Keys(keys) => keys.forget(),
            Authority::Bearer(token) => token.forget(),
        }
    }
}

fn with_headers<'a>(request: Request<'a>, headers: Vec<(String, String)>) -> Request<'a> {
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}
