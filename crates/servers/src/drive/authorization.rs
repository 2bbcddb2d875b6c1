//! The owner's consent, and tokens.

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{State, answer_json};
use crate::http::{Request, Response, form};

impl State {
    /// The owner's consent, given at once: sends the browser back.
    pub(super) fn authorize(&mut self, request: &Request) -> Response {
        let parameter = |name| request.parameter(name).unwrap().to_owned();
        assert_eq!(parameter("response_type"), "code");
        assert_eq!(parameter("code_challenge_method"), "S256");
        assert_eq!(parameter("access_type"), "offline");
        assert_eq!(parameter("client_id"), "client-id");
        let redirect = parameter("redirect_uri");
        let code = format!("4/code-{}", self.next);
        self.next += 1;
        self.codes.insert(code.clone(), (parameter("code_challenge"), redirect.clone()));
        let (state, code) = (parameter("state"), code.replace('/', "%2F"));
        Response::new(302, "")
            .with("Location", format!("{redirect}/?state={state}&code={code}&scope=x"))
    }

    pub(super) fn token(&mut self, request: &Request) -> Response {
        let form = form(std::str::from_utf8(&request.body).unwrap());
        let value = |wanted: &str| {
            form.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
        };
        let refuse = |error: &str| {
            Response::new(
                400,
                json!({ "error": error, "error_description": "Bad Request" }).to_string(),
            )
        };
        if (value("client_id"), value("client_secret")) != ("client-id", "client-secret") {
            return refuse("invalid_client");
        }
        let mut answer = json!({ "expires_in": 3599, "token_type": "Bearer",
            "scope": "https://www.googleapis.com/auth/drive.file" });
        match value("grant_type") {
            "refresh_token" if value("refresh_token") == self.refresh_token => {}
            "authorization_code" => {
                let Some((challenge, redirect)) = self.codes.remove(value("code")) else {
                    return refuse("invalid_grant");
                };
                if challenge != base64_url(&Sha256::digest(value("code_verifier")))
                    || redirect != value("redirect_uri")
                {
                    return refuse("invalid_grant");
                }
                answer["refresh_token"] = self.refresh_token.clone().into();
                answer["refresh_token_expires_in"] = 604_799.into();
            }
            _ => return refuse("invalid_grant"),
        }
        self.access_token = format!("access-token-{}", self.next + 1000);
        self.next += 1;
        answer["access_token"] = self.access_token.clone().into();
        answer_json(&answer)
    }
}

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    let digit = |six: &[u8]| {
        let value = (0..6).fold(0, |sum, bit| sum << 1 | six.get(bit).copied().unwrap_or(0));
        char::from(DIGITS[usize::from(value)])
    };
    bits.chunks(6).map(digit).collect()
}
