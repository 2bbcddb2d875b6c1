//! The thread that captures: one loop over all databases, which sleeps until something is due, is
//! noticed or is asked for.

mod asked;
mod finding;
mod keeping;
mod learning;
mod looking;
mod slot;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::asked::Asked;
use self::finding::Kind;
use self::slot::{Lane, Slot};
use super::control::{Control, Conversation};
use super::event::{Event, Events};
use super::message::{Message, Order, Start, Upkeep};
use super::status::DatabaseStatus;
use super::watch::Watch;
use super::{Limits, ReplicateReport, Stop};
use crate::discover::{Discovered, find};
use crate::error::chain;
use crate::{Context, Error, Request, Result, Silent};

/// How long, at the end, is waited for repositories.
const GRACE: Duration = Duration::from_secs(10);

/// The thread that captures.
pub(super) struct Engine<'a> {
    context: &'a Context,
    request: &'a Request,
    limits: Limits,
    events: &'a dyn Events,
    stop: &'a Stop,
    messages: Receiver<Message>,
    /// `None` at the end.
    starter: Option<Sender<Start>>,
    uploaders: Vec<Sender<Order>>,
    /// `None` at the end, and where nothing is kept short.
    keeper: Option<Sender<Upkeep>>,
    control: Control,
    watch: Watch,
    databases: Vec<Slot>,
    repositories: Vec<Lane>,
    /// Databases by the paths of their files.
    paths: HashMap<PathBuf, (usize, Kind)>,
    /// Directories in which databases may appear.
    directories: Vec<PathBuf>,
    /// When to look for new databases.
    find_again: Option<Instant>,
    save_next: Instant,
    asked: Vec<Asked>,
    /// Asked for, before it could be done.
    early: Vec<(String, String, Conversation)>,
    /// Every database is captured once, and that is it.
    once: bool,
}

/// What the engine works with.
pub(super) struct Parts<'a> {
    pub(super) context: &'a Context,
    pub(super) request: &'a Request,
    pub(super) once: bool,
    pub(super) limits: Limits,
    pub(super) events: &'a dyn Events,
    pub(super) stop: &'a Stop,
    pub(super) messages: Receiver<Message>,
    pub(super) starter: Sender<Start>,
    pub(super) uploaders: Vec<Sender<Order>>,
    pub(super) keeper: Option<Sender<Upkeep>>,
    /// Where the repositories are.
    pub(super) locations: Vec<String>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(parts: Parts<'a>) -> Result<Self> {
        let locations = parts.locations.into_iter();
        Ok(Self {
            control: Control::open(parts.context.state_path())?,
            watch: Watch::new()?,
            context: parts.context,
            request: parts.request,
            limits: parts.limits,
            events: parts.events,
            stop: parts.stop,
            messages: parts.messages,
            starter: Some(parts.starter),
            uploaders: parts.uploaders,
            keeper: parts.keeper,
            databases: Vec::new(),
            repositories: locations.map(Lane::new).collect(),
            paths: HashMap::new(),
            directories: Vec::new(),
            find_again: None,
            save_next: Instant::now(),
            asked: Vec::new(),
            early: Vec::new(),
            once: parts.once,
        })
    }
}

impl Engine<'_> {
    /// Works until it is told to stop, or, for `once`, until all was captured.
    pub(super) fn run(mut self) -> Result<ReplicateReport> {
        let found = self.find()?;
        let mut problems = Vec::new();
        for failure in &found.failures {
            let error = chain(&failure.error);
            let database = Some(failure.source.as_str());
            self.events.event(&Event::Failing { database, repository: None, error: &error });
            problems.push(error);
        }
        if !found.failures.is_empty() {
            self.find_later();
        }
        found.targets.into_iter().for_each(|target| self.join(target));
        self.watch_directories();
        while !(self.stop.is_set() || self.once && self.is_done()) {
            let now = Instant::now();
            self.begin_due(now);
            self.look_due(now);
            self.save_due(now);
            self.find_due(now);
            self.expire_due(now);
            self.wait();
            self.take_messages();
            self.take_notices();
            self.take_questions();
        }
        self.finish();
        let databases = self.status();
        problems.extend(databases.iter().flat_map(DatabaseStatus::problems));
        Ok(ReplicateReport { problems, databases })
    }

    /// The databases that are meant; none if files are to be watched, and nothing else is.
    fn find(&self) -> Result<Discovered> {
        let is_given = !self.request.sources.is_empty();
        if !is_given && self.context.config().databases.is_empty() {
            let watches = !self.once && self.context.on_change().next().is_some();
            let nothing = Err(Error::nothing_to_replicate());
            return if watches { Ok(Discovered::default()) } else { nothing };
        }
        let found = find(self.context, self.request, &Silent)?;
        if found.targets.is_empty() {
            let first = found.failures.into_iter().next().map(|failure| failure.error);
            return Err(first.unwrap_or_else(Error::nothing_to_replicate));
        }
        Ok(found)
    }

    /// Whether every database was looked at, and every repository that can be reached will get it.
    fn is_done(&self) -> bool {
        self.databases.iter().all(|slot| slot.is_done(&self.repositories))
    }

    /// Sleeps until something is due or comes.
    fn wait(&self) {
        let now = Instant::now();
        let saving = self.is_unsaved().then_some(self.save_next);
        let due = self
            .databases
            .iter()
            .filter_map(|slot| slot.next)
            .chain(saving)
            .chain(self.find_again)
            .chain(self.databases.iter().filter_map(Slot::copies_expire))
            .min();
        let active = self.databases.iter().any(|slot| slot.next.is_some());
        let timeout = due.map(|due| due.saturating_duration_since(now));
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let polled_for = |descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN);
        let wake = &self.stop.wake;
        let mut polled = vec![polled_for(wake.descriptor()), polled_for(self.control.descriptor())];
        // While something is followed, what is noticed can wait for the next look: a busy database
        // would wake this thread at each of its writes.
        if !active {
            polled.push(polled_for(self.watch.descriptor()));
        }
        let _ = poll(&mut polled, timeout.as_ref());
        wake.clear();
    }

    /// Saves everything, and waits until the uploaders have sent what they can.
    fn finish(&mut self) {
        let until = (!self.once).then(|| Instant::now() + GRACE);
        for uploader in &self.uploaders {
            let _ = uploader.send(Order::Finish { until });
        }
        // Both end once nobody can ask them anything any more; their last messages come before.
        self.uploaders.clear();
        self.starter = None;
        self.keeper = None;
        while let Ok(message) = self.messages.recv() {
            self.take(message);
        }
        self.save();
    }
}
