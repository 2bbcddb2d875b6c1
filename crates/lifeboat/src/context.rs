//! What every operation works with: environment, configuration, state.

mod choice;
mod init;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lifeboat_repository::Ladder;
use lifeboat_storage::Storage;

pub(crate) use self::choice::{Access, Chosen};
use crate::config::StoreConfig;
use crate::credential::KeySource;
use crate::held_locks::HeldLocks;
use crate::hooks::PendingHooks;
use crate::location::local_path;
use crate::opened::OpenRepository;
use crate::replicate::Pace;
use crate::state::{Host, StateDirectory, hostname};
use crate::threads::joined;
use crate::{Config, ConfigFile, Environment, Error, Progress, Result};

/// What the command line says over configuration and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// A URL, or a name of the configuration.
    pub repository: Option<String>,
    /// Where the password, or the person's key, comes from.
    pub key: Option<KeySource>,
    /// The age recipient that the repository must have.
    pub recipient: Option<String>,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// How the repository is reached: endpoint, region and keys.
    pub store: StoreConfig,
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
    /// Another size of parts than the format's; for tests.
    part_bytes: Option<u64>,
    /// When passes are made; for tests.
    pace: Pace,
    pending_hooks: PendingHooks,
    held_locks: HeldLocks,
}

/// What tests put between the application and its storage.
type Between = fn(Arc<dyn Storage>) -> Arc<dyn Storage>;

impl Context {
    /// Reads the configuration and opens the state directory.
    pub fn load(environment: Environment, overrides: Overrides) -> Result<Self> {
        lifeboat_sqlite::check_engine()?;
        let config = ConfigFile::load(overrides.config.as_deref(), &environment)?;
        let state = StateDirectory::open(&environment.state_directory())?;
        let host = state.host()?;
        Ok(Self::with(environment, overrides, config, state, host))
    }

    /// Reads the configuration, for looking alone: no state directory is made, and a host without identity gets
    /// none.
    pub fn for_looking(environment: Environment, overrides: Overrides) -> Result<Self> {
        lifeboat_sqlite::check_engine()?;
        let config = ConfigFile::load(overrides.config.as_deref(), &environment)?;
        let state = StateDirectory::at(&environment.state_directory());
        let host = state.known_host()?.map_or_else(Host::passing, Ok)?;
        Ok(Self::with(environment, overrides, config, state, host))
    }

    /// The same with a configuration that was read, whatever is wrong with the identity: that is for `doctor` to
    /// tell.
    pub(crate) fn look(
        environment: Environment,
        overrides: Overrides,
        config: ConfigFile,
    ) -> Result<Self> {
        let state = StateDirectory::at(&environment.state_directory());
        let host = state.known_host().ok().flatten().map_or_else(Host::passing, Ok)?;
        Ok(Self::with(environment, overrides, config, state, host))
    }

    fn with(
        environment: Environment,
        overrides: Overrides,
        config: ConfigFile,
        state: StateDirectory,
        host: Host,
    ) -> Self {
        let (between, part_bytes, pace) = (None, None, Pace::default());
        let (pending_hooks, held_locks) = (PendingHooks::default(), HeldLocks::default());
        Self {
            environment,
            config,
            state,
            host,
            overrides,
            between,
            part_bytes,
            pace,
            pending_hooks,
            held_locks,
        }
    }

    /// Puts something between the application and every storage it opens. For tests, which need a
    /// storage that fails or kills the process at a certain operation.
    #[doc(hidden)]
    #[must_use]
    pub fn with_storage_between(mut self, between: Between) -> Self {
        self.between = Some(between);
        self
    }

    /// Cuts sealed files into parts of another size. For tests, whose databases are small.
    #[doc(hidden)]
    #[must_use]
    pub fn with_part_bytes(mut self, part_bytes: u64) -> Self {
        self.part_bytes = Some(part_bytes);
        self
    }

    /// Makes passes at other times, and removes after another grace period. For tests, which do not last for
    /// days.
    #[doc(hidden)]
    #[must_use]
    pub fn with_passes(mut self, first: Duration, every: Duration, grace: Duration) -> Self {
        self.pace = Pace { first, every, grace };
        self
    }

    /// Keeps points by another ladder than the configuration says. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_ladder(mut self, ladder: Ladder) -> Self {
        self.config.config.points.ladder = Some(ladder);
        self
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// How long the points of a database of this host stay.
    pub(crate) fn ladder_of(&self, database: &str) -> Ladder {
        self.config().points_of(database).cloned().unwrap_or_default()
    }

    /// The `after` hooks that are still to run: whoever ends the program early runs them.
    pub fn pending_hooks(&self) -> &PendingHooks {
        &self.pending_hooks
    }

    /// The locks that are held: whoever ends the program early gives them back.
    pub fn held_locks(&self) -> &HeldLocks {
        &self.held_locks
    }

    pub(crate) fn part_bytes(&self) -> Option<u64> {
        self.part_bytes
    }

    pub(crate) fn wrap(&self, storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
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

    /// Whether a directory is the state directory or a repository: what lies there is no source.
    pub(crate) fn is_ours(&self, directory: &Path) -> bool {
        let same = |other: &Path| matches!((directory.canonicalize(), other.canonicalize()), (Ok(a), Ok(b)) if a == b);
        self.own_directories().iter().any(|own| same(own))
    }

    /// The directories of Lifeboat on this machine: what lies there is in no backup.
    pub(crate) fn own_directories(&self) -> Vec<PathBuf> {
        let directory = self.environment.working_directory();
        let configured = self.config().repositories.values();
        let configured = configured.filter_map(|one| local_path(&one.url, directory).ok());
        let chosen = self.every_chosen().into_iter().flatten();
        let chosen = chosen.filter_map(|one| one.location.local_path().map(Path::to_owned));
        chosen.chain(configured).chain([self.state.path().to_owned()]).collect()
    }

    /// The default password file.
    pub fn default_password_file(&self) -> PathBuf {
        self.environment.config_directory().join("password")
    }

    /// Where the chosen repository is, for messages.
    pub fn repository_location(&self) -> Result<String> {
        Ok(self.chosen()?.location.to_string())
    }

    /// The repositories that are meant, by their numbers; a default one is made if it is not there.
    ///
    /// One that cannot be reached now may be reached later. But if there is none at all where each of
    /// them should be, and none of them was ever used, that is an error.
    pub(crate) fn make_repositories(&self, progress: &dyn Progress) -> Result<Vec<Chosen>> {
        let chosen = self.every_chosen().into_iter().collect::<Result<Vec<_>>>()?;
        let mut missing = None;
        for (number, one) in chosen.iter().enumerate() {
            let opened = if one.is_default {
                self.open_or_make_repository(progress)
            } else {
                self.open_one_of_several(number)
            };
            match opened {
                Err(error) if error.is_no_repository() => {
                    let location = one.location.to_string();
                    if self.state.has_used(&location)? {
                        return Ok(chosen);
                    }
                    missing = missing.or(Some(error));
                }
                Err(_) => return Ok(chosen),
                Ok(opened) => {
                    opened.note_first_use(progress)?;
                    return Ok(chosen);
                }
            }
        }
        missing.map_or(Ok(chosen), Err)
    }

    /// Opens one of the repositories that are meant.
    pub(crate) fn open_one_of_several(&self, number: usize) -> Result<OpenRepository<'_>> {
        let Some(chosen) = self.every_chosen().into_iter().nth(number) else {
            return Err(Error::usage("no such repository", "name one with --repository"));
        };
        self.open_chosen(chosen?)
    }

    fn open_chosen(&self, chosen: Chosen) -> Result<OpenRepository<'_>> {
        let storage = self.wrap(chosen.open()?);
        OpenRepository::open(self, storage, chosen)
    }

    /// Opens a repository to write to it.
    pub(crate) fn open_to_write(
        &self,
        chosen: Chosen,
        progress: &dyn Progress,
    ) -> Result<OpenRepository<'_>> {
        let opened = self.open_chosen(chosen)?;
        opened.repository().require_writable()?;
        opened.note_first_use(progress)?;
        opened.sweep(crate::GRACE)?;
        Ok(opened)
    }

    /// Opens a second repository, by URL or name, to copy to it. It must be there.
    ///
    /// [`Error::NoTarget`] if it is not.
    pub fn open_target(
        &self,
        to: &str,
        key: Option<KeySource>,
        progress: &dyn Progress,
    ) -> Result<OpenRepository<'_>> {
        let chosen = self.choose_target(to, key)?;
        let location = chosen.location.to_string();
        let opened = self.open_chosen(chosen).map_err(|error| {
            if error.is_no_repository() { Error::NoTarget { location } } else { error }
        })?;
        opened.require_writable()?;
        opened.note_first_use(progress)?;
        Ok(opened)
    }

    fn default_repository(&self) -> PathBuf {
        self.environment.data_directory().join("repository")
    }

    /// Whether several repositories are configured, and none is named.
    pub fn has_several_repositories(&self) -> bool {
        self.every_chosen().len() > 1
    }

    /// Opens the repository to read from it, which must be there. Where several are configured and none is
    /// named, the first that can be opened: those of this machine before others.
    pub fn open_repository(&self) -> Result<OpenRepository<'_>> {
        let mut failed = None;
        for chosen in self.in_order() {
            match chosen.and_then(|chosen| self.open_chosen(chosen)) {
                Ok(opened) => return Ok(opened),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(no_repository))
    }

    /// The storage at the one place that is named, or configured: whatever is there.
    pub(crate) fn open_place(&self) -> Result<Arc<dyn Storage>> {
        Ok(self.wrap(self.chosen()?.open()?))
    }

    /// Opens the one repository that is named, or configured.
    ///
    /// [`Error::Usage`] if several are configured, and none is named.
    pub fn open_only_repository(&self) -> Result<OpenRepository<'_>> {
        self.open_chosen(self.chosen()?)
    }

    /// Does something with each of the repositories whose names are meant, in their order. They are opened all at the
    /// same time, so that a silent one is waited for once, and keeps none of those before it waiting.
    pub fn each_repository<'a, T>(
        &'a self,
        is_meant: impl Fn(&str) -> bool,
        mut act: impl FnMut(String, Result<OpenRepository<'a>>) -> T,
    ) -> Vec<T> {
        thread::scope(|scope| {
            let begin = |chosen: Result<Chosen>| {
                let name = chosen.as_ref().map_or("the repository".to_owned(), Chosen::label);
                let open = || chosen.and_then(|chosen| self.open_chosen(chosen));
                is_meant(&name).then(|| (name, scope.spawn(open)))
            };
            let opening: Vec<_> = self.every_chosen().into_iter().filter_map(begin).collect();
            opening.into_iter().map(|(name, thread)| act(name, joined(thread))).collect()
        })
    }

    /// Opens the repository to write to it; the default one is made if it is not there.
    pub fn open_or_make_repository(&self, progress: &dyn Progress) -> Result<OpenRepository<'_>> {
        self.open_or_make(self.chosen()?, progress)
    }

    pub(crate) fn open_or_make(
        &self,
        chosen: Chosen,
        progress: &dyn Progress,
    ) -> Result<OpenRepository<'_>> {
        let is_default = chosen.is_default;
        match self.open_to_write(chosen, progress) {
            Err(error) if is_default && error.is_no_repository() => self.init(progress),
            opened => opened,
        }
    }
}

fn no_repository() -> Error {
    Error::usage("no repository", "name one with --repository")
}
