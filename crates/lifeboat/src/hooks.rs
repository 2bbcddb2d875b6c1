//! Commands of the user's around a backup and around each of its sources: to stop an application, to
//! mount a disk, to tell somebody.
//!
//! What a `before` has undone an `after` does again. So it runs whenever `before` succeeded: after a
//! success, after a failure, and when the program is interrupted ([`PendingHooks::interrupt`]). Nothing
//! can be run when it is killed.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{park, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::config::{CommandLine, HooksConfig};
use crate::error::chain;
use crate::{Context, Error, Result};

/// The status with which `before` says that now is no time for a backup.
const SKIP: i32 = 75;
/// From the request to end to the end that nothing can refuse.
const MERCY: Duration = Duration::from_secs(5);
/// Variables that are no business of a hook.
pub(crate) const SECRETS: [&str; 2] = ["LIFEBOAT_PASSWORD", "RESTIC_PASSWORD"];

/// How what stands between `before` and `after` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStatus {
    /// All of it.
    Success,
    /// Some sources failed.
    Partial,
    /// There is no backup.
    Failed,
    /// The program was asked to end.
    Interrupted,
}

impl HookStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
    OnFailure,
}

impl When {
    fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::OnFailure => "on-failure",
        }
    }
}

/// Work that has begun with its `before`, and ends with its `after`.
#[must_use]
pub struct Hooked<'a> {
    hooks: &'a HooksConfig,
    pending: &'a PendingHooks,
    subject: Subject,
    ticket: Option<u64>,
}

/// What a hook is of: a source, or the whole backup.
#[derive(Debug, Clone, Default)]
struct Subject(Option<HookSubject>);

/// A source that has hooks.
#[derive(Debug, Clone)]
pub(crate) struct HookSubject {
    pub(crate) name: String,
    /// Where it is, if that is one place.
    pub(crate) path: Option<PathBuf>,
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |target| write!(formatter, " of {}", target.name))
    }
}

/// The `after` hooks that are still to run, to be shared with whoever ends the program.
#[derive(Debug, Clone, Default)]
pub struct PendingHooks(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    after: Vec<(u64, Hook)>,
    tickets: u64,
    running: Option<(When, Pid)>,
    interrupted: bool,
}

/// A hook, ready to run.
#[derive(Debug, Clone)]
struct Hook {
    when: When,
    command: CommandLine,
    subject: Subject,
    timeout: Duration,
    /// Its place among the pending ones, which it leaves when it starts.
    ticket: Option<u64>,
}

impl<'a> Hooked<'a> {
    /// Begins a backup with the `before` of the configuration. `None` if that says that now is no time
    /// for one.
    ///
    /// # Errors
    ///
    /// [`Error::Hook`] if it failed; `on-failure` has been run then.
    pub fn backup(context: &'a Context) -> Result<Option<Self>> {
        Self::begin(context.pending_hooks(), &context.config().hooks, Subject::default())
    }

    /// Begins with a source of the backup.
    pub(crate) fn source(context: &'a Context, subject: HookSubject) -> Result<Option<Self>> {
        const NONE: &HooksConfig =
            &HooksConfig { before: None, after: None, on_failure: None, timeout: None };
        let hooks = context.config().hooks_of(&subject.name).unwrap_or(NONE);
        Self::begin(context.pending_hooks(), hooks, Subject(Some(subject)))
    }

    fn begin(
        pending: &'a PendingHooks,
        hooks: &'a HooksConfig,
        subject: Subject,
    ) -> Result<Option<Self>> {
        let mut hooked = Self { hooks, pending, subject, ticket: None };
        let after = hooked.hook(When::After);
        let Some(before) = hooked.hook(When::Before) else {
            hooked.ticket = after.map(|after| pending.lock_to_go_on().push(after));
            return Ok(Some(hooked));
        };
        // In one step with its end: an interruption finds the one or the other.
        let ended = before.run_then(pending, None, None, |pending, status| {
            let after = after.filter(|_| status.success());
            hooked.ticket = after.map(|after| pending.push(after));
        });
        let outcome = match ended {
            Ok(status) if status.code() == Some(SKIP) => return Ok(None),
            Ok(status) => before.accept(status),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(Some(hooked)),
            Err(error) => {
                hooked.on_failure(HookStatus::Failed, Some(&error));
                Err(error)
            }
        }
    }

    /// Ends: runs `after`, and `on-failure` if something failed, which may be `after` itself. What the
    /// hooks themselves have failed with is returned.
    pub fn end(mut self, status: HookStatus, error: Option<&Error>) -> Vec<Error> {
        let mut failed = Vec::new();
        if let Some(after) = self.take() {
            let ran = after.run(self.pending, Some(status), error);
            failed.extend(ran.and_then(|exit| after.accept(exit)).err());
        }
        if status != HookStatus::Success {
            failed.extend(self.on_failure(status, error));
        } else if !failed.is_empty() {
            let error = self.on_failure(HookStatus::Partial, failed.first());
            failed.extend(error);
        }
        failed
    }

    fn on_failure(&self, status: HookStatus, error: Option<&Error>) -> Option<Error> {
        let hook = self.hook(When::OnFailure)?;
        hook.run(self.pending, Some(status), error).and_then(|exit| hook.accept(exit)).err()
    }

    fn hook(&self, when: When) -> Option<Hook> {
        let command = match when {
            When::Before => &self.hooks.before,
            When::After => &self.hooks.after,
            When::OnFailure => &self.hooks.on_failure,
        };
        let (subject, timeout) = (self.subject.clone(), self.hooks.timeout());
        Some(Hook { when, command: command.clone()?, subject, timeout, ticket: None })
    }

    /// Its `after`, if it is to run and has not been taken.
    fn take(&mut self) -> Option<Hook> {
        let ticket = Some(self.ticket.take()?);
        self.hook(When::After).map(|after| Hook { ticket, ..after })
    }
}

/// Work that nobody has ended has failed.
impl Drop for Hooked<'_> {
    fn drop(&mut self) {
        if let Some(after) = self.take() {
            let _ = after.run(self.pending, Some(HookStatus::Failed), None);
        }
    }
}

impl PendingHooks {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For who works on. After an interruption nobody does: the program ends, but not before the hooks of
    /// the interruption did.
    fn lock_to_go_on(&self) -> MutexGuard<'_, Pending> {
        let pending = self.lock();
        if !pending.interrupted {
            return pending;
        }
        drop(pending);
        loop {
            park();
        }
    }

    /// Ends a `before` that is running, lets an `after` come to its end, and runs those that are still to
    /// come, the last first. The caller ends the program then: whoever comes to a hook after that waits for
    /// the end.
    pub fn interrupt(&self) -> Vec<Error> {
        let running = {
            let mut pending = self.lock();
            pending.interrupted = true;
            pending.running
        };
        if let Some((When::Before | When::OnFailure, group)) = running {
            let _ = kill_process_group(group, Signal::TERM);
        }
        while self.lock().running.is_some() {
            sleep(Duration::from_millis(10));
        }
        let mut after = std::mem::take(&mut self.lock().after);
        let mut failed = Vec::new();
        while let Some((_, hook)) = after.pop() {
            let ran = hook.run(self, Some(HookStatus::Interrupted), None);
            failed.extend(ran.and_then(|exit| hook.accept(exit)).err());
        }
        failed
    }
}

impl Pending {
    fn push(&mut self, after: Hook) -> u64 {
        self.tickets += 1;
        self.after.push((self.tickets, after));
        self.tickets
    }
}

impl Hook {
    fn run(
        &self,
        pending: &PendingHooks,
        status: Option<HookStatus>,
        error: Option<&Error>,
    ) -> Result<ExitStatus> {
        self.run_then(pending, status, error, |_, _| ())
    }

    /// Runs it, and does something in one step with its end, if it came by itself.
    fn run_then(
        &self,
        pending: &PendingHooks,
        status: Option<HookStatus>,
        error: Option<&Error>,
        then: impl FnOnce(&mut Pending, ExitStatus),
    ) -> Result<ExitStatus> {
        let mut command = self.command.command();
        self.prepare(&mut command, status, error).map_err(|error| self.failed(error))?;
        let (child, group) = {
            let mut pending = match status {
                Some(HookStatus::Interrupted) => pending.lock(),
                _ => pending.lock_to_go_on(),
            };
            pending.after.retain(|(ticket, _)| Some(*ticket) != self.ticket);
            let child = command.spawn().map_err(|error| self.failed(error))?;
            let group = Pid::from_child(&child);
            pending.running = Some((self.when, group));
            (child, group)
        };
        let ended = wait(child, group, self.timeout);
        let mut pending = pending.lock();
        pending.running = None;
        if let Ok(Some(status)) = ended {
            then(&mut pending, status);
        }
        match ended {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(self.failed(format!("not done after {:?}", self.timeout))),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What it prints goes where messages go: the standard output belongs to the results.
    fn prepare(
        &self,
        command: &mut Command,
        status: Option<HookStatus>,
        error: Option<&Error>,
    ) -> io::Result<()> {
        let messages = io::stderr().as_fd().try_clone_to_owned()?;
        command.stdin(Stdio::null()).stdout(messages).process_group(0);
        for secret in SECRETS {
            command.env_remove(secret);
        }
        command.env("LIFEBOAT_HOOK", self.when.as_str());
        if let Some(target) = &self.subject.0 {
            command.env("LIFEBOAT_SOURCE", &target.name);
            target.path.iter().for_each(|path| {
                command.env("LIFEBOAT_PATH", path);
            });
        }
        if let Some(status) = status {
            command.env("LIFEBOAT_STATUS", status.as_str());
        }
        if let Some(error) = error {
            command.env("LIFEBOAT_ERROR", chain(error));
        }
        Ok(())
    }

    fn accept(&self, status: ExitStatus) -> Result<()> {
        if status.success() { Ok(()) } else { Err(self.failed(status)) }
    }

    fn failed(&self, problem: impl fmt::Display) -> Error {
        Error::Hook {
            hook: format!("{} hook{}", self.when.as_str(), self.subject),
            command: self.command.to_string(),
            problem: problem.to_string(),
        }
    }
}

/// Waits for the end of a process group's leader; `None` if it took too long and was ended.
fn wait(mut child: Child, group: Pid, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let mut until = Instant::now() + timeout;
    let mut signals = [Signal::TERM, Signal::KILL].into_iter();
    let (mut pause, mut is_late) = (Duration::from_millis(1), false);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!is_late).then_some(status));
        }
        if Instant::now() >= until
            && let Some(signal) = signals.next()
        {
            (until, is_late) = (Instant::now() + MERCY, true);
            let _ = kill_process_group(group, signal);
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
