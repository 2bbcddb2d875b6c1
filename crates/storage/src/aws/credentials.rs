use std::fmt;
use std::time::SystemTime;

use age::secrecy::SecretString;
use jiff::Timestamp;
use serde_json::Value;

use crate::refreshing::Fresh;
use crate::remote::Attempt;
use crate::{Cause, Failure};

/// Who signs requests to S3. The secrets are not in its `Debug` form.
#[derive(Clone)]
pub struct Credentials {
    /// The name of the key.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: SecretString,
    /// What goes with keys that end.
    pub session_token: Option<SecretString>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// A key, its secret, and the token that goes with keys that end.
    #[must_use]
    pub fn new(access_key_id: String, secret: String, session_token: Option<String>) -> Self {
        Self {
            access_key_id,
            secret_access_key: SecretString::from(secret),
            session_token: session_token.map(SecretString::from),
        }
    }

    /// Those of a JSON document, in which the token has this name. What is wrong with it is told without it.
    pub(super) fn parse(from: &str, text: &str, token: &str) -> Attempt<Fresh<Self>> {
        let odd = |what: &str| {
            Failure::new(Cause::Unauthenticated, format!("the credentials of {from}: {what}"))
        };
        let document: Value = serde_json::from_str(text).map_err(|_| odd("no JSON"))?;
        let field = |name: &str| document.get(name)?.as_str().map(str::to_owned);
        let id = field("AccessKeyId").ok_or_else(|| odd("no AccessKeyId"))?;
        let secret = field("SecretAccessKey").ok_or_else(|| odd("no SecretAccessKey"))?;
        let expires = match field("Expiration") {
            None => None,
            Some(text) => Some(text.parse::<Timestamp>().map_err(|_| odd("no valid Expiration"))?),
        };
        let expires = expires.map(SystemTime::from);
        Ok(Fresh { value: Self::new(id, secret, field(token)), expires })
    }
}
