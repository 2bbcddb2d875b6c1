//! Where tokens come from.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use age::secrecy::SecretString;
use serde_json::Value;

use super::token::{self, Account};
use crate::http::{Http, Request};
use crate::refreshing::Fresh;
use crate::remote::Attempt;
use crate::{Cause, Environment, Failure};

const METADATA: &str = "http://metadata.google.internal";
const METADATA_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// Where tokens come from. What is secret in it is not shown.
pub(super) enum Source {
    Fixed(SecretString),
    /// An account with a key of its own.
    Service(Box<Account>),
    /// A user who logged in: the fields of a request for a token, and where it goes.
    User {
        url: String,
        form: Vec<(&'static str, String)>,
    },
    /// The machine's, at a URL.
    Machine {
        url: String,
    },
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Source")
    }
}

impl Source {
    pub(super) fn find(environment: &Environment) -> Attempt<Self> {
        if let Some(token) = environment.get("GOOGLE_ACCESS_TOKEN") {
            return Ok(Self::Fixed(SecretString::from(token)));
        }
        if let Some(file) = environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
            return Self::of_file(Path::new(&file));
        }
        let file = environment
            .get("CLOUDSDK_CONFIG")
            .map(PathBuf::from)
            .or_else(|| environment.in_home(".config/gcloud"))
            .map(|directory| directory.join("application_default_credentials.json"));
        if let Some(file) = file.filter(|file| file.exists()) {
            return Self::of_file(&file);
        }
        let host = environment.get("GCE_METADATA_HOST").map(|host| format!("http://{host}"));
        let url = format!("{}{METADATA_PATH}", host.as_deref().unwrap_or(METADATA));
        Ok(Self::Machine { url })
    }

    fn of_file(file: &Path) -> Attempt<Self> {
        let refused = |what: &dyn fmt::Display| {
            Failure::new(Cause::Unauthenticated, format!("{}: {what}", file.display()))
        };
        let text = fs::read_to_string(file).map_err(|error| refused(&error))?;
        let document: Value = serde_json::from_str(&text).map_err(|_| refused(&"no JSON"))?;
        let field = |name: &str| {
            let text = document.get(name).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| refused(&format!("no {name}")))
        };
        let url = field("token_uri").unwrap_or_else(|_| token::URL.to_owned());
        match &*field("type")? {
            "service_account" => {
                let account = Account::new(field("client_email")?, &field("private_key")?, url);
                Ok(Self::Service(Box::new(account.map_err(|what| refused(&what))?)))
            }
            "authorized_user" => {
                let form = vec![
                    ("grant_type", "refresh_token".to_owned()),
                    ("client_id", field("client_id")?),
                    ("client_secret", field("client_secret")?),
                    ("refresh_token", field("refresh_token")?),
                ];
                Ok(Self::User { url, form })
            }
            other => Err(refused(&format!("accounts of type {other} are not known here"))),
        }
    }

    /// A token, and its end.
    pub(super) fn fetch(&self, http: &Http) -> Attempt<Fresh<SecretString>> {
        match self {
            Self::Fixed(token) => Ok(Fresh { value: token.clone(), expires: None }),
            Self::Service(account) => token::ask(http, &account.url, &account.form()?),
            Self::User { url, form } => token::ask(http, url, form),
            Self::Machine { url } => {
                let request = Request::new("GET", url).header("metadata-flavor", "Google");
                token::read(
                    http.send(request.without_redirects()).map_err(|failure| nobody(&failure))?,
                )
            }
        }
    }
}

/// That there is no such service is the common case, and does not pass.
fn nobody(failure: &Failure) -> Failure {
    let message = format!("there are no credentials; the metadata service: {}", failure.message);
    Failure::new(Cause::Unauthenticated, message)
}
