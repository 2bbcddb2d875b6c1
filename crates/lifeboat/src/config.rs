//! `lifeboat.toml`.

mod expand;
mod hooks;
mod keys;
mod quantity;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_repository::{KeepRules, Ladder};
use serde::{Deserialize, Serialize};

pub use self::hooks::{CommandLine, HooksConfig};
pub use self::quantity::{ByteLimit, Interval};

use crate::credential::KeySource;
use crate::password::PasswordSource;
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
    /// How databases are replicated.
    #[serde(default, skip_serializing_if = "ReplicateConfig::is_default")]
    pub replicate: ReplicateConfig,
    /// How long points in time stay.
    #[serde(default, skip_serializing_if = "PointsConfig::is_default")]
    pub points: PointsConfig,
    /// What is run around each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
    /// Types of backups by name.
    #[serde(default, rename = "type", skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, TypeConfig>,
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
    /// A file with the age secret key of a person who may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_file: Option<PathBuf>,
    /// The age recipient that it must have; no default password is looked for then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Which backups stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// How long captures are gathered before they are stored as one; else each is stored at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

impl RepositoryConfig {
    /// What opens it.
    pub(crate) fn key(&self) -> Option<KeySource> {
        let file = self.password_file.clone().map(PasswordSource::File);
        file.or_else(|| self.password_command.clone().map(PasswordSource::Command))
            .map(KeySource::Password)
            .or_else(|| self.identity_file.clone().map(KeySource::Identity))
    }
}

/// `[database.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Its file, or a `sqlite:///` URL.
    pub path: String,
    /// How often it is captured while it is replicated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicate: Option<Interval>,
    /// How long its points in time stay, in the place of `[points] ladder`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<Ladder>,
    /// In which backups it stays; before the rules of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// What is run around its part of each backup.
    #[serde(default, skip_serializing_if = "HooksConfig::is_default")]
    pub hooks: HooksConfig,
}

/// `[points]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PointsConfig {
    /// Unless a database says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ladder: Option<Ladder>,
}

impl PointsConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[type.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TypeConfig {
    /// Which backups of this type stay; before the rules of the repository, after those of a source.
    pub keep: KeepRules,
}

/// `[replicate]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicateConfig {
    /// How often a database is captured, unless it says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// After so long without a write, a database is let go of until the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Interval>,
    /// A WAL that grows beyond this is handed over to a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_limit: Option<ByteLimit>,
    /// How much of one database may wait for repositories that cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool_limit: Option<ByteLimit>,
}

impl ReplicateConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
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
        let given = given.map(Path::to_owned).or_else(|| environment.path("LIFEBOAT_CONFIG"));
        let path = match given {
            Some(path) => path,
            None => {
                let mut candidates = environment.config_candidates().into_iter();
                let Some(path) = candidates.find(|path| path.exists()) else {
                    return Ok(Self::default());
                };
                require_trusted(&path)?;
                path
            }
        };
        let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let config = Config::parse(&text, environment).map_err(|error| {
            let ConfigProblem { line, problem } = error;
            Error::Config { path: path.clone(), line, problem }
        })?;
        Ok(Self { path: Some(path), config })
    }
}

/// Refuses a configuration that was only found, and that somebody else has written: it may name commands
/// to run.
fn require_trusted(path: &Path) -> Result<()> {
    let file = path.metadata().map_err(Error::file("look at", path))?;
    let is_own = file.uid() == 0 || file.uid() == rustix::process::geteuid().as_raw();
    let problem = match (is_own, file.mode() & 0o002 == 0) {
        (true, true) => return Ok(()),
        (false, _) => format!("it belongs to another user (uid {}), who", file.uid()),
        (true, false) => "everybody may write to it, and so whoever wants to".to_owned(),
    };
    let problem = format!(
        "{problem} can have commands run here; if it is the right one, give it with --config"
    );
    Err(Error::Config { path: path.to_owned(), line: None, problem })
}

/// What is wrong with the text of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: String,
}

impl Config {
    /// How long the points of a database stay, where that is configured.
    pub fn points_of(&self, database: &str) -> Option<&Ladder> {
        let own = self.databases.get(database).and_then(|database| database.points.as_ref());
        own.or(self.points.ladder.as_ref())
    }

    /// Whether nothing is to be run around backups.
    pub fn hooks_are_none(&self) -> bool {
        self.hooks.is_default() && self.databases.values().all(|one| one.hooks.is_default())
    }

    /// Reads the text of a configuration; the error says what is wrong and where.
    pub fn parse(text: &str, environment: &Environment) -> Result<Self, ConfigProblem> {
        let in_text = |error: &toml::de::Error| ConfigProblem {
            line: line_of(text, error),
            problem: error.message().to_owned(),
        };
        let mut table: toml::Table = text.parse().map_err(|error| in_text(&error))?;
        // A table does not know where it came from; reading the text as it should be finds it.
        let place = || toml::from_str::<Self>(text).err().and_then(|error| line_of(text, &error));
        keys::check(&table).map_err(|problem| ConfigProblem { line: place(), problem })?;
        for (_, value) in &mut table {
            expand::expand(value, environment).map_err(|problem| ConfigProblem {
                line: expand::line_of_problem(text, environment),
                problem,
            })?;
        }
        table.try_into().map_err(|error: toml::de::Error| ConfigProblem {
            line: place(),
            problem: error.message().to_owned(),
        })
    }
}

fn line_of(text: &str, error: &toml::de::Error) -> Option<usize> {
    let before = text.get(..error.span()?.start)?;
    Some(before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, Config, ConfigProblem};
    use crate::{Environment, Limit};

    fn parse(text: &str) -> Result<Config, ConfigProblem> {
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
        let config = parse(
            "[repository.local]\nurl = '/b'\nkeep = { daily = 7, weekly = 'unlimited', within-daily = '1m' }\n\
             [database.main]\npath = '/app.db'\nkeep = { last = 5, tags = ['keep', 'a,b'] }\n",
        )
        .unwrap();
        let keep = config.repositories["local"].keep.as_ref().unwrap();
        assert_eq!((keep.daily, keep.weekly), (Limit::Newest(7), Limit::Unlimited));
        assert_eq!((keep.last, keep.within_daily.months), (Limit::Newest(0), 1));
        let config = parse(
            "[repository.local]\nurl = '/b'\nkeep = '7/4/12'\n[type.full]\nkeep = 'last 5'\n\
             [type.config]\nkeep = 'all'\n[database.main]\npath = '/app.db'\nkeep = '30 days'\n",
        )
        .unwrap();
        assert_eq!(config.repositories["local"].keep, Some(crate::KeepRules::usual()));
        assert_eq!(config.types["full"].keep.last, Limit::Newest(5));
        assert!(config.types["config"].keep.is_empty());
        assert_eq!(config.databases["main"].keep.as_ref().unwrap().within.days, 30);
        let config = parse(
            "[points]\nladder = ['all for 2h', '1m for 3d']\n[database.main]\npath = '/app.db'\n\
             points = ['all for 1h']\n[database.other]\npath = '/other.db'\n",
        )
        .unwrap();
        let horizon = |name: &str| config.points_of(name).unwrap().horizon().as_secs();
        assert_eq!((horizon("main"), horizon("other")), (3600, 3 * 86_400));
        let text = toml::to_string(&config).unwrap();
        assert_eq!(parse(&text).unwrap(), config, "{text}");
        let config = parse(
            "[hooks]\nbefore = 'mount /mnt'\ntimeout = '30s'\n[database.main]\npath = '/app.db'\n\
             hooks = { after = ['systemctl', 'start', 'app'], on-failure = 'mail $USER' }\n",
        )
        .unwrap();
        assert_eq!(config.hooks.before, Some(CommandLine::Shell("mount /mnt".to_owned())));
        assert_eq!(
            config.databases["main"].hooks.after.as_ref().unwrap().to_string(),
            "systemctl start app"
        );
        let text = toml::to_string(&config).unwrap();
        assert_eq!(parse(&text).unwrap(), config, "{text}");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let cases = [
            (
                "[repositry.local]\nurl = 'x'",
                1,
                "unknown key `repositry`; did you mean `repository`?",
            ),
            (
                "[repository.a]\nurl = 'x'\npasword-file = 'x'",
                3,
                "unknown key `repository.a.pasword-file`; did you mean `password-file`?",
            ),
            (
                "\n[database.a]\nfoo = 1",
                3,
                "unknown key `database.a.foo`; valid keys are `path`, `replicate`, `points`, `keep`, `hooks`",
            ),
            ("\n[database.a]\n", 2, "missing field `path`"),
            ("[database.a]\npath = 7", 2, "invalid type: integer `7`, expected a string"),
            (
                "[database.a]\n# not ${THIS}\npath = '${NOWHERE}'",
                3,
                "the variable NOWHERE is not set",
            ),
            ("[database.a]\npath = '${NOWHERE'", 2, "a `${` is not closed"),
            (
                "[database.a]\npath = 'x'\nkeep = { dayly = 1 }",
                3,
                "unknown key `database.a.keep.dayly`; did you mean `daily`?",
            ),
            ("[database.a]\npath = 'x'\nkeep = 5", 3, "`database.a.keep` must be rules: { daily"),
            (
                "[database.a]\npath = 'x'\nkeep = 'last five'",
                3,
                "expected rules like \"last 5\", \"30 days\", \"7/4/12\" (days/weeks/months) or \"all\"",
            ),
            ("[type.full]\n", 1, "missing field `keep`"),
            (
                "[points]\nladder = ['all for 1h', '30s for 1h']",
                2,
                "expected a rung that keeps longer than the one before, found \"30s for 1h\"",
            ),
            (
                "[database.a]\npath = 'x'\npoints = ['all for 1h', 'often']",
                3,
                "expected a rung like \"all for 1h\" or \"30s for 24h\", found \"often\"",
            ),
            ("[points]\nladers = []", 2, "unknown key `points.laders`; did you mean `ladder`?"),
            ("points = 5", 1, "`points` must be a table"),
            ("[hooks]\nafer = 'true'", 2, "unknown key `hooks.afer`; did you mean `after`?"),
            (
                "[database.a]\npath = 'x'\nhooks = { before = 5 }",
                3,
                "expected a command: \"a | b\" for the shell, or [\"a\", \"b\"]",
            ),
            ("[hooks]\nafter = []", 2, "a command may not be empty"),
            ("[hooks]\nbefore = ' '", 2, "a command may not be empty"),
            ("[hooks]\ntimeout = '5'", 2, "expected a time like 1s or 5m"),
            ("[type.full]\nkep = 'all'", 2, "unknown key `type.full.kep`; did you mean `keep`?"),
            (
                "[database.a]\npath = 'x'\nkeep = { daily = -1 }",
                3,
                "invalid value: integer `-1`, expected a number or \"unlimited\"",
            ),
            (
                "[database.a]\npath = 'x'\nkeep = { within = '1w' }",
                3,
                "expected an age like 1y2m3d4h, found \"1w\"",
            ),
            ("a = = 1", 1, ""),
            ("[repository]\nurl = 'x'", 2, "`repository.url` must be a table"),
        ];
        for (text, line, expected) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.problem.starts_with(expected), "{text:?}: {error:?}");
            assert_eq!(error.line, Some(line), "{text:?}: {error:?}");
        }
        let error = parse("[type.Full]\nkeep = 'all'").unwrap_err();
        assert!(
            error.problem.starts_with("[type.Full]: expected a type of a-z, 0-9 and -"),
            "{error:?}"
        );
    }
}
