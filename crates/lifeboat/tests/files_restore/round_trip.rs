//! What was backed up is what is restored.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::look::{assert_same, look, odd_links};
use crate::machine::{Files, below};
use crate::random::{Attributes, Dice, edit, edit_with};

#[test]
fn trees_by_chance_come_back_with_all_their_metadata() {
    for seed in 0..8 {
        let files = Files::new();
        let mut dice = Dice(seed);
        for round in 0..3 {
            edit(&files.root(), &mut dice, 25);
            files.back_up();
            files.assert_round_trip(&format!("seed {seed}, round {round}"));
        }
        // What changed since is put in place of what is there.
        let before = look(&files.root());
        let name = format!("seed {seed}, round 2");
        edit_with(Attributes::None, &files.restored_root(&name), &mut dice, 15);
        let request = lifeboat::FilesRestoreRequest {
            target: Some(files.base().join(&name)),
            delete: true,
            ..crate::machine::usual()
        };
        let report = files.restore(&request);
        assert_eq!(report.problem_count, 0, "{report:?}");
        assert_same(&look(&files.restored_root(&name)), &before, &name);
    }
}

#[test]
fn long_zeros_take_no_room() {
    let files = Files::new();
    let path = files.write("image", "begin");
    fs::File::options().write(true).open(&path).unwrap().set_len(20_000_000).unwrap();
    files.back_up();
    files.assert_round_trip("out");
    let restored = files.restored_root("out").join("image").metadata().unwrap();
    assert_eq!(restored.len(), 20_000_000);
    assert!(restored.blocks() * 512 < 1_000_000, "{} blocks", restored.blocks());
}

#[test]
fn many_files_of_many_sizes() {
    let files = Files::new();
    let mut dice = Dice(5);
    for number in 0..1500_u64 {
        let content: Vec<u8> = (0..dice.below(50)).flat_map(|_| number.to_le_bytes()).collect();
        files.write(&format!("d{}/{number}", number % 7), content);
    }
    let large: Vec<u8> = (0..9_000_000_u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes())
        .collect();
    files.write("d3/large", &large);
    files.write("large again", &large);
    files.back_up();
    files.assert_round_trip("out");
}

#[test]
fn what_restic_restores_is_the_same() {
    if !have_restic() {
        return;
    }
    let files = Files::new();
    edit(&files.root(), &mut Dice(77), 60);
    files.back_up();
    let context = files.context();
    let opened = context.open_repository().unwrap();
    let target = files.base().join("by restic");
    let restic = Command::new("restic")
        .env("RESTIC_PASSWORD_FILE", context.default_password_file())
        .arg("-r")
        .arg(opened.repository().location())
        .args(["--no-cache", "restore", "latest", "--verify", "--target"])
        .arg(&target)
        .output()
        .unwrap();
    assert!(restic.status.success(), "{}", String::from_utf8_lossy(&restic.stderr));
    files.assert_round_trip("by us");
    let mut by_restic = look(&below(&target, &files.root()));
    let mut by_us = look(&files.restored_root("by us"));
    // Older ones read only the target of a link that is text.
    for odd in odd_links(&by_us) {
        by_restic.remove(&odd);
        by_us.remove(&odd);
    }
    assert_same(&by_restic, &by_us, "restic");
}

/// Whether restic is here. Where LIFEBOAT_REQUIRE_ORACLES is set, it must be.
#[allow(clippy::print_stdout, reason = "a test that does nothing says so")]
fn have_restic() -> bool {
    if Command::new("restic").arg("version").output().is_ok_and(|run| run.status.success()) {
        return true;
    }
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "restic is missing");
    println!("skipped: restic is missing");
    false
}
