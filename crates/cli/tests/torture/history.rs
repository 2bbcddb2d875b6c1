//! The states that a database went through, as a reader could have seen them.

use std::hash::{DefaultHasher, Hash, Hasher};

/// What tells one state from another.
fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// All committed states, from the first.
#[derive(Default)]
pub(crate) struct History {
    states: Vec<u64>,
    /// After these, files were exchanged under the eyes of every reader, who could see anything.
    torn: Vec<usize>,
}

impl History {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let state = fingerprint(bytes);
        if self.states.last() != Some(&state) {
            self.states.push(state);
        }
    }

    pub(crate) fn tear(&mut self) {
        self.torn.push(self.states.len() - 1);
    }

    /// The first state from `from` on that is this one, if there is any; one that never was can only
    /// have been seen while files were exchanged.
    pub(crate) fn find(&self, from: usize, bytes: &[u8]) -> Option<usize> {
        let state = fingerprint(bytes);
        let found = (from..self.states.len()).find(|index| self.states[*index] == state);
        found.or_else(|| self.torn.iter().copied().find(|index| *index >= from))
    }
}
