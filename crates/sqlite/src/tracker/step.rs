//! What came after the state that was captured last, until it is captured.

use super::{Next, Tracker};
use crate::{Bitmap, Image, Moment, Result};

/// A state with commits that are not captured yet. It is held, and so is the one before: dropping
/// it leaves the tracker where it was.
#[derive(Debug)]
pub struct Step<'tracker> {
    pub(super) tracker: &'tracker mut Tracker,
    pub(super) next: Next,
}

impl Step<'_> {
    /// The pages of the state.
    pub fn image(&self) -> Result<Image<'_>> {
        self.next.standing.image(&self.tracker.path, &self.next.newest)
    }

    /// The only pages that may differ from those of the state before, every new one included.
    pub fn pages(&self) -> &Bitmap {
        &self.next.pages
    }

    /// Where the state stands, to be kept with its capture.
    pub fn moment(&self) -> &Moment {
        &self.next.standing.moment
    }

    /// The state is captured: the tracker goes on from it and lets go of the one before.
    pub fn keep(self) {
        self.tracker.hold(self.next.standing, self.next.newest);
    }
}
