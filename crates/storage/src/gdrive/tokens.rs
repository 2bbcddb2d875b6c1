//! The access token of requests, refreshed in time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::oauth::Exchange;
use super::token_file::{self, TokenFile};
use crate::http::Http;
use crate::remote::Attempt;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Cause, Error, Failure};

/// As long before its end a token is refreshed.
const MARGIN: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(super) struct Tokens {
    path: PathBuf,
    exchange: Exchange,
    current: Mutex<TokenFile>,
}

impl Tokens {
    pub(super) fn load(path: &Path, endpoint: &str, http: Http) -> Attempt<Self> {
        let current = TokenFile::load(path).map_err(|error| local(&error))?;
        let exchange = Exchange::new(endpoint, http);
        Ok(Self { path: path.to_owned(), exchange, current: Mutex::new(current) })
    }

    fn current(&self) -> MutexGuard<'_, TokenFile> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn expires(&self) -> Option<SystemTime> {
        self.current().expires()
    }

    /// A token that holds for a while.
    pub(super) fn get(&self) -> Attempt<SecretString> {
        self.other_than(None)
    }

    /// Another token than one that was refused.
    pub(super) fn instead_of(&self, refused: &SecretString) -> Attempt<SecretString> {
        self.other_than(Some(refused))
    }

    fn other_than(&self, refused: Option<&SecretString>) -> Attempt<SecretString> {
        // Those who ask meanwhile wait: one refresh is enough.
        let mut current = self.current();
        if let Some(token) = usable(&current, refused) {
            return Ok(token);
        }
        let _lock = token_file::lock(&self.path).map_err(|error| local(&error))?;
        // Another process may have refreshed it, or the owner granted access again.
        *current = TokenFile::load(&self.path).map_err(|error| local(&error))?;
        if let Some(token) = usable(&current, refused) {
            return Ok(token);
        }
        let refreshed = self.exchange.refresh(&current)?;
        refreshed.save(&self.path).map_err(|error| local(&error))?;
        *current = refreshed;
        usable(&current, refused)
            .ok_or_else(|| Failure::new(Cause::Protocol, "Google gave a token that has ended"))
    }
}

fn usable(tokens: &TokenFile, refused: Option<&SecretString>) -> Option<SecretString> {
    let token = tokens.access_token.as_ref()?;
    let lasts = tokens.access_expires.is_none_or(|end| SystemTime::now() + MARGIN < end);
    let is_other = refused.is_none_or(|refused| refused.expose_secret() != token.expose_secret());
    (lasts && is_other).then(|| token.clone())
}

/// A failure of the file of tokens.
fn local(error: &Error) -> Failure {
    let Error::Storage { source, location, .. } = error else {
        return Failure::new(Cause::Local, error.to_string());
    };
    if source.kind() == io::ErrorKind::NotFound {
        let message = format!("there is no {location}: run `lifeboat auth gdrive`");
        return Failure::new(Cause::Unauthenticated, message);
    }
    Failure::new(Cause::Local, format!("{error}: {source}"))
}
