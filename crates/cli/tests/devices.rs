//! Real block devices: saved, and written over when that is asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Dice, Home, is_root, skip};

const BYTES: u64 = 4 << 20;

/// A block device that is a file, detached when dropped.
struct LoopDevice {
    device: PathBuf,
}

impl LoopDevice {
    /// `None` where there can be none; with `LIFEBOAT_REQUIRE_ORACLES` set, where the kernel has them and they are
    /// refused to root, it fails.
    fn attach(file: &Path) -> Option<Self> {
        let attached = Command::new("losetup").args(["-f", "--show"]).arg(file).output();
        let device = attached.ok().filter(|output| output.status.success());
        let device = device.map(|output| String::from_utf8(output.stdout).unwrap());
        let has_them = is_root() && Path::new("/dev/loop-control").exists();
        let is_required = has_them && std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_some();
        assert!(device.is_some() || !is_required, "losetup is missing, or refused");
        if device.is_none() {
            skip("there are no loop devices here");
        }
        Some(Self { device: PathBuf::from(device?.trim_end()) })
    }

    fn text(&self) -> &str {
        self.device.to_str().unwrap()
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

/// A device of random bytes, with zeros in the middle.
fn filled(home: &Home, name: &str, seed: u64, bytes: u64) -> Option<(LoopDevice, Vec<u8>)> {
    let mut dice = Dice::new(seed);
    let mut content: Vec<u8> = (0..bytes).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
    content[1 << 20..2 << 20].fill(0);
    let file = home.write(name, &content);
    Some((LoopDevice::attach(&file)?, content))
}

fn read(device: &LoopDevice) -> Vec<u8> {
    assert!(fs::metadata(&device.device).unwrap().file_type().is_block_device());
    fs::read(&device.device).unwrap()
}

#[test]
fn a_device_is_saved_and_put_onto_another() {
    let home = Home::new();
    let Some((disk, content)) = filled(&home, "disk", 1, BYTES) else { return };
    let Some((other, before)) = filled(&home, "other", 2, BYTES + (1 << 20)) else { return };
    let summary = home.json(&["backup", disk.text()]);
    let source = &summary["sources"][0];
    assert_eq!((&source["kind"], &source["size_bytes"]), (&"device".into(), &BYTES.into()));
    assert_eq!(source["path"], disk.text());

    let refused = home.run(&["restore", disk.text(), "--target", other.text()]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("what is on a device is lost"), "{refused:?}");
    assert!(read(&other) == before, "it was written to without --force");
    let planned = ["restore", disk.text(), "--target", other.text(), "--force", "--dry-run"];
    home.ok(&planned);
    assert!(read(&other) == before, "it was written to in a dry run");

    home.ok(&planned[..5]);
    let after = read(&other);
    let (restored, rest) = after.split_at(content.len());
    assert!(restored == content, "it is not what was saved");
    assert!(rest == &before[content.len()..], "what lies behind it was written to");
}

#[test]
fn a_device_that_is_too_small_stays_as_it_is() {
    let home = Home::new();
    let Some((disk, _)) = filled(&home, "disk", 1, BYTES) else { return };
    let Some((small, before)) = filled(&home, "small", 2, BYTES / 2) else { return };
    home.ok(&["backup", disk.text()]);
    let refused = home.run(&["restore", disk.text(), "--target", small.text(), "--force"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("choose a larger device"), "{refused:?}");
    assert!(read(&small) == before);
}
