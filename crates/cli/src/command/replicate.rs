//! `lifeboat replicate`

use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat::{
    Error, Event, Events, Interval, ReplicateRequest, Request, Stop, replicate, yield_databases,
};
use serde_json::{Value, json};

use super::Session;
use crate::arguments::ReplicateArguments;
use crate::command::backups::local;
use crate::exit::Exit;
use crate::output::{self, size};
use crate::stop::call_on_signal;

pub(super) fn run(session: &Session, arguments: &ReplicateArguments) -> Result<Exit, Error> {
    let sources = Request::databases(arguments.sources.clone());
    if let Some(seconds) = arguments.yields {
        return yields(session, &sources, seconds);
    }
    let request = ReplicateRequest {
        sources,
        interval: arguments.interval.map(Interval::get),
        take_over: arguments.take_over,
        once: arguments.once,
    };
    let stop = Stop::new()?;
    let application = arguments.exec.as_deref().map(|command| start(command, &stop)).transpose()?;
    call_on_signal({
        let (stop, application) = (stop.clone(), application.clone());
        move |signal| match application {
            // It ends, and that ends the replication.
            Some(application) => application.signal(signal),
            None => stop.stop(),
        }
    })?;
    let talker = Talker { session };
    let report = replicate(&session.context, &request, &stop, &talker, &session.progress);
    if let (Err(_), Some(application)) = (&report, &application) {
        application.signal(rustix::process::Signal::TERM.as_raw());
    }
    let report = report?;
    for problem in &report.problems {
        talker.problem(problem);
    }
    // What is not stored is told above.
    if request.once && report.problems.is_empty() {
        let count = report.databases.len() as u64;
        session.say(&format!("{} captured and stored", size::count(count, "database")))?;
    }
    if let Some(code) = application.and_then(|application| application.exit_code()) {
        std::process::exit(code);
    }
    Ok(if report.problems.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn yields(session: &Session, sources: &Request, seconds: u64) -> Result<Exit, Error> {
    let names = yield_databases(&session.context, sources, Duration::from_secs(seconds))?;
    if session.global.json {
        output::json(&json!({ "yielded": names, "seconds": seconds }))?;
    } else {
        session.say(&format!("let go of {} for {seconds} s", names.join(", ")))?;
    }
    Ok(Exit::Ok)
}

/// The application beside which the replication runs.
#[derive(Clone)]
struct Application {
    id: u32,
    child: Arc<Mutex<Option<i32>>>,
}

fn start(command: &str, stop: &Stop) -> Result<Application, Error> {
    let failed = |source| Error::File { operation: "run", path: command.into(), source };
    // One process, so that signals reach the application and not a shell.
    let child = Command::new("sh").arg("-c").arg(format!("exec {command}")).spawn();
    let child = child.map_err(failed)?;
    let application = Application { id: child.id(), child: Arc::default() };
    let (code, stop) = (application.child.clone(), stop.clone());
    let wait = move || {
        let ended = wait_for(child);
        if let Ok(mut code) = code.lock() {
            *code = Some(ended);
        }
        stop.stop();
    };
    std::thread::Builder::new().name("application".to_owned()).spawn(wait).map_err(failed)?;
    Ok(application)
}

/// Its exit code, as a shell tells it.
fn wait_for(mut child: Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    child.wait().map_or(1, |status| {
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    })
}

impl Application {
    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.id).ok().and_then(rustix::process::Pid::from_raw);
        let signal = rustix::process::Signal::from_named_raw(signal);
        if let (Some(pid), Some(signal), None) = (pid, signal, self.exit_code()) {
            // It may have ended just now.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn exit_code(&self) -> Option<i32> {
        self.child.lock().ok().and_then(|code| *code)
    }
}

/// Says what happens: changes of the situation, and with `--verbose` every capture.
struct Talker<'a> {
    session: &'a Session,
}

impl Talker<'_> {
    fn problem(&self, problem: &str) {
        if self.session.global.json {
            output::note(&json!({ "message_type": "problem", "message": problem }).to_string());
        } else {
            output::note(&format!("not done: {problem}"));
        }
    }
}

impl Events for Talker<'_> {
    fn event(&self, event: &Event<'_>) {
        let global = &self.session.global;
        if event.is_routine() && !global.verbose {
            return;
        }
        // Nobody may be reading any more; the databases are protected all the same.
        let _ = if global.json {
            output::json(&document(event))
        } else {
            self.session.say(&sentence(event))
        };
    }
}

fn sentence(event: &Event<'_>) -> String {
    match event {
        Event::Joined { database, path } => format!("replicating {database} ({})", path.display()),
        Event::Captured { database, txid, time, bytes } => {
            format!("{database}: captured {txid} at {} ({})", local(*time), size::bytes(*bytes))
        }
        Event::Protected { database, repository, txid, bytes, .. } => {
            format!("{database}: {txid} is in {repository} ({} sent)", size::bytes(*bytes))
        }
        Event::Lacking { database, repository, reason } => {
            format!("{database}: bringing {repository} up ({reason})")
        }
        Event::NewLineage { database, reason } => {
            format!("{database}: a new lineage begins ({reason})")
        }
        Event::Dropped { database, txid } => format!(
            "{database}: THE SPOOL IS FULL, points up to {txid} were dropped; what they hold goes into \
             the next one"
        ),
        Event::Merged { database, repository, from, to, files, bytes } => format!(
            "{database}: {} became {from} to {to} in {repository} ({} sent)",
            size::count(*files, "file"),
            size::bytes(*bytes)
        ),
        Event::Passed {
            database,
            repository,
            merges,
            announced_objects,
            removed_objects,
            removed_bytes,
        } => format!(
            "{database}: looked at its history in {repository}: {}, {} announced, {} removed ({})",
            size::count(*merges, "merge"),
            size::count(*announced_objects, "object"),
            removed_objects,
            size::bytes(*removed_bytes)
        ),
        Event::BaseDue { database, repository, reason } => {
            format!("{database}: a new base for {repository} ({reason})")
        }
        Event::Based { database, repository, txid, bytes } => {
            format!("{database}: base of {txid} is in {repository} ({} sent)", size::bytes(*bytes))
        }
        Event::BackedUp { source, repository, backup } => {
            format!("{source} has changed: backup {} is in {repository}", backup.short())
        }
        Event::Failing { database, repository, error } => {
            format!("{}: {error}; trying again", place(*database, *repository))
        }
        Event::Working { database, repository } => {
            format!("{}: works again", place(*database, *repository))
        }
    }
}

fn place(database: Option<&str>, repository: Option<&str>) -> String {
    match (database, repository) {
        (Some(database), Some(repository)) => format!("{database} in {repository}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "replication".to_owned(),
    }
}

fn document(event: &Event<'_>) -> Value {
    match event {
        Event::Joined { database, path } => {
            json!({ "message_type": "joined", "database": database, "path": path })
        }
        Event::Captured { database, txid, time, bytes } => json!({
            "message_type": "captured", "database": database, "txid": txid.to_string(),
            "time": time, "spooled_bytes": bytes,
        }),
        Event::Protected { database, repository, txid, time, bytes } => json!({
            "message_type": "protected", "database": database, "repository": repository,
            "txid": txid.to_string(), "time": time, "sent_bytes": bytes,
        }),
        Event::Lacking { database, repository, reason } => json!({
            "message_type": "lacking", "database": database, "repository": repository,
            "reason": reason,
        }),
        Event::NewLineage { database, reason } => {
            json!({ "message_type": "new_lineage", "database": database, "reason": reason })
        }
        Event::Dropped { database, txid } => {
            json!({ "message_type": "dropped", "database": database, "txid": txid.to_string() })
        }
        Event::Merged { database, repository, from, to, files, bytes } => json!({
            "message_type": "merged", "database": database, "repository": repository,
            "from": from.to_string(), "to": to.to_string(), "files": files, "sent_bytes": bytes,
        }),
        Event::Passed {
            database,
            repository,
            merges,
            announced_objects,
            removed_objects,
            removed_bytes,
        } => json!({
            "message_type": "passed", "database": database, "repository": repository,
            "merges": merges, "announced_objects": announced_objects,
            "removed_objects": removed_objects, "removed_bytes": removed_bytes,
        }),
        Event::BaseDue { database, repository, reason } => json!({
            "message_type": "base_due", "database": database, "repository": repository,
            "reason": reason,
        }),
        Event::Based { database, repository, txid, bytes } => json!({
            "message_type": "based", "database": database, "repository": repository,
            "txid": txid.to_string(), "sent_bytes": bytes,
        }),
        Event::BackedUp { source, repository, backup } => json!({
            "message_type": "backed_up", "source": source, "repository": repository,
            "backup_id": backup,
        }),
        Event::Failing { database, repository, error } => json!({
            "message_type": "failing", "database": database, "repository": repository,
            "message": error,
        }),
        Event::Working { database, repository } => {
            json!({ "message_type": "working", "database": database, "repository": repository })
        }
    }
}
