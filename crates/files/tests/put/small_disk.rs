//! A disk that is soon full. The tests of the program use it too.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, unmounted when dropped.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
}

impl SmallDisk {
    /// Of a size as `mount` has it, with other options after it. Where nothing may be mounted, which is for root
    /// alone, this says so: `None`.
    #[allow(clippy::print_stdout, reason = "says why the test was skipped")]
    pub(crate) fn mount(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let options = format!("size={size},mode=0700");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "lifeboat-test"])
            .arg(path)
            .output();
        if !mount.is_ok_and(|output| output.status.success()) {
            println!("skipped: nothing can be mounted here");
            return None;
        }
        Some(Self { path: path.to_owned() })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}
