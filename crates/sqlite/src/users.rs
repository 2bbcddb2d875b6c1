//! Which other processes have a file open.

use std::fs::{metadata, read_dir, read_to_string};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// How often, and how far apart, a file is looked at before it counts as used.
const LOOKS: u32 = 4;
const BETWEEN: Duration = Duration::from_millis(50);

/// The other processes that have the file open, as `name (pid 12), …`, where `/proc` tells: of all
/// processes to root, of their own to others.
///
/// A rollback-journal database that is open but idle holds no lock; this notices it all the same.
pub fn users(target: &Path) -> Option<String> {
    let target = metadata(target).ok()?;
    let own = std::process::id().to_string();
    let mut users = Vec::new();
    for process in read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(descriptors) = read_dir(process.path().join("fd")) else { continue };
        let open = descriptors.flatten().any(|descriptor| {
            metadata(descriptor.path())
                .is_ok_and(|file| file.ino() == target.ino() && file.dev() == target.dev())
        });
        if open {
            let name = read_to_string(process.path().join("comm")).unwrap_or_default();
            users.push(format!("{} (pid {pid})", name.trim_end()));
        }
    }
    (!users.is_empty()).then(|| users.join(", "))
}

/// Those that have it open for longer than a moment. A child of this process has all its files until it
/// executes its own program, and a process that ends has them to the last: neither uses them.
pub(crate) fn lasting_users(target: &Path) -> Option<String> {
    for _ in 1..LOOKS {
        users(target)?;
        sleep(BETWEEN);
    }
    users(target)
}
