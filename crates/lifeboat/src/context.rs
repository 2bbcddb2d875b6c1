//! What every operation works with: environment, configuration, state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_storage::Storage;

use crate::location::Location;
use crate::opened::OpenRepository;
use crate::password::PasswordSource;
use crate::state::{Host, StateDirectory, hostname};
use crate::{Config, ConfigFile, Environment, Error, Note, Progress, Result};

/// What the command line says over configuration and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// A URL, or a name of the configuration.
    pub repository: Option<String>,
    /// Where the password comes from.
    pub password: Option<PasswordSource>,
    /// The configuration file.
    pub config: Option<PathBuf>,
}

/// The application with its configuration and state.
#[derive(Debug)]
pub struct Context {
    environment: Environment,
    config: ConfigFile,
    state: StateDirectory,
    host: Host,
    overrides: Overrides,
    /// Between the application and its storage; for tests.
    between: Option<Between>,
}

/// What tests put between the application and its storage.
type Between = fn(Arc<dyn Storage>) -> Arc<dyn Storage>;

/// Which repository is meant, and how its password is found.
struct Chosen {
    location: Location,
    password: Option<PasswordSource>,
    /// Neither named nor configured: made at first use.
    is_default: bool,
}

impl Context {
    /// Reads the configuration and opens the state directory.
    pub fn load(environment: Environment, overrides: Overrides) -> Result<Self> {
        lifeboat_sqlite::check_engine()?;
        let config = ConfigFile::load(overrides.config.as_deref(), &environment)?;
        let state = StateDirectory::open(&environment.state_directory())?;
        let host = state.host()?;
        Ok(Self { environment, config, state, host, overrides, between: None })
    }

    /// Puts something between the application and every storage it opens. For tests, which need a
    /// storage that fails or kills the process at a certain operation.
    #[doc(hidden)]
    #[must_use]
    pub fn with_storage_between(mut self, between: Between) -> Self {
        self.between = Some(between);
        self
    }

    fn wrap(&self, storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
        match self.between {
            Some(between) => between(storage),
            None => storage,
        }
    }

    /// The environment.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config.config
    }

    /// The configuration and its file.
    pub fn config_file(&self) -> &ConfigFile {
        &self.config
    }

    /// The state directory.
    pub fn state_path(&self) -> &Path {
        self.state.path()
    }

    /// The name of this host in repositories.
    pub fn host_name(&self) -> String {
        self.config().host.clone().unwrap_or_else(|| self.host.default_name())
    }

    /// What the machine calls itself.
    pub fn hostname(&self) -> String {
        hostname()
    }

    pub(crate) fn state(&self) -> &StateDirectory {
        &self.state
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Whether a directory is the state directory or the repository in use: what lies there is no
    /// source.
    pub(crate) fn is_ours(&self, directory: &Path) -> bool {
        let same = |other: &Path| matches!((directory.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b);
        same(self.state.path()) || self.chosen().is_ok_and(|chosen| same(chosen.location.path()))
    }

    /// The default password file.
    pub fn default_password_file(&self) -> PathBuf {
        self.environment.config_directory().join("password")
    }

    /// Where the chosen repository is, for messages.
    pub fn repository_location(&self) -> Result<PathBuf> {
        Ok(self.chosen()?.location.path().to_owned())
    }

    fn default_repository(&self) -> PathBuf {
        self.environment.data_directory().join("repository")
    }

    fn chosen(&self) -> Result<Chosen> {
        let directory = self.environment.working_directory();
        let given =
            self.overrides.repository.as_deref().or_else(|| self.environment.setting("REPOSITORY"));
        let configured = &self.config().repositories;
        let (url, entry) = match given {
            Some(given) => match configured.get(given) {
                Some(entry) => (entry.url.clone(), Some(entry)),
                None => (given.to_owned(), configured.values().find(|entry| entry.url == given)),
            },
            None => match configured.values().collect::<Vec<_>>().as_slice() {
                [] => (self.default_repository().display().to_string(), None),
                [entry] => (entry.url.clone(), Some(*entry)),
                _ => {
                    let names: Vec<_> = configured.keys().map(String::as_str).collect();
                    return Err(Error::usage(
                        "several repositories are configured",
                        format!("choose one with --repository: {}", names.join(", ")),
                    ));
                }
            },
        };
        let of_config = entry.and_then(|entry| {
            let file = entry.password_file.clone().map(PasswordSource::File);
            file.or_else(|| entry.password_command.clone().map(PasswordSource::Command))
        });
        let password = self
            .overrides
            .password
            .clone()
            .or_else(|| PasswordSource::of_environment(&self.environment))
            .or(of_config)
            .or_else(|| {
                let file = self.default_password_file();
                file.exists().then_some(PasswordSource::File(file))
            });
        let is_default = given.is_none() && configured.is_empty();
        let location = Location::parse(&url, directory)?;
        Ok(Chosen { location, password, is_default })
    }

    /// Opens the repository, which must be there.
    pub fn open_repository(&self) -> Result<OpenRepository<'_>> {
        let chosen = self.chosen()?;
        OpenRepository::open(self, self.wrap(chosen.location.open()?), chosen.password)
    }

    /// Opens the repository; the default one is made if it is not there.
    pub fn open_or_make_repository(&self, progress: &dyn Progress) -> Result<OpenRepository<'_>> {
        let chosen = self.chosen()?;
        let missing = |error: &Error| {
            matches!(error, Error::Repository(lifeboat_repository::Error::NoRepository { .. }))
        };
        let opened = chosen
            .location
            .open()
            .and_then(|storage| OpenRepository::open(self, self.wrap(storage), chosen.password));
        match opened {
            Err(error) if chosen.is_default && missing(&error) => self.init(progress),
            opened => {
                let opened = opened?;
                chosen.location.sweep()?;
                Ok(opened)
            }
        }
    }

    /// Makes the repository. Without a password one is generated into the default password file.
    pub fn init(&self, progress: &dyn Progress) -> Result<OpenRepository<'_>> {
        let Chosen { location, password, .. } = self.chosen()?;
        let storage = self.wrap(location.create()?);
        let password = match password {
            Some(password) => password,
            None => {
                let path = self.default_password_file();
                crate::password::generate(&path)?;
                progress.note(&Note::PasswordMade { path: path.clone() });
                PasswordSource::File(path)
            }
        };
        let label = format!("{} on {}", whoami(&self.environment), hostname());
        lifeboat_repository::Repository::init(storage.clone(), &password.get()?, &label)?;
        let opened = OpenRepository::open(self, storage, Some(password))?;
        progress.note(&Note::RepositoryMade { location: opened.repository().location() });
        Ok(opened)
    }
}

fn whoami(environment: &Environment) -> String {
    environment.text("USER").unwrap_or("root").to_owned()
}
