//! What could not be read.

use lifeboat_files::Problem;

/// How many are kept to be told. A disk that fails has millions of them.
const KEPT: usize = 100;

/// Problems, all counted, the first hundred kept.
#[derive(Debug, Default)]
pub struct Problems {
    count: u64,
    first: Vec<Problem>,
}

impl Problems {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, a hundred at most.
    #[must_use]
    pub fn first(&self) -> &[Problem] {
        &self.first
    }

    pub(super) fn add(&mut self, problem: Problem) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(problem);
        }
    }
}
