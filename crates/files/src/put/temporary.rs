//! Names that nobody else uses.

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher};
use std::io;

use rustix::io::Errno;

const ATTEMPTS: usize = 16;

/// Makes something under a name that is not taken, and returns that name. `make` must refuse a
/// taken name with `EEXIST`; that, not the chance, is what keeps names apart.
pub(super) fn make<T>(
    mut make: impl FnMut(&OsStr) -> Result<T, Errno>,
) -> io::Result<(OsString, T)> {
    for _ in 0..ATTEMPTS {
        let name = OsString::from(format!(".lifeboat-{:016x}.tmp", random()));
        match make(&name) {
            Err(Errno::EXIST) => {}
            result => return Ok((name, result?)),
        }
    }
    Err(Errno::EXIST.into())
}

/// The standard library seeds its maps from the system's randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
