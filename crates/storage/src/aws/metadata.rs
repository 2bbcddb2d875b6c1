//! Credentials that the machine or the container has.

use std::fs;
use std::time::Duration;

use super::Credentials;
use crate::http::{Body, Http, HttpOptions, Request};
use crate::refreshing::{Fresh, Refreshing};
use crate::remote::Attempt;
use crate::{Cause, Environment, Failure};

/// Whoever is there answers at once; where nobody is, nothing may wait for it.
const PATIENCE: Duration = Duration::from_secs(1);
const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
/// No answer is nearly as long.
const MAX_BYTES: u64 = 64 * 1024;

/// A service that knows credentials.
#[derive(Clone, Debug)]
pub(super) enum Metadata {
    /// At a URL, which wants this header.
    Container { url: String, token: Option<Token> },
    /// Of an instance, at a URL.
    Instance { url: String },
}

/// What a container shows to learn its credentials; never shown.
#[derive(Clone)]
pub(super) enum Token {
    Value(String),
    File(String),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

impl Metadata {
    /// `None` where instances are not to be asked.
    pub(super) fn find(environment: &Environment) -> Option<Self> {
        let token = || {
            let value = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Token::Value);
            let file =
                || environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(Token::File);
            file().or(value)
        };
        if let Some(path) = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            return Some(Self::Container { url: format!("{CONTAINER}{path}"), token: token() });
        }
        if let Some(url) = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            return Some(Self::Container { url, token: token() });
        }
        let disabled = environment.get("AWS_EC2_METADATA_DISABLED");
        if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return None;
        }
        let url = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let url = url.unwrap_or_else(|| INSTANCE.to_owned()).trim_end_matches('/').to_owned();
        Some(Self::Instance { url })
    }

    pub(super) fn credentials(self) -> Attempt<Refreshing<Credentials>> {
        let options = HttpOptions {
            connect_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            // It is on this machine or on its link.
            proxy_from_environment: false,
            ..HttpOptions::default()
        };
        let http = Http::new(&options)?;
        Ok(Refreshing::new(move || self.fetch(&http)))
    }

    fn fetch(&self, http: &Http) -> Attempt<Fresh<Credentials>> {
        let text = match self {
            Self::Container { url, token } => {
                let request = Request::new("GET", url).without_redirects();
                let request = match token {
                    None => request,
                    Some(token) => request.secret_header("authorization", token.read()?),
                };
                ask(http, request)
            }
            Self::Instance { url } => instance(http, url),
        };
        let text = text.map_err(|failure| {
            let message =
                format!("there are no credentials; the metadata service: {}", failure.message);
            // That there is none is the common case, and does not pass.
            Failure::new(Cause::Unauthenticated, message)
        })?;
        Credentials::parse("the metadata service", &text, "Token")
    }
}

impl Token {
    fn read(&self) -> Attempt<String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => match fs::read_to_string(path) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(error) => Err(Failure::new(Cause::Unauthenticated, format!("{path}: {error}"))),
            },
        }
    }
}

/// Version 2 of the instance's service: a token first, then the role, then its credentials.
fn instance(http: &Http, url: &str) -> Attempt<String> {
    let session = Request::new("PUT", format!("{url}/latest/api/token"))
        .header("x-aws-ec2-metadata-token-ttl-seconds", "300")
        .body(Body::Nothing)
        .without_redirects();
    let session = ask(http, session)?;
    let get = |path: &str| {
        let request = Request::new("GET", format!("{url}/{path}")).without_redirects();
        ask(http, request.secret_header("x-aws-ec2-metadata-token", &*session))
    };
    let roles = get(ROLES)?;
    let role = roles.lines().next().unwrap_or_default().trim();
    if role.is_empty() {
        return Err(Failure::new(Cause::Unauthenticated, "this instance has no role"));
    }
    get(&format!("{ROLES}{role}"))
}

fn ask(http: &Http, request: Request<'_>) -> Attempt<String> {
    let response = http.send(request)?;
    if response.is_success() { response.text(MAX_BYTES) } else { Err(response.into_failure()) }
}
