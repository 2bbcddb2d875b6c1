use std::path::PathBuf;
use std::time::Duration;

/// How hosts are talked to over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// Certificates (PEM) that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection, with all that secures it, may take to stand.
    pub connect_timeout: Duration,
    /// How long a connection may be silent while something is read from it, or take nothing while something
    /// is written to it. There is no limit on a request as a whole: uplinks are thin.
    pub idle_timeout: Duration,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are obeyed.
    pub proxy_from_environment: bool,
}

impl Default for HttpOptions {
    /// 30 seconds for a connection, 60 of silence, proxies of the environment.
    fn default() -> Self {
        Self {
            ca_file: None,
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            proxy_from_environment: true,
        }
    }
}
