//! Takes over a drive that rclone was set up for.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Deserialize;

use super::token_file::TokenFile;
use crate::remote::Attempt;
use crate::secrecy::SecretString;
use crate::{Cause, Error, Failure, Result};

/// A drive of an `rclone.conf`.
#[derive(Clone, Debug)]
pub struct ImportedDrive {
    /// Its access, to be kept in a file of its own.
    pub tokens: TokenFile,
    /// The folder it was confined to, as the address `gdrive:id:` has it.
    pub folder: Option<String>,
    /// The shared drive it uses.
    pub shared_drive: Option<String>,
}

/// Reads the access of the remote `name` from rclone's configuration.
///
/// [`Cause::Invalid`] if it is encrypted, or has no such remote, or that is no Google Drive, or one that cannot be
/// used without rclone: by rclone's own client, or by a service account.
pub fn import_rclone_drive(config: &Path, name: &str) -> Result<ImportedDrive> {
    let read = || -> Attempt<ImportedDrive> {
        let text = fs::read_to_string(config)
            .map_err(|error| Failure::new(Cause::Local, format!("it cannot be read: {error}")))?;
        import(&text, name)
    };
    read().map_err(|failure| Error::Storage {
        operation: "import",
        object: format!("the remote {name}"),
        location: config.display().to_string(),
        source: failure.into(),
    })
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    refresh_token: String,
    expiry: Option<String>,
}

fn import(text: &str, name: &str) -> Attempt<ImportedDrive> {
    let invalid = |what: &str| Err(Failure::new(Cause::Invalid, what.to_owned()));
    if text.lines().any(|line| line.starts_with("RCLONE_ENCRYPT_V0:")) {
        return invalid(
            "it is encrypted: `rclone config show > FILE` writes it in plain, for an import from there",
        );
    }
    let Some(section) = section(text, name) else { return invalid("it has no such remote") };
    let value = |key: &str| section.get(key).copied().filter(|value| !value.is_empty());
    if value("type") != Some("drive") {
        return invalid("the remote is no Google Drive");
    }
    if value("service_account_file").or_else(|| value("service_account_credentials")).is_some() {
        return invalid("the remote uses a service account: use it as rclone:");
    }
    let (Some(client_id), Some(client_secret)) = (value("client_id"), value("client_secret"))
    else {
        return invalid(
            "the remote uses the client that all users of rclone share, which is being retired: \
             make an OAuth client of your own, then run `lifeboat auth gdrive`",
        );
    };
    let token = value("token").and_then(|token| serde_json::from_str::<Token>(token).ok());
    let Some(token) = token.filter(|token| !token.refresh_token.is_empty()) else {
        return invalid("the remote has no token: `rclone config reconnect` gets one");
    };
    let expiry = token.expiry.and_then(|text| text.parse::<Timestamp>().ok());
    let access_token = Some(token.access_token).filter(|token| !token.is_empty());
    let tokens = TokenFile {
        client_id: client_id.to_owned(),
        client_secret: client_secret.to_owned().into(),
        refresh_token: token.refresh_token.into(),
        // One that ends at no known time is refreshed first.
        access_expires: expiry.map(SystemTime::from),
        access_token: access_token.filter(|_| expiry.is_some()).map(SecretString::from),
        scope: scopes(value("scope").unwrap_or("drive")),
        granted: None,
        refresh_expires: None,
    };
    let owned = |key| value(key).map(str::to_owned);
    Ok(ImportedDrive { tokens, folder: owned("root_folder_id"), shared_drive: owned("team_drive") })
}

/// rclone's short names, as Google has them.
fn scopes(text: &str) -> String {
    let full = |scope: &str| format!("https://www.googleapis.com/auth/{}", scope.trim());
    text.split(',').map(full).collect::<Vec<_>>().join(" ")
}

/// The settings of a section.
fn section<'a>(text: &'a str, name: &str) -> Option<HashMap<&'a str, &'a str>> {
    let header = |line: &'a str| line.strip_prefix('[')?.strip_suffix(']');
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| header(line) == Some(name))?;
    let within = lines.take_while(|line| header(line).is_none());
    let settings = within.filter(|line| !line.starts_with(['#', ';']));
    Some(
        settings
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrecy::ExposeSecret;

    const CONFIG: &str = r#"
# a comment
[plain]
type = drive
client_id = id.apps.googleusercontent.com
client_secret = GOCSPX-secret
scope = drive.file,drive.metadata.readonly
token = {"access_token":"ya29.a","token_type":"Bearer","refresh_token":"1//r","expiry":"2026-11-22T03:00:00.5+01:00"}
root_folder_id = 1abc
team_drive =

[shared]
type = drive
client_id =
token = {"access_token":"a","refresh_token":"r"}

[service]
type = drive
service_account_file = /key.json

[empty]
type = drive
client_id = a
client_secret = b

[box]
type = dropbox
"#;

    #[test]
    fn a_drive_with_its_own_client_is_taken_over() {
        let drive = import(CONFIG, "plain").unwrap();
        assert_eq!(drive.tokens.client_id, "id.apps.googleusercontent.com");
        assert_eq!(drive.tokens.client_secret.expose_secret(), "GOCSPX-secret");
        assert_eq!(drive.tokens.refresh_token.expose_secret(), "1//r");
        let end = "2026-11-22T02:00:00.5Z".parse::<Timestamp>().unwrap();
        assert_eq!(drive.tokens.access_expires, Some(SystemTime::from(end)));
        assert_eq!(
            drive.tokens.scope,
            "https://www.googleapis.com/auth/drive.file https://www.googleapis.com/auth/drive.metadata.readonly"
        );
        assert_eq!((drive.folder.as_deref(), drive.shared_drive), (Some("1abc"), None));
    }

    #[test]
    fn what_cannot_be_taken_over_is_told() {
        for (name, told) in [
            ("shared", "share"),
            ("service", "service account"),
            ("empty", "no token"),
            ("box", "no Google Drive"),
            ("other", "no such remote"),
        ] {
            let failure = import(CONFIG, name).unwrap_err();
            assert_eq!(failure.cause, Cause::Invalid);
            assert!(failure.message.contains(told), "{}", failure.message);
        }
        let encrypted = "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc\n";
        assert!(import(encrypted, "plain").unwrap_err().message.contains("encrypted"));
    }
}
