//! Progress on the terminal and as JSON lines.

use std::io::{IsTerminal, stderr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lifeboat::{BackupEvent, ChangedBy, Note, Progress, Time, fingerprint};
use serde_json::{Value, json};

use crate::command::restore::choice;
use crate::command::restore_point;
use crate::output::{self, size};

/// Work that is over sooner shows no bar.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// How often a status line is written in JSON.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Shows a bar with rate and time left on a terminal, status lines with `--json`, else nothing.
pub(crate) struct Reporter {
    mode: Mode,
    verbose: bool,
    quiet: bool,
    stage: Arc<Mutex<Option<Stage>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bar,
    Json,
    Silent,
}

struct Stage {
    what: String,
    total: Option<u64>,
    done: u64,
    began: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Reporter {
    pub(crate) fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        let mode = match (json, quiet) {
            (true, _) => Mode::Json,
            (false, false) if stderr().is_terminal() => Mode::Bar,
            _ => Mode::Silent,
        };
        Self { mode, verbose, quiet, stage: Arc::default() }
    }

    fn with_stage(&self, act: impl FnOnce(&mut Option<Stage>)) {
        if let Ok(mut stage) = self.stage.lock() {
            act(&mut stage);
        }
    }
}

impl Progress for Reporter {
    fn begin(&self, what: &str, total: Option<u64>) {
        let now = Instant::now();
        let bar = (self.mode == Mode::Bar).then(|| {
            ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
                .with_style(style(total.is_some()))
                .with_prefix(what.to_owned())
        });
        let stage = Stage { what: what.to_owned(), total, done: 0, began: now, told: now, bar };
        self.with_stage(|current| *current = Some(stage));
        if total.is_none() && self.mode == Mode::Bar {
            spin_later(self.stage.clone(), now);
        }
    }

    fn advance(&self, bytes: u64) {
        self.with_stage(|stage| {
            let Some(stage) = stage else { return };
            stage.done += bytes;
            match self.mode {
                Mode::Bar => stage.draw(),
                Mode::Json => stage.tell(),
                Mode::Silent => {}
            }
        });
    }

    fn end(&self) {
        self.with_stage(|stage| {
            if let Some(Stage { bar: Some(bar), .. }) = stage.take() {
                bar.finish_and_clear();
            }
        });
    }

    fn note(&self, note: &Note) {
        let (text, important) = describe(note);
        if self.mode == Mode::Json {
            let _ = output::json(&json!({ "message_type": "note", "message": text }));
        } else if important && !self.quiet || self.verbose {
            self.with_stage(|stage| match stage.as_ref().and_then(|stage| stage.bar.as_ref()) {
                Some(bar) => bar.suspend(|| output::note(&text)),
                None => output::note(&text),
            });
        }
    }

    fn event(&self, event: &BackupEvent<'_>) {
        if self.mode == Mode::Json {
            let _ = output::json(&document(event));
        }
    }
}

/// What a script gets to see of an event.
fn document(event: &BackupEvent<'_>) -> Value {
    let mut document = match event {
        BackupEvent::Started { id, time } => json!({ "backup_id": id, "time": time }),
        BackupEvent::Completed { report } | BackupEvent::Validated { report } => json!({
            "backup_id": report.manifest.id,
            "time": Time::now(),
            "partial": report.is_partial(),
        }),
        BackupEvent::Failed { id, error } => {
            json!({ "backup_id": id, "time": Time::now(), "error": output::chain(*error) })
        }
    };
    document["message_type"] = json!(event.name());
    document
}

impl Stage {
    /// The bar counts from the beginning, so that its rate is right when it shows.
    fn draw(&mut self) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(self.done.min(self.total.unwrap_or(u64::MAX)));
        if bar.is_hidden() && self.began.elapsed() >= SHOW_AFTER {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    fn tell(&mut self) {
        if self.told.elapsed() < STATUS_EVERY {
            return;
        }
        self.told = Instant::now();
        let _ = output::json(&json!({
            "message_type": "status",
            "what": self.what,
            "bytes_done": self.done,
            "total_bytes": self.total,
            "seconds_elapsed": self.began.elapsed().as_secs(),
        }));
    }
}

/// Work whose size is not known tells nothing while it goes on: after a while a spinner shows that
/// it does, if the stage that began then is still there.
fn spin_later(stage: Arc<Mutex<Option<Stage>>>, began: Instant) {
    thread::spawn(move || {
        thread::sleep(SHOW_AFTER);
        if let Ok(mut stage) = stage.lock()
            && let Some(stage) = stage.as_mut().filter(|stage| stage.began == began)
        {
            stage.draw();
            if let Some(bar) = &stage.bar {
                bar.enable_steady_tick(Duration::from_millis(120));
            }
        }
    });
}

fn style(known: bool) -> ProgressStyle {
    let template = if known {
        "{prefix} [{bar:30}] {percent:>3}%  {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} left"
    } else {
        "{prefix} {spinner}  {elapsed}"
    };
    // The templates are constants that parse; without a style the bar is plain.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The words of a note, and whether it is shown without `--verbose`.
fn describe(note: &Note) -> (String, bool) {
    match note {
        Note::RepositoryMade { location } => (format!("made repository {location}"), true),
        Note::NotEncrypted { location } => (
            format!(
                "{location} is not encrypted (form litestream): \
                 whoever can read it can read what is backed up"
            ),
            true,
        ),
        Note::PasswordMade { path } => (
            format!(
                "made a password in {}\n\
                 KEEP A COPY OF IT ELSEWHERE: without it no backup can be restored",
                path.display()
            ),
            true,
        ),
        Note::WholeDatabase { source, reason } => (
            format!("{source}: storing the whole database ({reason})"),
            !reason.starts_with("first"),
        ),
        Note::ChangedBy { source, by, reason } => {
            (changed_by(source, *by, reason.as_deref()), false)
        }
        Note::StateRebuilt { source, reason, txid } => (
            format!("{source}: local state rebuilt from the repository at {txid} ({reason})"),
            true,
        ),
        Note::TakenOver { source, from } => (
            format!(
                "{source}: taken over from host {from:?}; what that host still uploads does not count"
            ),
            true,
        ),
        Note::SkippedSource { source } => {
            (format!("{source}: left out, its before hook said that now is no time for it"), true)
        }
        Note::PrivateCopy { source } => (
            format!(
                "{source}: could not be read in place (a writer was killed, or its directory is read-only); \
                 a private copy was read, the database itself was left as it is"
            ),
            true,
        ),
        Note::NoRoomToSpool { source } => (
            format!("{source}: no room to copy it first; its application waits until it is stored"),
            true,
        ),
        Note::LeftOut { path, why } => (format!("left out {}: {why}", path.display()), false),
        Note::Unreadable { problem } => (format!("warning: {problem}"), true),
        Note::SameDatabase { path, other } => {
            (format!("{} is {} by another name", path.display(), other.display()), true)
        }
        Note::DamagedObject { object } => {
            (format!("warning: {}; looking for a way around it", object.reason), true)
        }
        Note::SkippedBackup { backup } => {
            let id = backup.name.id.short();
            (format!("warning: backup {id} cannot be restored: {}", backup.reason), true)
        }
        Note::OtherBackup { name, label, database } => {
            (format!("instead: {}", choice(name, label.as_deref(), database)), true)
        }
        Note::SkippedPoint { skipped } => {
            let point = restore_point::describe(&skipped.found);
            (format!("warning: {point} cannot be restored: {}", skipped.reason), true)
        }
        Note::OtherPoint { found } => (format!("instead: {}", restore_point::choice(found)), true),
        Note::HostPinned { host, key } => {
            let key = fingerprint(key);
            (format!("host {host} signs with {key}; another key will be refused"), true)
        }
        Note::NotLocked { location } => {
            (format!("reading {location} without a lock: nothing can be written there"), false)
        }
        Note::NotVerified => {
            ("warning: the database was not checked (--no-verify)".to_owned(), true)
        }
        Note::SweptStage { path } => {
            (format!("removed {}, which a killed process left", path.display()), true)
        }
    }
}

fn changed_by(source: &str, by: ChangedBy, reason: Option<&str>) -> String {
    let what = match by {
        ChangedBy::Whole => "storing the whole database",
        ChangedBy::Scan => "reading all of it",
        ChangedBy::Wal => "reading the pages that its WAL names",
        ChangedBy::Unchanged => "not written to since the last backup",
        ChangedBy::Replicated => "captured by its replication",
    };
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{source}: {what}{reason}")
}

/// A progress text for sizes, used by reports.
pub(crate) fn rate(bytes: u64, millis: u64) -> String {
    format!("{}/s", size::bytes(bytes.saturating_mul(1000) / millis.max(1)))
}
