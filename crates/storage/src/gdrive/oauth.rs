//! What is asked of the address that gives tokens (RFC 6749).

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::token_file::TokenFile;
use crate::http::{Body, Http, Request, Response};
use crate::remote::Attempt;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Cause, Failure, percent};

const MAX_ANSWER: u64 = 64 * 1024;
const AGAIN: &str = "run `lifeboat auth gdrive` again";

/// Fetches tokens.
#[derive(Debug)]
pub(super) struct Exchange {
    endpoint: String,
    http: Http,
}

/// A code that the owner's browser brought, and what belongs to it.
pub(super) struct Code<'a> {
    pub(super) code: &'a str,
    pub(super) verifier: &'a SecretString,
    pub(super) redirect: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
    refresh_token_expires_in: Option<u64>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

impl Exchange {
    pub(super) fn new(endpoint: &str, http: Http) -> Self {
        Self { endpoint: endpoint.to_owned(), http }
    }

    /// The same access with a new access token.
    pub(super) fn refresh(&self, tokens: &TokenFile) -> Attempt<TokenFile> {
        let form = [
            ("client_id", tokens.client_id.as_str()),
            ("client_secret", tokens.client_secret.expose_secret()),
            ("refresh_token", tokens.refresh_token.expose_secret()),
            ("grant_type", "refresh_token"),
        ];
        let granted = self.ask(&form)?;
        let mut refreshed = tokens.clone();
        take(&mut refreshed, granted);
        Ok(refreshed)
    }

    /// The access that a code stands for.
    pub(super) fn redeem(
        &self,
        client_id: &str,
        client_secret: &SecretString,
        code: &Code<'_>,
    ) -> Attempt<TokenFile> {
        let form = [
            ("client_id", client_id),
            ("client_secret", client_secret.expose_secret()),
            ("code", code.code),
            ("code_verifier", code.verifier.expose_secret()),
            ("redirect_uri", code.redirect),
            ("grant_type", "authorization_code"),
        ];
        let granted = self.ask(&form)?;
        let Some(refresh_token) = granted.refresh_token.clone() else {
            return Err(Failure::new(Cause::Protocol, "Google gave no refresh token"));
        };
        let mut tokens = TokenFile {
            client_id: client_id.to_owned(),
            client_secret: client_secret.clone(),
            refresh_token: refresh_token.into(),
            access_token: None,
            access_expires: None,
            scope: String::new(),
            granted: Some(SystemTime::now()),
            refresh_expires: None,
        };
        take(&mut tokens, granted);
        Ok(tokens)
    }

    fn ask(&self, form: &[(&str, &str)]) -> Attempt<Granted> {
        let pairs =
            form.iter().map(|(name, value)| format!("{name}={}", percent::encode(value, b"")));
        let request = Request::new("POST", self.endpoint.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::Bytes(pairs.collect::<Vec<_>>().join("&").into_bytes()));
        let response = self.http.send(request)?;
        if !response.is_success() {
            return Err(refused(response));
        }
        let bytes = response.bytes(MAX_ANSWER)?;
        // What it quotes might be a secret.
        serde_json::from_slice(&bytes)
            .map_err(|_| Failure::new(Cause::Protocol, "Google gave no token that can be read"))
    }
}

fn take(tokens: &mut TokenFile, granted: Granted) {
    let now = SystemTime::now();
    let after = |seconds: u64| now.checked_add(Duration::from_secs(seconds));
    tokens.access_token = Some(granted.access_token.into());
    tokens.access_expires = granted.expires_in.and_then(after);
    if let Some(token) = granted.refresh_token {
        tokens.refresh_token = token.into();
    }
    if let Some(expires) = granted.refresh_token_expires_in.and_then(after) {
        tokens.refresh_expires = Some(expires);
    }
    if let Some(scope) = granted.scope {
        tokens.scope = scope;
    }
}

fn refused(response: Response) -> Failure {
    let mut code = String::new();
    let mut failure = response.into_failure_saying(|text| {
        let Ok(Refused { error, error_description }) = serde_json::from_str(text) else {
            return String::new();
        };
        code = error;
        match error_description {
            Some(description) => format!("{code}: {description}"),
            None => code.clone(),
        }
    });
    match code.as_str() {
        "invalid_grant" => {
            failure.cause = Cause::Unauthenticated;
            failure.message = format!("access has ended or was withdrawn: {AGAIN}");
        }
        "invalid_client" | "unauthorized_client" => {
            failure.cause = Cause::Unauthenticated;
            failure.message =
                format!("Google does not know the OAuth client, or another secret of it: {AGAIN}");
        }
        _ => {}
    }
    failure
}
