//! Backs files up when they have changed: a thread beside the others, that sleeps while nothing happens.
//!
//! The directories of a source are watched. What was noticed begins a wait: until nothing more comes for a
//! while, or for [`PATIENCE`] at most. Then the source is looked through, and backed up if it is not as it was
//! when that was done last, which the state remembers across starts. Where a directory cannot be watched, the
//! source is looked through every [`LOOK_EVERY`].

mod fingerprint;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lifeboat_files::WalkItem;
use lifeboat_repository::BackupType;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::fingerprint::fingerprint;
use super::Stop;
use super::event::{Event, Events};
use super::wake::Wake;
use super::watch::{Noticed, Watch};
use crate::config::FilesConfig;
use crate::error::chain;
use crate::everywhere::level;
use crate::files::{Attributes, paths, walk};
use crate::{
    BackupRequest, Context, Elsewhere, Error, EverywhereReport, Request, Result, Silent,
    backup_everywhere,
};

/// A source that changes all the time is backed up so often.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where nobody tells of changes.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// So often directories are looked for that nobody watches yet: where new ones still come then, nobody is sure.
const PASSES: usize = 8;
/// After a backup that failed, or that was not wanted.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// The thread.
pub(super) struct OnChange<'a> {
    context: &'a Context,
    events: &'a dyn Events,
    stop: &'a Stop,
    wake: Wake,
    watch: Watch,
    sources: Vec<Watched>,
}

/// A source that is watched.
struct Watched {
    name: String,
    config: FilesConfig,
    directories: HashSet<PathBuf>,
    /// Whether some of its directories cannot be watched.
    blind: bool,
    /// When something was noticed: the first and the last time.
    noticed: Option<(Instant, Instant)>,
    /// When it is looked at whatever is noticed.
    look_at: Option<Instant>,
    failing: bool,
    /// Whether some repository lacks what others have of it.
    lagging: bool,
}

impl<'a> OnChange<'a> {
    /// `wake` is rung when the replication has ended.
    pub(super) fn new(
        context: &'a Context,
        events: &'a dyn Events,
        stop: &'a Stop,
        wake: Wake,
    ) -> Result<Self> {
        let sources = context.on_change().map(|(name, config)| Watched {
            name,
            config,
            directories: HashSet::new(),
            blind: false,
            noticed: None,
            look_at: Some(Instant::now()),
            failing: false,
            lagging: false,
        });
        let (sources, watch) = (sources.collect(), Watch::new()?);
        Ok(Self { context, events, stop, wake, watch, sources })
    }

    /// Works until the replication is told to stop.
    pub(super) fn run(mut self) {
        while !self.stop.is_set() {
            let now = Instant::now();
            for number in 0..self.sources.len() {
                if self.sources[number].due().is_some_and(|due| due <= now) {
                    self.settle(number);
                }
            }
            self.wait();
            self.notice();
        }
    }

    fn wait(&self) {
        let now = Instant::now();
        let due = self.sources.iter().filter_map(Watched::due).min();
        let timeout = due.map(|due| due.saturating_duration_since(now));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let polled_for = |descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
        let mut polled = [polled_for(self.wake.descriptor()), polled_for(self.watch.descriptor())];
        // A signal wakes it too, which does no harm.
        let _ = poll(&mut polled, timeout.as_ref());
        self.wake.clear();
    }

    fn notice(&mut self) {
        let now = Instant::now();
        for noticed in self.watch.read() {
            for source in &mut self.sources {
                if source.holds(&noticed) {
                    let first = source.noticed.map_or(now, |(first, _)| first);
                    source.noticed = Some((first, now));
                }
            }
        }
    }

    /// Backs a source up, if it is not as it was.
    fn settle(&mut self, number: usize) {
        let source = &mut self.sources[number];
        source.noticed = None;
        // First, so that what changes after it was looked at is noticed.
        source.watch(self.context, &mut self.watch);
        source.look_at = source.blind.then(|| Instant::now() + LOOK_EVERY);
        let done = back_up(self.context, source, self.events);
        let (database, repository) = (Some(source.name.as_str()), None);
        match done {
            Ok(()) if source.failing => {
                source.failing = false;
                self.events.event(&Event::Working { database, repository });
            }
            Ok(()) => {}
            // Nothing has failed: the owner said that now is no time for it.
            Err(Error::Skipped) => source.look_at = Some(Instant::now() + TRY_AGAIN),
            Err(error) => {
                let error = chain(&error);
                if !source.failing {
                    self.events.event(&Event::Failing { database, repository, error: &error });
                }
                source.failing = true;
                source.look_at = Some(Instant::now() + TRY_AGAIN);
            }
        }
    }
}

impl Watched {
    /// When it is to be looked at.
    fn due(&self) -> Option<Instant> {
        let quiet =
            self.noticed.map(|(first, last)| (last + self.config.debounce()).min(first + PATIENCE));
        quiet.into_iter().chain(self.look_at).min()
    }

    fn holds(&self, noticed: &Noticed) -> bool {
        match noticed {
            Noticed::Written(path) | Noticed::Named(path) => {
                path.parent().is_some_and(|parent| self.directories.contains(parent))
            }
            Noticed::Gone(path) => self.directories.contains(path),
            Noticed::Anything => true,
        }
    }

    /// Watches all its directories, and those that its paths lie in. A directory may come after the one that it is
    /// in was looked through and before that is watched, so this is done until none has come.
    fn watch(&mut self, context: &Context, watch: &mut Watch) {
        for _ in 0..PASSES {
            let found = self.found(context);
            self.blind = found.is_err();
            let found = found.unwrap_or_default();
            let is_new = found.iter().any(|directory| !self.directories.contains(directory));
            self.directories = found;
            for directory in &self.directories {
                self.blind |= !watch.add(directory);
            }
            if !is_new {
                return;
            }
        }
        self.blind = true;
    }

    /// The directories that there are.
    fn found(&self, context: &Context) -> Result<HashSet<PathBuf>> {
        let named = paths(&self.config);
        let above = named.iter().filter_map(|path| path.parent()).map(Into::into);
        let mut directories: HashSet<PathBuf> = above.collect();
        for item in walk(context, &self.config, Attributes::Leave, None)? {
            if let WalkItem::Enter(entry) = item
                && named.iter().any(|path| entry.path.starts_with(path))
            {
                directories.insert(entry.path);
            }
        }
        Ok(directories)
    }
}

/// Backs a source up to every repository, if it is not as it was when that was done last. A repository that
/// could not be reached then gets it when it can be.
fn back_up(context: &Context, source: &mut Watched, events: &dyn Events) -> Result<()> {
    let found = fingerprint(context, &source.config)?;
    let known = context.state().files(&source.name).ok().flatten();
    let is_known = known.is_some_and(|known| known.on_change.as_ref() == Some(&found));
    if is_known && !source.lagging {
        return Ok(());
    }
    let others = if is_known {
        level(context, &Silent)?
    } else {
        let others = back_up_now(context, &source.name, events)?;
        let mut state = context.state().files(&source.name)?.unwrap_or_default();
        state.on_change = Some(found);
        context.state().remember_files(&state)?;
        others
    };
    source.lagging = !others.iter().all(Elsewhere::is_complete);
    for Elsewhere { outcome, .. } in others {
        let brought = outcome?;
        for backup in &brought.copied {
            let (backup, repository) = (backup.id, brought.location.as_str());
            events.event(&Event::BackedUp { source: &source.name, repository, backup });
        }
        if let Some(failure) = brought.failures.into_iter().next() {
            return Err(failure.error);
        }
    }
    Ok(())
}

/// Makes the backup; what became of the other repositories.
fn back_up_now(context: &Context, source: &str, events: &dyn Events) -> Result<Vec<Elsewhere>> {
    let request = BackupRequest {
        sources: Request::of(vec![source.to_owned()]),
        backup_type: Some("config".parse::<BackupType>()?),
        ..BackupRequest::default()
    };
    let EverywhereReport { backup: report, others, .. } =
        backup_everywhere(context, &request, &Silent)?;
    if let Some(failure) = report.failures.into_iter().next() {
        return Err(failure.error);
    }
    let (repository, backup) = (report.location.as_str(), report.manifest.id);
    events.event(&Event::BackedUp { source, repository, backup });
    Ok(others)
}

impl Context {
    /// The files that are backed up when they change.
    pub(super) fn on_change(&self) -> impl Iterator<Item = (String, FilesConfig)> {
        let directory = self.environment().working_directory();
        let files = self.config().files.iter().filter(|(_, files)| files.on_change);
        files.map(|(name, files)| {
            let paths = files.paths.iter().map(|path| directory.join(path)).collect();
            (name.clone(), FilesConfig { paths, ..files.clone() })
        })
    }
}

impl Error {
    /// Whether the replication has nothing to do.
    pub(super) fn nothing_to_replicate() -> Self {
        Self::usage(
            "nothing to replicate",
            "name a database: lifeboat replicate PATH, or put [database.NAME] into lifeboat.toml",
        )
    }
}
