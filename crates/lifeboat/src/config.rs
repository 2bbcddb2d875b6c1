//! `lifeboat.toml`.

mod expand;
mod hooks;
mod keys;
mod quantity;
mod rate;
mod secret;
mod sources;
mod store;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lifeboat_repository::{KeepRules, Ladder};
use serde::{Deserialize, Serialize};

pub use self::hooks::{CommandLine, HooksConfig};
pub use self::quantity::{ByteLimit, Interval};
pub use self::rate::RateTable;
pub use self::secret::ConfigSecret;
pub use self::sources::{CommandConfig, DeviceConfig, FilesConfig, Preset};
pub use self::store::{ObjectLockConfig, ObjectLockMode, StoreConfig};

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
    /// Files by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FilesConfig>,
    /// Commands by name.
    #[serde(default, rename = "command", skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<String, CommandConfig>,
    /// Devices by name.
    #[serde(default, rename = "device", skip_serializing_if = "BTreeMap::is_empty")]
    pub devices: BTreeMap<String, DeviceConfig>,
}

/// `[repository.NAME]`
///
/// Unknown keys are refused by `keys`: serde cannot, beside a flattened member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepositoryConfig {
    /// Where it is: a path, or a URL.
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
    /// Nothing in it is removed by this host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append_only: bool,
    /// How it is reached.
    #[serde(flatten)]
    pub store: StoreConfig,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<KeepRules>,
    /// The sources of a backup of this type that names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
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
        let databases = self.databases.values().map(|one| &one.hooks);
        let files = self.files.values().map(|one| &one.hooks);
        let commands = self.commands.values().map(|one| &one.hooks);
        let devices = self.devices.values().map(|one| &one.hooks);
        let mut of_sources = databases.chain(files).chain(commands).chain(devices);
        self.hooks.is_default() && of_sources.all(HooksConfig::is_default)
    }

    /// What is run around a source.
    pub(crate) fn hooks_of(&self, source: &str) -> Option<&HooksConfig> {
        let database = self.databases.get(source).map(|one| &one.hooks);
        let files = self.files.get(source).map(|one| &one.hooks);
        let command = self.commands.get(source).map(|one| &one.hooks);
        let device = self.devices.get(source).map(|one| &one.hooks);
        database.or(files).or(command).or(device)
    }

    /// In which backups a source stays, where that is configured for it.
    pub(crate) fn keep_of(&self, source: &str) -> Option<&KeepRules> {
        let database = self.databases.get(source).and_then(|one| one.keep.as_ref());
        let files = self.files.get(source).and_then(|one| one.keep.as_ref());
        let command = self.commands.get(source).and_then(|one| one.keep.as_ref());
        let device = self.devices.get(source).and_then(|one| one.keep.as_ref());
        database.or(files).or(command).or(device)
    }

    /// The names of all sources, each with its kind.
    pub(crate) fn source_names(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let databases = self.databases.keys().map(|name| ("database", name));
        let files = self.files.keys().map(|name| ("files", name));
        let commands = self.commands.keys().map(|name| ("command", name));
        let devices = self.devices.keys().map(|name| ("device", name));
        databases.chain(files).chain(commands).chain(devices)
    }

    /// The sources of a backup of a type that names none: those that `[type.NAME]` lists. Else, `config` means
    /// the files that are backed up when they change, and those that are called so; `incremental` all but these and
    /// devices; any other type means all. Where there are databases alone, every type does.
    pub(crate) fn sources_of_type(&self, backup_type: &str) -> Vec<String> {
        if let Some(listed) = self.types.get(backup_type).and_then(|one| one.sources.as_ref()) {
            return listed.clone();
        }
        let is_config = |name: &str| {
            self.files.get(name).is_some_and(|files| files.on_change || name == "config")
        };
        let only_databases = self.source_names().all(|(kind, _)| kind == "database");
        let belongs = |kind: &str, name: &str| match backup_type {
            _ if only_databases => true,
            "config" => is_config(name),
            "incremental" => !is_config(name) && kind != "device",
            _ => true,
        };
        let all = self.source_names().filter(|(kind, name)| belongs(kind, name));
        all.map(|(_, name)| name.clone()).collect()
    }

    /// What its parts by themselves do not show to be wrong.
    fn require_sound(&self) -> Result<(), String> {
        let mut kinds = BTreeMap::new();
        for (kind, name) in self.source_names() {
            if let Some(other) = kinds.insert(name, kind) {
                return Err(format!(
                    "[{other}.{name}] and [{kind}.{name}]: two sources cannot have one name"
                ));
            }
        }
        for (name, files) in &self.files {
            if let Some(problem) = files.problem() {
                return Err(format!("[files.{name}]: {problem}"));
            }
        }
        for (name, of_type) in &self.types {
            let unknown = |source: &&String| !kinds.contains_key(*source);
            if let Some(unknown) = of_type.sources.iter().flatten().find(unknown) {
                return Err(format!("[type.{name}]: there is no source {unknown}"));
            }
        }
        Ok(())
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
        keys::check(&table).map_err(|problem| ConfigProblem {
            line: place().or_else(|| line_of_unknown_key(text, &problem)),
            problem,
        })?;
        for (_, value) in &mut table {
            expand::expand(value, environment).map_err(|problem| ConfigProblem {
                line: expand::line_of_problem(text, environment),
                problem,
            })?;
        }
        take_s3(&mut table).map_err(|problem| ConfigProblem { line: None, problem })?;
        let config: Self = table.try_into().map_err(|error: toml::de::Error| ConfigProblem {
            line: place(),
            problem: error.message().to_owned(),
        })?;
        let unsound = |problem| ConfigProblem { line: None, problem };
        config.require_sound().map_err(unsound)?;
        Ok(config)
    }
}

/// The line of the key that a problem names, where no other key is called so.
fn line_of_unknown_key(text: &str, problem: &str) -> Option<usize> {
    let path = problem.strip_prefix("unknown key `")?.split('`').next()?;
    let key = path.rsplit('.').next()?;
    let is_it = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| is_it(line));
    let (number, _) = lines.next()?;
    lines.next().is_none().then_some(number)
}

/// Makes the repository `s3` of a table `[s3]`, which names a bucket in place of a URL.
fn take_s3(table: &mut toml::Table) -> Result<(), String> {
    let Some(s3) = table.remove("s3") else { return Ok(()) };
    let toml::Value::Table(mut s3) = s3 else { return Err("`s3` must be a table".to_owned()) };
    let mut text = |key: &str| match s3.remove(key) {
        None => Ok(String::new()),
        Some(toml::Value::String(text)) => Ok(text.trim_matches('/').to_owned()),
        Some(_) => Err(format!("`s3.{key}` must be a text")),
    };
    let (bucket, prefix) = (text("bucket")?, text("prefix")?);
    if bucket.is_empty() {
        return Err("[s3] names no bucket".to_owned());
    }
    let url = format!("s3://{bucket}/{prefix}").trim_end_matches('/').to_owned();
    s3.insert("url".to_owned(), url.into());
    let repositories = table.entry("repository").or_insert_with(|| toml::Table::new().into());
    match repositories.as_table_mut().map(|all| all.insert("s3".to_owned(), s3.into())) {
        Some(None) => Ok(()),
        Some(Some(_)) => Err("[s3] and [repository.s3]: one of both".to_owned()),
        None => Err("`repository` must be a table".to_owned()),
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
        assert_eq!(config.types["full"].keep.as_ref().unwrap().last, Limit::Newest(5));
        assert!(config.types["config"].keep.as_ref().unwrap().is_empty());
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
    fn reads_how_stores_are_reached() {
        let text = "[s3]\nbucket = 'pisovereign-backups'\nregion = 'eu-central-1'\nprefix = '/pi4/'\n\
             endpoint = 'https://s3.example'\nsecret-key = 'hidden'\naccess-key = 'id'\n\
             object-lock = { mode = 'compliance', days = 30 }\n[repository.pi5]\nappend-only = true\n\
             url = 'sftp://pi@pi5/backups'\nupload-limit = '08:00,512K 23:00,off'\n[database.main]\npath = '/a.db'\n";
        let config = parse(text).unwrap();
        let s3 = &config.repositories["s3"];
        assert_eq!(s3.url, "s3://pisovereign-backups/pi4");
        assert_eq!(s3.store.region.as_deref(), Some("eu-central-1"));
        assert_eq!(s3.store.secret_key.as_ref().unwrap().expose(), "hidden");
        assert_eq!(s3.store.object_lock.unwrap().days, 30);
        assert!(config.repositories["pi5"].append_only && !s3.append_only);
        let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("hidden") && shown.contains("512K"), "{shown}");
        for (wrong, problem) in [
            ("[s3]\nregion = 'x'\n", "no bucket"),
            ("[s3]\nbukket = 'x'\n", "did you mean `bucket`"),
            ("[s3]\nbucket = 'x'\n[repository.s3]\nurl = '/x'\n", "one of both"),
            ("[repository.a]\nurl = '/x'\nupload-limit = 'fast'\n", "expected a rate"),
            ("[repository.a]\nurl = '/x'\nregio = 'x'\n", "did you mean `region`"),
            ("[repository.a]\nregion = 'x'\n", "missing field `url`"),
        ] {
            let found = parse(wrong).unwrap_err().problem;
            assert!(found.contains(problem), "{wrong}: {found}");
        }
    }

    #[test]
    fn reads_files_commands_and_devices() {
        let text = "[files.etc]\npaths = ['/etc/app', '${HOME}/x']\nexclude = ['*.tmp', '!keep.tmp']\non-change = true\n\
             exclude-larger-than = '1GiB'\nexclude-if-present = ['.nobackup']\nkeep = 'last 5'\ndebounce = '1s'\n\
             [files.all]\npreset = 'system'\ndatabases = false\none-file-system = true\n\
             [command.vault]\nrun = ['vault', 'snapshot']\nfile-name = 'vault.snap'\ntimeout = '10m'\n\
             environment = { ADDRESS = 'here' }\n[device.card]\npath = '/dev/mmcblk0'\n\
             [database.main]\npath = '/app.db'\n[type.weekly]\nsources = ['card', 'main']\n";
        let config = parse(text).unwrap();
        assert_eq!(config.files["etc"].paths[1].to_str(), Some("/home/pi/x"));
        assert_eq!(config.keep_of("etc").unwrap().last, Limit::Newest(5));
        assert_eq!(config.commands["vault"].run.to_string(), "vault snapshot");
        let sources = |of| config.sources_of_type(of);
        assert_eq!(sources("full"), ["main", "all", "etc", "vault", "card"]);
        assert_eq!(sources("config"), ["etc"]);
        assert_eq!(sources("incremental"), ["main", "all", "vault"]);
        assert_eq!(sources("weekly"), ["card", "main"]);
        let text = toml::to_string(&config).unwrap();
        assert_eq!(parse(&text).unwrap(), config, "{text}");
    }

    #[test]
    fn what_its_parts_do_not_show_to_be_wrong_is_refused() {
        for (text, expected) in [
            ("[files.a]\n", "[files.a]: it needs `paths` or a `preset`"),
            (
                "[files.a]\npaths = ['/']\npreset = 'system'\n",
                "[files.a]: `paths` and `preset` exclude",
            ),
            (
                "[database.a]\npath = '/x'\n[files.a]\npaths = ['/']\n",
                "[database.a] and [files.a]: two sources cannot have one name",
            ),
            ("[type.x]\nsources = ['b']\n", "[type.x]: there is no source b"),
            ("[files.a]\npath = ['/']\n", "unknown key `files.a.path`; did you mean `paths`?"),
            ("[command.a]\nfile-name = 'x'\n", "missing field `run`"),
            ("[files.a]\npreset = 'all'\n", "unknown variant `all`, expected `system`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.problem.starts_with(expected), "{text:?}: {error:?}");
        }
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
