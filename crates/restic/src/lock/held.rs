//! A lock that is held: renewed beside the work, and looked at before anything that relies on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::{Lock, LockOptions};
use crate::{Error, LockId, ObjectId as _, ResticRepository, Result};

/// How often the clock is looked at, at least: timers stand still while a machine sleeps, clocks do not.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A lock of this process. Dropped, it is given back; [`HeldLock::release`] also says whether that went well.
#[derive(Debug)]
pub struct HeldLock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    repository: ResticRepository,
    options: LockOptions,
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug)]
struct State {
    /// What the object that counts says.
    lock: Lock,
    /// The object that counts.
    current: LockId,
    /// All objects that are ours and may still be there.
    ours: BTreeSet<LockId>,
    /// When `lock` was made, by the timer of this machine.
    renewed: Instant,
    /// Why it can never be relied on again.
    lost: Option<&'static str>,
    /// Why it could not be renewed when that was tried last.
    failure: Option<String>,
    released: bool,
}

impl HeldLock {
    pub(super) fn keep(
        repository: ResticRepository,
        lock: Lock,
        id: LockId,
        options: LockOptions,
    ) -> Result<Self> {
        let state = State {
            lock,
            current: id,
            ours: BTreeSet::from([id]),
            renewed: Instant::now(),
            lost: None,
            failure: None,
            released: false,
        };
        let (state, released) = (Mutex::new(state), Condvar::new());
        let mut held = Self {
            shared: Arc::new(Shared { repository, options, state, released }),
            thread: None,
        };
        let shared = Arc::clone(&held.shared);
        let thread = thread::Builder::new().name("restic lock".to_owned());
        let spawned = thread.spawn(move || shared.keep_renewing());
        // On failure dropping it removes the object.
        held.thread = Some(spawned.map_err(|source| Error::Machine {
            operation: "start a thread that renews a lock",
            source,
        })?);
        Ok(held)
    }

    /// What it says now.
    #[must_use]
    pub fn lock(&self) -> Lock {
        self.shared.state().lock.clone()
    }

    /// Whether it still keeps others out. To be asked before everything that relies on it: before each object
    /// that is written or removed.
    ///
    /// [`Error::LockLost`] if it was not renewed for too long, because the storage could not be reached or the
    /// machine slept, so that others may have taken it for left behind; or if somebody removed it. The first
    /// may pass, the second does not.
    pub fn still_ours(&self) -> Result<()> {
        let state = self.shared.state();
        let age = self.shared.age(&state);
        let seconds = age.as_secs();
        let problem = match (state.lost, &state.failure) {
            (Some(problem), _) => problem.to_owned(),
            _ if age < self.shared.options.valid_for => return Ok(()),
            (None, None) => format!("not renewed for {seconds} seconds"),
            (None, Some(failure)) => format!("not renewed for {seconds} seconds: {failure}"),
        };
        Err(Error::LockLost { location: self.shared.repository.storage().location(), problem })
    }

    /// Gives it back.
    pub fn release(mut self) -> Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<()> {
        self.shared.state().released = true;
        self.shared.released.notify_all();
        if let Some(thread) = self.thread.take() {
            // If it panicked, the objects are still known.
            let _panicked = thread.join();
        }
        // An object that stays keeps others out for no reason: twice.
        self.shared.remove(|_| true).or_else(|_| self.shared.remove(|_| true))
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // What could not be removed keeps others out, who are told by whom.
        let _nobody_to_tell = self.give_back();
    }
}

/// Why a lock was not renewed.
enum NotRenewed {
    /// Somebody removed it.
    Lost(&'static str),
    /// Perhaps next time.
    Failed(Error),
}

impl From<Error> for NotRenewed {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago it was renewed: by the clock, which may have been set back, or by the timer, which stands
    /// still while the machine sleeps, whichever says longer.
    fn age(&self, state: &State) -> Duration {
        let by_clock = state.lock.age(self.options.clock.now());
        let by_clock = Duration::try_from(by_clock).unwrap_or_default();
        by_clock.max(state.renewed.elapsed())
    }

    fn keep_renewing(&self) {
        let again_after = self.options.renew_every / 5;
        let mut not_before = Instant::now();
        while self.wait(again_after.min(LOOK_EVERY)) {
            let due = self.age(&self.state()) >= self.options.renew_every;
            if !due || Instant::now() < not_before {
                continue;
            }
            match self.renew() {
                Ok(()) => {}
                Err(NotRenewed::Lost(problem)) => {
                    self.state().lost = Some(problem);
                    return;
                }
                // The lock gets too old if this goes on, and whoever asks is told.
                Err(NotRenewed::Failed(error)) => {
                    self.state().failure = Some(error.with_sources());
                    not_before = Instant::now() + again_after;
                }
            }
        }
    }

    /// Waits; `false` if it was released.
    fn wait(&self, time: Duration) -> bool {
        let waiting = self.released.wait_timeout_while(self.state(), time, |state| !state.released);
        !waiting
            .map_or_else(|poisoned| poisoned.into_inner().0.released, |(state, _)| state.released)
    }

    /// Writes a new one, then removes the old one. While the old one is there nobody else can have locked,
    /// however old it is; so it must be there after the new one can be seen.
    fn renew(&self) -> Result<(), NotRenewed> {
        let (mut lock, old) = {
            let state = self.state();
            (state.lock.clone(), state.current)
        };
        self.must_be_there(&old)?;
        let renewed = Instant::now();
        lock.time = self.options.clock.now();
        let new = self.repository.write_lock(&lock)?;
        self.state().ours.insert(new);
        sleep(self.options.settle);
        if let Err(error) = self.must_be_there(&old) {
            // What cannot be removed now is removed at the end.
            let _later = self.remove(|id| *id == new);
            return Err(error);
        }
        {
            let mut state = self.state();
            (state.lock, state.current, state.renewed) = (lock, new, renewed);
            state.failure = None;
        }
        let _later = self.remove(|id| *id != new);
        Ok(())
    }

    fn must_be_there(&self, id: &LockId) -> Result<(), NotRenewed> {
        let stat = self.repository.storage().stat(&id.key()?).map_err(Error::from)?;
        stat.map(|_| ()).ok_or(NotRenewed::Lost("somebody removed it"))
    }

    /// Removes those of our objects that are meant; tries all, returns the first error.
    fn remove(&self, meant: impl Fn(&LockId) -> bool) -> Result<()> {
        let ours: Vec<LockId> = self.state().ours.iter().filter(|id| meant(id)).copied().collect();
        let mut outcome = Ok(());
        for id in ours {
            match id.key().and_then(|key| Ok(self.repository.storage().remove(&key)?)) {
                Ok(_) => {
                    self.state().ours.remove(&id);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}
