//! What a walk comes upon.

use std::path::PathBuf;

use crate::{Entry, Exclusion, FoundFile, Problem};

/// What a walk comes upon.
#[derive(Debug)]
pub enum WalkItem {
    /// A directory. What is in it follows, up to its [`WalkItem::Leave`].
    Enter(Entry),
    /// The end of the directory that was entered last and not left yet.
    Leave,
    /// A regular file.
    File(FoundFile),
    /// Anything else.
    Entry(Entry),
    /// Something that is left out, with all that is below it. After the [`WalkItem::Enter`] of the same
    /// path: what is below it.
    LeftOut {
        /// What.
        path: PathBuf,
        /// Why.
        why: Exclusion,
    },
    /// A name that was listed, and was gone when it was looked at.
    Vanished(PathBuf),
    /// Something that could not be read. What concerns an entry comes after it; if there was none, it is
    /// missing. A directory that cannot be listed is entered and left.
    Problem(Problem),
}
