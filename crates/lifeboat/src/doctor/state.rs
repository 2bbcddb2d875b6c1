//! The state directory.

use std::path::Path;

use super::access::{judge_mode, judge_writable_directory};
use super::finding::{Area, Diagnosis, Examination, Severity};
use super::{locks, room};
use crate::state::StateDirectory;

const ELSEWHERE: &str = "set LIFEBOAT_STATE_DIR";

/// Examines the state directory at `path`, of which the next backup may need `needed` bytes.
pub(super) fn examine(path: &Path, needed: u64) -> Examination {
    let mut examination = Examination::new(Area::State, path.display().to_string());
    if path.symlink_metadata().is_err() {
        examination.add([Diagnosis::ok("directory", "not there; the first backup makes it")]);
        let above = path.ancestors().find(|above| above.exists());
        examination.add(above.and_then(|above| judge_writable_directory(above, ELSEWHERE)));
        return examination;
    }
    if !path.is_dir() {
        examination.add([Diagnosis::problem(
            "directory",
            "it is not a directory",
            "move it away, or set LIFEBOAT_STATE_DIR",
        )]);
        return examination;
    }
    let directory = StateDirectory::at(path);
    examination.add(judge_mode("permissions", "the directory", path, "700"));
    examination.add(judge_writable_directory(path, ELSEWHERE));
    examination.add([room::examine(path, needed, "the next backup")]);
    examination.add(judge_identity(&directory));
    examination.add(at_work(&directory));
    examination
}

/// The identity, which holds the key that signs manifests.
fn judge_identity(directory: &StateDirectory) -> Vec<Diagnosis> {
    let path = directory.host_path();
    match directory.known_host() {
        Ok(_) => {
            let exposed = judge_mode("identity", "the signing key", &path, "600");
            exposed.filter(|found| found.severity > Severity::Ok).into_iter().collect()
        }
        Err(error) => vec![Diagnosis::failed("identity", error).remedy(format!(
            "put an earlier copy of it back, or remove it: this host then begins anew under \
             another name (rm {})",
            path.display()
        ))],
    }
}

/// Which databases another process works on just now.
fn at_work(directory: &StateDirectory) -> Vec<Diagnosis> {
    let Ok(entries) = std::fs::read_dir(directory.databases()) else { return Vec::new() };
    let held = entries.flatten().filter_map(|entry| {
        let holder = locks::holder(&entry.path().join("lock"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Some(Diagnosis::ok("lock", format!("{name} is being backed up by {holder}")))
    });
    held.collect()
}
