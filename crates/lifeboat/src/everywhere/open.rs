//! Repositories that are being opened, all at the same time.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle};

use lifeboat_repository::BackupName;

use crate::context::Chosen;
use crate::copy::newest_own;
use crate::threads::joined;
use crate::{Context, OpenRepository, Progress, Result};

/// A repository, as it could be opened.
pub(super) struct Place<'a> {
    pub(super) name: String,
    pub(super) opened: Result<OpenRepository<'a>>,
    /// The newest backup of this host that it had then.
    pub(super) newest: Option<BackupName>,
}

impl<'a> Place<'a> {
    fn of(context: &'a Context, chosen: Result<Chosen>, progress: &dyn Progress) -> Self {
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(error) => {
                let name = "a repository".to_owned();
                return Self { name, opened: Err(error), newest: None };
            }
        };
        let name = chosen.label();
        let opened = context.open_to_write(chosen, progress);
        let with_newest = opened.and_then(|opened| Ok((newest_own(&opened)?, opened)));
        match with_newest {
            Ok((newest, opened)) => Self { name, opened: Ok(opened), newest },
            Err(error) => Self { name, opened: Err(error), newest: None },
        }
    }
}

/// One that does not answer keeps no other waiting.
pub(super) struct Openers<'scope, 'a> {
    /// Those of this machine first; `None` where it was taken.
    openings: Vec<Option<Opening<'scope, 'a>>>,
    /// The numbers of those of this machine that were not asked for yet.
    near: std::ops::Range<usize>,
    /// Tells the number of each that is through.
    through: Receiver<usize>,
}

/// A repository that is being opened, or has been.
pub(super) enum Opening<'scope, 'a> {
    UnderWay(ScopedJoinHandle<'scope, Place<'a>>),
    Done(Box<Place<'a>>),
}

impl<'a> Opening<'_, 'a> {
    pub(super) fn wait(self) -> Place<'a> {
        match self {
            Self::UnderWay(thread) => joined(thread),
            Self::Done(place) => *place,
        }
    }

    /// The repository, if it has been opened by now.
    pub(super) fn by_now(self) -> Self {
        match self {
            Self::UnderWay(thread) if thread.is_finished() => Self::Done(Box::new(joined(thread))),
            opening => opening,
        }
    }
}

impl<'scope, 'a: 'scope> Openers<'scope, 'a> {
    /// Repositories of this machine must come first.
    pub(super) fn start(
        scope: &'scope Scope<'scope, '_>,
        context: &'a Context,
        chosen: Vec<Result<Chosen>>,
        progress: &'scope dyn Progress,
    ) -> Self {
        let is_near = |chosen: &Result<Chosen>| {
            chosen.as_ref().map_or(true, |chosen| chosen.location.local_path().is_some())
        };
        let near = 0..chosen.iter().take_while(|chosen| is_near(chosen)).count();
        let (tell, through) = channel();
        let open = |(number, chosen)| {
            let tell: Sender<usize> = tell.clone();
            let thread = scope.spawn(move || {
                let place = Place::of(context, chosen, progress);
                // Nobody listens any more once a repository has the backup.
                let _ = tell.send(number);
                place
            });
            Some(Opening::UnderWay(thread))
        };
        let openings = chosen.into_iter().enumerate().map(open).collect();
        Self { openings, near, through }
    }

    /// The next that is there: of this machine in their order, then of the others in that in which they are opened.
    /// `None` after the last.
    pub(super) fn next(&mut self) -> Option<(usize, Place<'a>)> {
        // Those of this machine are told as well, and were taken before.
        while let Some(number) = self.near.next().or_else(|| self.through.recv().ok()) {
            match self.openings[number].take() {
                Some(opening @ Opening::UnderWay(_)) => return Some((number, opening.wait())),
                taken => self.openings[number] = taken,
            }
        }
        None
    }

    /// Puts one back that was of no use.
    pub(super) fn put_back(&mut self, number: usize, place: Place<'a>) {
        self.openings[number] = Some(Opening::Done(Box::new(place)));
    }

    /// Takes what was put back.
    pub(super) fn take(&mut self, number: usize) -> Option<Place<'a>> {
        self.openings[number].take().map(Opening::wait)
    }

    pub(super) fn rest(self) -> Vec<Opening<'scope, 'a>> {
        self.openings.into_iter().flatten().collect()
    }
}
