use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::http::HttpOptions;
use crate::secrecy::{ExposeSecret, SecretString};
use crate::{RemoteOptions, Result};

/// How a WebDAV server is reached.
#[derive(Clone, Debug, Default)]
pub struct WebDavOptions {
    /// `https://host/path`, in place of scheme and host of the address; the path of the address is below it.
    pub endpoint: Option<String>,
    /// The password of the user in the address, sent as Basic. `webdav://` sends it unencrypted.
    pub password: Option<SecretString>,
    /// A token that is sent as Bearer, in place of user and password.
    pub bearer_token: Option<SecretString>,
    /// Connections.
    pub http: HttpOptions,
    /// Retries and limits.
    pub remote: RemoteOptions,
}

impl WebDavOptions {
    /// With `LIFEBOAT_WEBDAV_PASSWORD` and `LIFEBOAT_WEBDAV_TOKEN`, where they are set.
    ///
    /// `Cause::Invalid` if one of them is no text.
    pub fn from_environment() -> Result<Self> {
        Ok(Self {
            password: super::address::secret_variable("LIFEBOAT_WEBDAV_PASSWORD")?,
            bearer_token: super::address::secret_variable("LIFEBOAT_WEBDAV_TOKEN")?,
            ..Self::default()
        })
    }

    /// The value of the header that says who asks; `None` if that is not known.
    pub(super) fn authorization(&self, user: Option<&str>) -> Option<SecretString> {
        if let Some(token) = &self.bearer_token {
            return Some(format!("Bearer {}", token.expose_secret()).into());
        }
        let password = self.password.as_ref().map_or("", |password| password.expose_secret());
        let pair = format!("{}:{password}", user?);
        Some(format!("Basic {}", STANDARD.encode(pair)).into())
    }
}
