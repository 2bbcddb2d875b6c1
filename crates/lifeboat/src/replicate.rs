//! Continuous protection: databases are captured every second or so, and each capture is brought to
//! every repository.
//!
//! ```text
//!            engine (one thread)                 uploader (a thread each)
//! database ───► tracker ───► spool ─┬─► queue ───► outbox ───► repository
//!    + WAL       pins      captured └─► queue ───► outbox ───► repository
//!                                                             protected
//! ```
//!
//! *Captured* is durable in the spool, *protected* in a repository. The spool is the one list of what
//! happened; every other file of the state is behind it or with it, never ahead. A repository takes what
//! waits in its order, and falls behind when it is away; what no repository lacks leaves the spool.
//!
//! A third kind of thread, the starter, does what may take long: first captures, and bringing a repository
//! up from whatever it has to the present state, where the spool does not lead there. A fourth, the keeper,
//! merges what is stored and removes what nobody needs. Where files are to be backed up when they change, a
//! fifth does that.

mod captures;
mod control;
mod copies;
mod engine;
mod event;
mod growth;
mod keeper;
mod message;
mod on_change;
mod queue;
mod replica;
mod seal;
mod starter;
mod status;
mod uploader;
mod wake;
mod watch;
mod yielding;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

pub(crate) use control::{NOT_HERE, Question, ask};
pub use event::{Event, Events};
pub(crate) use keeper::Pace;
pub use status::{Activity, DatabaseStatus, LeaseStatus, RepositoryStatus, UpkeepStatus};
pub use yielding::yield_databases;

use self::engine::{Engine, Parts};
use self::keeper::Keeper;
use self::on_change::OnChange;
use self::starter::Starter;
use self::uploader::Uploader;
use self::wake::Wake;
use crate::{ByteLimit, Context, Error, Interval, Progress, Request, Result};

const INTERVAL: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(60);
const WAL_BYTES: u64 = 64 << 20;
const SPOOL_BYTES: u64 = 1 << 30;

/// What to replicate, and how.
#[derive(Debug, Clone)]
pub struct ReplicateRequest {
    /// The databases; in directories, new ones join by themselves.
    pub sources: Request,
    /// How often a database that is written to is captured; `None`: as configured, else every second.
    pub interval: Option<Duration>,
    /// No other host writes any more: take over from the one that holds the lease.
    pub take_over: bool,
    /// Capture what there is now, bring it everywhere, and end.
    pub once: bool,
}

/// Ends a replication from another thread, or from a signal's.
#[derive(Debug, Clone)]
pub struct Stop {
    set: Arc<AtomicBool>,
    wake: Wake,
}

impl Stop {
    /// Nothing is ended yet.
    pub fn new() -> Result<Self> {
        Ok(Self { set: Arc::default(), wake: Wake::new()? })
    }

    /// Ends it: what is captured is saved, and sent if that can be done soon.
    pub fn stop(&self) {
        self.set.store(true, Ordering::Release);
        self.wake.ring();
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }
}

/// The figures by which a replication works.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Between two looks at a database that is written to, as the command line says.
    given_interval: Option<Duration>,
    /// The same, where nothing else is said of a database.
    interval: Duration,
    /// Without a change for so long, a database is let go of until something is noticed.
    idle: Duration,
    /// A WAL above this many bytes is handed over to a checkpoint; `None`: never.
    wal_bytes: Option<u64>,
    /// Above this many bytes of one database, the spool drops what waits for repositories that are away.
    spool_bytes: Option<u64>,
}

/// How a replication ended.
#[derive(Debug)]
pub struct ReplicateReport {
    /// What was not captured, or not brought everywhere.
    pub problems: Vec<String>,
    /// How each database stood at the end.
    pub databases: Vec<DatabaseStatus>,
}

/// Replicates until it is stopped; with `once`, until all is captured and protected.
///
/// What fails is told and tried again. An error is one of the request: no such database, no
/// repository that is configured.
pub fn replicate(
    context: &Context,
    request: &ReplicateRequest,
    stop: &Stop,
    events: &dyn Events,
    progress: &dyn Progress,
) -> Result<ReplicateReport> {
    raise_descriptor_limit();
    let repositories = context.make_repositories(progress)?;
    let (to_engine, messages) = channel();
    let (to_starter, work) = channel();
    let wake = stop.wake.clone();
    let limits = limits(context, request);
    let starter = Starter {
        context,
        repositories: repositories.len(),
        take_over: request.take_over,
        work,
        messages: to_engine.clone(),
        wake: wake.clone(),
        progress,
    };
    std::thread::scope(|scope| {
        let mut uploaders = Vec::new();
        for (number, repository) in repositories.iter().enumerate() {
            let (to_uploader, orders) = channel();
            uploaders.push(to_uploader);
            let uploader = Uploader {
                context,
                repository: number,
                interval: repository.interval,
                take_over: request.take_over,
                orders,
                messages: to_engine.clone(),
                wake: wake.clone(),
            };
            spawn(scope, "upload", move || uploader.run())?;
        }
        spawn(scope, "start", move || starter.run())?;
        // What ends at once keeps nothing for merges.
        let (to_keeper, orders) = (!request.once).then(channel).unzip();
        if let Some(orders) = orders {
            let keeper = Keeper {
                context,
                repositories: repositories.len(),
                pace: context.pace(),
                merges_bytes: limits.spool_bytes.map(|bytes| bytes / 4),
                orders,
                messages: to_engine.clone(),
                wake: wake.clone(),
                stop,
            };
            spawn(scope, "keep", move || keeper.run())?;
        }
        let wake_on_change = Wake::new()?;
        if !request.once && context.on_change().next().is_some() {
            let wake = wake_on_change.clone();
            let on_change = OnChange::new(context, events, stop, wake)?;
            spawn(scope, "on-change", move || on_change.run())?;
        }
        drop(to_engine);
        let parts = Parts {
            context,
            request: &request.sources,
            once: request.once,
            limits,
            events,
            stop,
            messages,
            starter: to_starter,
            uploaders,
            keeper: to_keeper,
            locations: repositories.iter().map(|one| one.location.to_string()).collect(),
        };
        let ended = Engine::new(parts).and_then(Engine::run);
        // Whoever ends early, for an error, takes the others along.
        stop.set.store(true, Ordering::Release);
        wake_on_change.ring();
        ended
    })
}

/// A thread with a name, for those who look at what a process does.
fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() + Send + 'scope,
) -> Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, work)
        .map(drop)
        .map_err(Error::file("start", Path::new("a thread")))
}

fn limits(context: &Context, request: &ReplicateRequest) -> Limits {
    let config = &context.config().replicate;
    let wal_bytes = config.wal_limit.map_or(Some(WAL_BYTES), ByteLimit::get);
    let spool_bytes = config.spool_limit.map_or(Some(SPOOL_BYTES), ByteLimit::get);
    Limits {
        given_interval: request.interval,
        interval: config.interval.map_or(INTERVAL, Interval::get),
        idle: config.idle.map_or(IDLE, Interval::get),
        wal_bytes,
        spool_bytes,
    }
}

/// A followed database takes up to six descriptors, an idle one its lock; the usual limit of 1,024 would
/// do for few.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, the one who opens too many is told.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
