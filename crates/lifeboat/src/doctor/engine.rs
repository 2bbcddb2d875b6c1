//! The SQLite library in this program.

use lifeboat_sqlite::{check_engine, engine_version};

use super::finding::{Area, Diagnosis, Examination};

pub(super) fn examine() -> Examination {
    let mut examination = Examination::new(Area::Engine, "");
    examination.add([match check_engine() {
        Ok(()) => Diagnosis::ok(
            "sqlite library",
            format!("SQLite {} with what Lifeboat needs", engine_version()),
        ),
        Err(error) => Diagnosis::failed("sqlite library", error)
            .remedy("use a released binary, or build inside Lifeboat's source tree"),
    }]);
    examination
}
