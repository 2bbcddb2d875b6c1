use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::HttpOptions;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{Environment, RemoteOptions};

/// How a WebDAV server is reached.
#[derive(Clone, Debug, Default)]
pub struct WebDavOptions {
    /// `https://host/path`, in place of scheme and host of the address; the path of the address is below it.
    pub endpoint: Option<String>,
    /// The password of the user in the address, sent as Basic, unencrypted with `webdav://`;
    /// what the environment says if this is `None`.
    pub password: Option<SecretString>,
    /// A token that is sent as Bearer, in place of user and password; what the environment says if this
    /// and the password are `None`.
    pub bearer_token: Option<SecretString>,
    /// Connections.
    pub http: HttpOptions,
    /// Retries and limits.
    pub remote: RemoteOptions,
}

impl WebDavOptions {
    /// The value of the header that says who asks; `None` if that is not known.
    pub(super) fn authorization(
        &self,
        user: Option<&str>,
        environment: &Environment,
    ) -> Option<SecretString> {
        let given = |option: &Option<SecretString>, variable| {
            let found = option.as_ref().map(|secret| secret.expose_secret().to_owned());
            found.or_else(|| environment.get(variable))
        };
        let token = given(&self.bearer_token, "LIFEBOAT_WEBDAV_TOKEN");
        // What is said in the options goes before what the environment says.
        if let Some(token) =
            token.filter(|_| self.bearer_token.is_some() || self.password.is_none())
        {
            return Some(format!("Bearer {token}").into());
        }
        let password = given(&self.password, "LIFEBOAT_WEBDAV_PASSWORD").unwrap_or_default();
        let pair = format!("{}:{password}", user?);
        Some(format!("Basic {}", STANDARD.encode(pair)).into())
    }
}
