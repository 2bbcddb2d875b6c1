//! What a repository says of itself.

use serde::{Deserialize, Serialize};

use crate::cipher::fill_random;
use crate::{Polynomial, RepositoryId, Result};

/// The one version that is written and read.
pub const VERSION: u32 = 2;

/// The object `config` of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// [`VERSION`].
    pub version: u32,
    /// Random; by it caches know the repository.
    pub id: RepositoryId,
    /// Where files are cut. Two repositories that have the same one share the ids of blobs.
    pub chunker_polynomial: Polynomial,
}

impl Config {
    /// Of a new repository.
    pub fn random() -> Result<Self> {
        Self::with_polynomial(Polynomial::random()?)
    }

    /// Of a new repository that cuts files where another one does.
    pub fn with_polynomial(chunker_polynomial: Polynomial) -> Result<Self> {
        let mut id = [0; 32];
        fill_random(&mut id)?;
        Ok(Self { version: VERSION, id: id.into(), chunker_polynomial })
    }
}
