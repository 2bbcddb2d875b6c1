//! The SQLite library this program carries.

use crate::{Error, Result};

/// 3.51.3 mends the race between a checkpoint and a WAL reset that loses committed pages
/// (present since 3.7.0): an older library must not be let near a database that is in use.
const OLDEST: i32 = 3_051_003;

/// Options the library must be built with; `.cargo/config.toml` of the source tree sets them.
const NEEDED: [&str; 2] = ["ENABLE_DBPAGE_VTAB", "ENABLE_SNAPSHOT"];

/// The version of the SQLite library in this program.
pub fn engine_version() -> &'static str {
    rusqlite::version()
}

/// Refuses an SQLite library that is too old or lacks what capturing needs.
pub fn check_engine() -> Result<()> {
    let version = rusqlite::version_number();
    if version < OLDEST {
        return Err(Error::Engine {
            detail: format!("version {} is older than 3.51.3", rusqlite::version()),
        });
    }
    for option in NEEDED {
        if !crate::ffi::compile_option_used(option) {
            return Err(Error::Engine {
                detail: format!(
                    "it was built without SQLITE_{option}; build Lifeboat inside its source tree, \
                     or with LIBSQLITE3_FLAGS=\"-DSQLITE_ENABLE_DBPAGE_VTAB -DSQLITE_ENABLE_SNAPSHOT\""
                ),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn bundled_library_is_usable() {
        super::check_engine().unwrap();
    }
}
