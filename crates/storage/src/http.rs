//! Requests over HTTP/1.1, with TLS by rustls and the system's certificates.
//!
//! One [`Http`] keeps connections for all that use it. A status is no error by itself; everything that is
//! one comes as a [`Failure`], in the body of a response too. Nothing that is secret is in it: no query of
//! an address, no header that was marked.

mod call;
mod certificates;
mod content_body;
mod date;
mod explain;
mod options;
mod ranged;
mod redirect;
mod request;
mod response;
pub(crate) mod resumable;
mod status;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod wording;

use std::fmt;
use std::sync::Arc;

use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Proxy, SendBody};

pub(crate) use self::call::Call;
use self::content_body::ContentBody;
pub(crate) use self::date::{http_date, parse_http_date};
pub use self::options::HttpOptions;
pub(crate) use self::ranged::{first_byte, is_nothing, nothing, opened, range_header, skip};
pub(crate) use self::request::{Body, Request};
pub(crate) use self::response::Response;
pub(crate) use self::status::of_status;
pub(crate) use self::wording::one_line;
use crate::remote::Attempt;

/// As many connections to one host are kept for the next request.
const IDLE_CONNECTIONS: usize = 8;
const USER_AGENT: &str = concat!("lifeboat/", env!("CARGO_PKG_VERSION"));

/// Sends requests. Clones share their connections.
#[derive(Clone)]
pub(crate) struct Http {
    agent: Agent,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Http")
    }
}

impl Http {
    /// [`Cause::Local`](crate::Cause::Local) if the file of certificates cannot be read.
    pub(crate) fn new(options: &HttpOptions) -> Attempt<Self> {
        let certificates = certificates::trusted(options.ca_file.as_deref())?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&certificates))
            .build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .proxy(if options.proxy_from_environment { Proxy::try_from_env() } else { None })
            .tls_config(tls)
            .timeout_connect(Some(options.connect_timeout))
            .timeout_per_read(Some(options.idle_timeout))
            .timeout_per_write(Some(options.idle_timeout))
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .user_agent(USER_AGENT)
            .accept("");
        Ok(Self { agent: config.build().new_agent() })
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    pub(crate) fn send(&self, mut request: Request<'_>) -> Attempt<Response> {
        let mut redirects = 0;
        loop {
            let response = self.send_once(&request)?;
            match redirect::next(&request, &response, redirects)? {
                None => return Ok(response),
                Some(next) => request = next,
            }
            redirects += 1;
        }
    }

    fn send_once(&self, request: &Request<'_>) -> Attempt<Response> {
        let host = request.host();
        let mut content = ContentBody::new(request)?;
        let length = content.as_ref().map(ContentBody::length);
        let head = request.head(length)?;
        let sent = match &mut content {
            None => self.agent.run(head),
            Some(content) => self.agent.run(head.map(|()| SendBody::from_reader(content))),
        };
        match sent {
            Ok(response) => Ok(Response::new(host, request.secrets(), response)),
            Err(error) => Err(content
                .and_then(ContentBody::into_failure)
                .unwrap_or_else(|| explain::request(&host, &error))),
        }
    }
}
