//! `lifeboat.toml`.

mod expand;
mod keys;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Environment, Error, Result};

/// The configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// The name of this host in repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Repositories by name.
    #[serde(default, rename = "repository", skip_serializing_if = "BTreeMap::is_empty")]
    pub repositories: BTreeMap<String, RepositoryConfig>,
    /// Databases by name.
    #[serde(default, rename = "database", skip_serializing_if = "BTreeMap::is_empty")]
    pub databases: BTreeMap<String, DatabaseConfig>,
}

/// `[repository.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RepositoryConfig {
    /// Where it is: a path.
    pub url: String,
    /// A file that holds its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A command that prints its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_command: Option<String>,
}

/// `[database.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Its file, or a `sqlite:///` URL.
    pub path: String,
}

/// A configuration and where it came from.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// The file; `None` where there is none and everything is at its default.
    pub path: Option<PathBuf>,
    /// What it says.
    pub config: Config,
}

impl ConfigFile {
    /// Reads `given`, else the first candidate that exists, else takes the defaults.
    pub fn load(given: Option<&Path>, environment: &Environment) -> Result<Self> {
        let path = match given {
            Some(path) => Some(path.to_owned()),
            None => environment
                .path("LIFEBOAT_CONFIG")
                .or_else(|| environment.config_candidates().into_iter().find(|path| path.exists())),
        };
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let config = Config::parse(&text, environment)
            .map_err(|problem| Error::Config { path: path.clone(), problem })?;
        Ok(Self { path: Some(path), config })
    }
}

impl Config {
    /// Reads the text of a configuration; the error says what is wrong and where.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, String> {
        let mut table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| with_line(text, &error))?;
        keys::check(&table)?;
        for (_, value) in &mut table {
            expand::expand(value, environment)?;
        }
        table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

fn with_line(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Config;
    use crate::Environment;

    fn parse(text: &str) -> Result<Config, String> {
        let environment = Environment::of([("HOME", "/home/pi"), ("BUCKET", "pi4")], "/srv");
        Config::parse(text, &environment)
    }

    #[test]
    fn reads_repositories_and_databases() {
        let config = parse(
            "host = 'kitchen'\n[repository.local]\nurl = '${HOME}/backup/${BUCKET:-x}'\n\
             password-file = '/etc/lifeboat/password'\n[database.main]\npath = '${DATA:-/var/lib}/app.db'\n",
        )
        .unwrap();
        assert_eq!(config.host.as_deref(), Some("kitchen"));
        assert_eq!(config.repositories["local"].url, "/home/pi/backup/pi4");
        assert_eq!(config.databases["main"].path, "/var/lib/app.db");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let cases = [
            ("[repositry.local]\nurl = 'x'", "unknown key `repositry`; did you mean `repository`?"),
            (
                "[repository.a]\nurl = 'x'\npasword-file = 'x'",
                "unknown key `repository.a.pasword-file`; did you mean `password-file`?",
            ),
            ("[database.a]\nfoo = 1", "unknown key `database.a.foo`; valid keys are `path`"),
            ("[database.a]\n", "missing field `path`"),
            ("[database.a]\npath = '${NOWHERE}'", "the variable NOWHERE is not set"),
            ("[database.a]\npath = '${NOWHERE'", "a `${` is not closed"),
            ("a = = 1", "line 1: "),
            ("[repository]\nurl = 'x'", "`repository.url` must be a table"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
