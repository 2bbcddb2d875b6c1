//! The permission to use the owner's Google Drive.

use std::path::{Path, PathBuf};

use lifeboat_storage::secrecy::SecretString;
use lifeboat_storage::{
    Authorization, AuthorizationOptions, DriveEndpoints, HttpOptions, OAuthClient, TokenFile,
    import_rclone_drive,
};
use serde::Deserialize;

use crate::config::StoreConfig;
use crate::location::{default_token_file, endpoints_at};
use crate::state::create_private_directory;
use crate::{Context, Error, Result};

/// The owner's own OAuth client.
#[derive(Debug, Clone)]
pub enum DriveClient {
    /// The file that Google's console gives for it.
    File(PathBuf),
    /// Its id and secret.
    Given {
        /// Ends in `.apps.googleusercontent.com`.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
}

/// Where the permission is kept.
#[derive(Debug)]
pub struct DriveGrant {
    /// The file, which only its owner can read.
    pub token_file: PathBuf,
    /// What it is for, as the URL of a repository, where that is known.
    pub folder: Option<String>,
    /// The shared drive it is for, which `shared-drive` must name in the configuration.
    pub shared_drive: Option<String>,
}

/// Begins to ask for the permission: the owner opens [`Authorization::url`] in a browser.
pub fn begin_drive_authorization(context: &Context, client: &DriveClient) -> Result<Authorization> {
    let store = drive_store(context);
    let options = AuthorizationOptions {
        endpoints: store.endpoint.as_deref().map_or_else(DriveEndpoints::default, endpoints_at),
        http: HttpOptions { ca_file: store.ca_file, ..HttpOptions::default() },
        ..AuthorizationOptions::default()
    };
    Ok(Authorization::begin(client.get()?, &options)?)
}

/// Keeps the permission that was given.
pub fn keep_drive_authorization(context: &Context, tokens: &TokenFile) -> Result<DriveGrant> {
    let token_file = drive_store(context).token_file;
    let token_file = token_file.unwrap_or_else(|| default_token_file(context.environment()));
    if let Some(directory) = token_file.parent().filter(|path| !path.as_os_str().is_empty()) {
        create_private_directory(directory)?;
    }
    tokens.save(&token_file)?;
    Ok(DriveGrant { token_file, folder: None, shared_drive: None })
}

/// Takes over the permission that a remote of rclone's has.
pub fn import_drive_authorization(
    context: &Context,
    remote: &str,
    config: Option<&Path>,
) -> Result<DriveGrant> {
    let usual = || context.environment().home().join(".config/rclone/rclone.conf");
    let config = config.map(Path::to_owned).or_else(|| context.environment().path("RCLONE_CONFIG"));
    let imported = import_rclone_drive(&config.unwrap_or_else(usual), remote)?;
    let grant = keep_drive_authorization(context, &imported.tokens)?;
    let folder = imported.folder.map(|folder| format!("gdrive:id:{folder}"));
    Ok(DriveGrant { folder, shared_drive: imported.shared_drive, ..grant })
}

/// How the repository on Google Drive is reached, if one is configured.
fn drive_store(context: &Context) -> StoreConfig {
    let mut repositories = context.config().repositories.values();
    let found = repositories.find(|one| one.url.starts_with("gdrive:"));
    found.map(|one| one.store.clone()).unwrap_or_default()
}

/// What Google's console gives: `{"installed": {"client_id": …}}`.
#[derive(Deserialize)]
struct ClientFile {
    installed: ClientOfFile,
}

#[derive(Deserialize)]
struct ClientOfFile {
    client_id: String,
    client_secret: String,
}

impl DriveClient {
    fn get(&self) -> Result<OAuthClient> {
        match self {
            Self::Given { id, secret } => {
                Ok(OAuthClient { id: id.clone(), secret: secret.clone() })
            }
            Self::File(path) => {
                let text = std::fs::read(path).map_err(Error::file("read", path))?;
                let file: ClientFile = serde_json::from_slice(&text).map_err(|_| {
                    Error::usage(
                        format!("{} is no OAuth client of the kind \"Desktop app\"", path.display()),
                        "make one in Google's console (APIs & Services, Credentials) and download its JSON",
                    )
                })?;
                let ClientOfFile { client_id, client_secret } = file.installed;
                Ok(OAuthClient { id: client_id, secret: client_secret.into() })
            }
        }
    }
}
