//! The owner grants access, in a browser (RFC 8252, with PKCE of RFC 7636).

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::DriveEndpoints;
use super::loopback::{self, Answer};
use super::oauth::{Code, Exchange};
use super::token_file::TokenFile;
use crate::http::Http;
use crate::remote::Attempt;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Cause, Error, Failure, HttpOptions, Result, percent};

/// Sees and touches only what this application made.
const SCOPE: &str = "https://www.googleapis.com/auth/drive.file";

/// The owner's own OAuth client, of the kind "Desktop app".
#[derive(Clone, Debug)]
pub struct OAuthClient {
    /// Ends in `.apps.googleusercontent.com`.
    pub id: String,
    /// Google calls it a secret, and gives it to every desktop.
    pub secret: SecretString,
}

/// How access is granted.
#[derive(Clone, Debug)]
pub struct AuthorizationOptions {
    /// What is asked for, separated by spaces.
    pub scope: String,
    /// Where Google is.
    pub endpoints: DriveEndpoints,
    /// Connections.
    pub http: HttpOptions,
}

impl Default for AuthorizationOptions {
    /// The scope `drive.file`.
    fn default() -> Self {
        Self {
            scope: SCOPE.to_owned(),
            endpoints: DriveEndpoints::default(),
            http: HttpOptions::default(),
        }
    }
}

/// Access that is being granted: the owner opens [`Authorization::url`] in a browser, and what that brings back
/// is either waited for here or pasted.
#[derive(Debug)]
pub struct Authorization {
    client: OAuthClient,
    scope: String,
    page: String,
    exchange: Exchange,
    listener: TcpListener,
    redirect: String,
    state: SecretString,
    verifier: SecretString,
}

impl Authorization {
    /// Begins to listen on a free port of 127.0.0.1, which nobody else reaches.
    pub fn begin(client: OAuthClient, options: &AuthorizationOptions) -> Result<Self> {
        let begin = || -> Attempt<Self> {
            let local = |error: std::io::Error| {
                Failure::new(Cause::Local, format!("no port to listen on: {error}"))
            };
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(local)?;
            // A connection may be gone before it is taken.
            listener.set_nonblocking(true).map_err(local)?;
            let port = listener.local_addr().map_err(local)?.port();
            Ok(Self {
                client,
                scope: options.scope.clone(),
                page: options.endpoints.authorization.clone(),
                exchange: Exchange::new(&options.endpoints.token, Http::new(&options.http)?),
                listener,
                redirect: format!("http://127.0.0.1:{port}"),
                state: random_text()?,
                verifier: random_text()?,
            })
        };
        begin().map_err(error)
    }

    /// The page on which access is granted, for the owner's browser.
    #[must_use]
    pub fn url(&self) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.expose_secret()));
        let parameters = [
            ("client_id", self.client.id.as_str()),
            ("redirect_uri", &self.redirect),
            ("response_type", "code"),
            ("scope", &self.scope),
            ("state", self.state.expose_secret()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            // A refresh token is given with these, and each time.
            ("access_type", "offline"),
            ("prompt", "consent"),
        ];
        let pairs = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", percent::encode(value, b"")));
        format!("{}?{}", self.page, pairs.collect::<Vec<_>>().join("&"))
    }

    /// Waits for the owner's browser, if that runs on this host, and fetches the tokens.
    ///
    /// [`Cause::TimedOut`] after `patience`, [`Cause::Denied`] if the owner refused.
    pub fn wait(&self, patience: Duration) -> Result<TokenFile> {
        loopback::wait(&self.listener, self.state.expose_secret(), patience)
            .and_then(|answer| self.redeem(answer))
            .map_err(error)
    }

    /// Fetches the tokens with what the owner pasted: the address that a browser on another host could not open, which
    /// begins with `http://127.0.0.1`, or the code in it.
    ///
    /// [`Cause::Invalid`] if it is neither, or the address belongs to another attempt.
    pub fn finish(&self, pasted: &str) -> Result<TokenFile> {
        let pasted = pasted.trim();
        let answer = match pasted.split_once('?') {
            Some((_, query)) => {
                loopback::answer(query, self.state.expose_secret()).ok_or_else(|| {
                    Failure::new(
                        Cause::Invalid,
                        "this address has no code, or is that of another attempt",
                    )
                })
            }
            None if pasted.is_empty() || pasted.contains(char::is_whitespace) => {
                Err(Failure::new(Cause::Invalid, "neither an address nor a code"))
            }
            // From an address bar it may still be encoded, as `4%2F0A…`.
            None => Ok(Answer::Code(percent::decode(pasted).unwrap_or_else(|| pasted.to_owned()))),
        };
        answer.and_then(|answer| self.redeem(answer)).map_err(error)
    }

    fn redeem(&self, answer: Answer) -> Attempt<TokenFile> {
        let code = match answer {
            Answer::Code(code) => code,
            Answer::Refused(why) => {
                let message = format!("access was not granted: {}", crate::http::one_line(&why));
                return Err(Failure::new(Cause::Denied, message));
            }
        };
        let code = Code { code: &code, verifier: &self.verifier, redirect: &self.redirect };
        self.exchange.redeem(&self.client.id, &self.client.secret, &code)
    }
}

fn error(failure: Failure) -> Error {
    Error::Storage {
        operation: "get",
        object: "access".to_owned(),
        location: "Google Drive".to_owned(),
        source: failure.into(),
    }
}

/// 32 random bytes, as an address can have them.
fn random_text() -> Attempt<SecretString> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(Cause::Local, format!("no random state for the authorisation: {error}"))
    })?;
    Ok(URL_SAFE_NO_PAD.encode(random).into())
}
