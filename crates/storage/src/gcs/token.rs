//! Tokens of OAuth 2.

use std::time::{Duration, SystemTime};

use age::secrecy::SecretString;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::http::{Body, Http, Request, Response};
use crate::percent;
use crate::refreshing::Fresh;
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// Where tokens are, where a file does not say.
pub(super) const URL: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// No answer is nearly as long.
const MAX_BYTES: u64 = 64 * 1024;

/// An account that signs with a key of its own.
pub(super) struct Account {
    email: String,
    key: RsaKeyPair,
    pub(super) url: String,
}

impl Account {
    /// Of a PEM document with a key in PKCS #8.
    pub(super) fn new(email: String, pem: &str, url: String) -> Result<Self, &'static str> {
        let base64: String = pem
            .lines()
            .map(str::trim)
            .skip_while(|line| *line != "-----BEGIN PRIVATE KEY-----")
            .skip(1)
            .take_while(|line| !line.starts_with("-----"))
            .collect();
        let der = BASE64_STANDARD.decode(base64).map_err(|_| "its private key is no PEM")?;
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|_| "its private key is no RSA key")?;
        Ok(Self { email, key, url })
    }

    /// The request for a token.
    pub(super) fn form(&self) -> Attempt<Vec<(&'static str, String)>> {
        let assertion = self.assertion(SystemTime::now())?;
        Ok(vec![("grant_type", GRANT.to_owned()), ("assertion", assertion)])
    }

    /// Who asks, signed: a JSON Web Token.
    fn assertion(&self, now: SystemTime) -> Attempt<String> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.url, "iat": now, "exp": now + 3600,
        });
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed =
            format!("{}.{}", encode(&json!({"alg": "RS256", "typ": "JWT"})), encode(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Failure::new(Cause::Local, "the key of the account cannot sign"))?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Asks for a token with a form.
pub(super) fn ask(
    http: &Http,
    url: &str,
    form: &[(&'static str, String)],
) -> Attempt<Fresh<SecretString>> {
    let fields: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", percent::encode(value, b"")))
        .collect();
    let request = Request::new("POST", url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::Bytes(fields.join("&").into_bytes()));
    read(http.send(request)?)
}

/// The token of an answer.
pub(super) fn read(response: Response) -> Attempt<Fresh<SecretString>> {
    if !response.is_success() {
        let mut failure = response.into_failure_saying(refusal);
        // 400 where the account or its key is not known.
        if matches!(failure.cause, Cause::Invalid | Cause::Denied | Cause::Protocol) {
            failure.cause = Cause::Unauthenticated;
        }
        failure.message = format!("no token: {}", failure.message);
        return Err(failure);
    }
    let odd = || Failure::new(Cause::Protocol, "an answer that is no token");
    let document: Value = serde_json::from_str(&response.text(MAX_BYTES)?).map_err(|_| odd())?;
    let token = document.get("access_token").and_then(Value::as_str).ok_or_else(odd)?;
    let lasts = document.get("expires_in").and_then(Value::as_u64).unwrap_or(3600);
    let expires = SystemTime::now() + Duration::from_secs(lasts.min(86_400));
    // Some fill it up with dots.
    let value = SecretString::from(token.trim_end_matches('.').to_owned());
    Ok(Fresh { value, expires: Some(expires) })
}

/// What an error says.
fn refusal(text: &str) -> String {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| document.get(name).and_then(Value::as_str);
    match (field("error"), field("error_description")) {
        (Some(error), Some(description)) => format!("{error}: {description}"),
        (Some(error), None) => error.to_owned(),
        _ => String::new(),
    }
}
