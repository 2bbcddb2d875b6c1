//! What opens a repository: a password, or the age secret key of a person.

use std::path::{Path, PathBuf};

use lifeboat_repository::Credential;
use lifeboat_storage::x25519;

use crate::password::{PasswordSource, SecretString};
use crate::{Environment, Error, Result};

/// Where what opens a repository comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A password.
    Password(PasswordSource),
    /// A file as `age-keygen` writes it.
    Identity(PathBuf),
}

/// What opens a repository.
pub(crate) enum KeyMaterial {
    Password(SecretString),
    Identity { text: SecretString, identities: Vec<x25519::Identity> },
}

impl KeySource {
    /// What the environment says, if anything.
    pub(crate) fn of_environment(environment: &Environment) -> Option<Self> {
        PasswordSource::of_variables(environment, "LIFEBOAT")
            .map(Self::Password)
            .or_else(|| environment.path("LIFEBOAT_IDENTITY_FILE").map(Self::Identity))
            .or_else(|| PasswordSource::of_variables(environment, "RESTIC").map(Self::Password))
    }

    pub(crate) fn get(&self) -> Result<KeyMaterial> {
        match self {
            Self::Password(source) => source.get().map(KeyMaterial::Password),
            Self::Identity(path) => read_identities(path),
        }
    }
}

impl KeyMaterial {
    pub(crate) fn credential(&self) -> Credential<'_> {
        match self {
            Self::Password(password) => Credential::Password(password),
            Self::Identity { identities, .. } => Credential::Identities(identities),
        }
    }

    /// The text by which it is known again.
    pub(crate) fn text(&self) -> &SecretString {
        match self {
            Self::Password(text) | Self::Identity { text, .. } => text,
        }
    }
}

/// Reads the secret keys of a file. That others may read it too is no reason to refuse it: it lies
/// on a USB stick without permissions when it is needed most, and `age` takes it as well.
fn read_identities(path: &Path) -> Result<KeyMaterial> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let refused = |detail: &str| Error::Identity { path: path.to_owned(), detail: detail.into() };
    if text.starts_with("-----BEGIN AGE") || text.starts_with("age-encryption.org/") {
        return Err(refused("it is encrypted; decrypt it with age first"));
    }
    let lines = text.lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    // What the parser found wrong may not quote the line: it is a secret.
    let identities: Vec<x25519::Identity> = keys
        .map(|line| line.parse().map_err(|_| refused("a line is no age secret key")))
        .collect::<Result<_>>()?;
    if identities.is_empty() {
        return Err(refused("it holds no age secret key"));
    }
    Ok(KeyMaterial::Identity { text: SecretString::from(text), identities })
}

/// Reads an age recipient.
pub(crate) fn parse_recipient(text: &str) -> Result<x25519::Recipient> {
    text.parse().map_err(|_| {
        Error::usage(
            format!("{text:?} is no age recipient"),
            "it begins with age1; age-keygen prints it as the public key",
        )
    })
}

#[cfg(test)]
mod tests {
    use lifeboat_storage::secrecy::ExposeSecret;

    use super::{KeyMaterial, KeySource, parse_recipient, x25519};
    use crate::Environment;

    #[test]
    fn files_of_age_keygen_are_read_and_others_refused_without_quoting_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("me.key");
        let key = x25519::Identity::generate();
        let secret = key.to_string().expose_secret().to_owned();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            KeySource::Identity(path.clone()).get()
        };
        let text = format!("# created: 2026\r\n# public key: x\r\n\n{secret}\r\n");
        let Ok(KeyMaterial::Identity { identities, .. }) = read(&text) else { panic!("refused") };
        assert_eq!(identities[0].to_public().to_string(), key.to_public().to_string());
        let damaged = secret.replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1X");
        for text in ["", "# only a comment\n", &damaged, "age-encryption.org/v1\n"] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains("me.key") && !error.contains("SECRET"), "{error}");
        }
        let recipient = key.to_public().to_string();
        assert_eq!(parse_recipient(&recipient).unwrap().to_string(), recipient);
        assert!(parse_recipient("age1x").is_err());
    }

    #[test]
    fn our_variables_win_and_a_password_wins_over_an_identity() {
        let source = |variables: &[(&str, &str)]| {
            let environment = Environment::of(variables.iter().copied(), "/");
            format!("{:?}", KeySource::of_environment(&environment))
        };
        let identity = ("LIFEBOAT_IDENTITY_FILE", "me.key");
        assert!(source(&[("RESTIC_PASSWORD_FILE", "p"), identity]).contains("me.key"));
        assert!(source(&[("LIFEBOAT_PASSWORD_FILE", "p"), identity]).contains("\"p\""));
        assert!(source(&[("RESTIC_PASSWORD_FILE", "p")]).contains("\"p\""));
        assert_eq!(source(&[]), "None");
    }
}
