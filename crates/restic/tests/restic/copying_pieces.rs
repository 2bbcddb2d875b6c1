//! Copied pieces of files stay compressed as they are.

use std::collections::BTreeMap;
use std::fs;

use lifeboat_restic::{
    ArchiveOptions, BlobId, BlobKind, CopyOptions, Index, ResticRepository, SnapshotCopier, archive,
};
use lifeboat_storage::MemoryStorage;

use crate::common::{Place, display, have_restic};
use crate::fixture::noise;
use crate::script::{Script, new_repository, options, read_all, snapshots};

/// Lines that a higher level compresses better.
fn text(lines: u64) -> Vec<u8> {
    let words: Vec<_> = noise(7, 4096).chunks(8).map(|word| format!("{word:?}")).collect();
    let mut text = Vec::new();
    for line in noise(lines, usize::try_from(lines).unwrap() * 4).chunks(4) {
        for number in line {
            text.extend_from_slice(words[usize::from(*number)].as_bytes());
        }
        text.push(b'\n');
    }
    text
}

/// The sealed length of each piece of a file, and its plain length where it is compressed.
fn pieces(repository: &ResticRepository) -> BTreeMap<BlobId, (u32, u32)> {
    let index = Index::load(repository).unwrap();
    let pieces = index.blobs(BlobKind::Data);
    pieces.map(|(id, at)| (id, (at.extent.length, at.extent.uncompressed_length))).collect()
}

fn sealed_bytes(repository: &ResticRepository) -> u64 {
    pieces(repository).values().map(|(length, _)| u64::from(*length)).sum()
}

fn plain_bytes(repository: &ResticRepository) -> u64 {
    let index = Index::load(repository).unwrap();
    index.blobs(BlobKind::Data).map(|(_, at)| u64::from(at.extent.plain_length())).sum()
}

/// Copies all snapshots; how many bytes of files were told.
fn copy_all(from: &ResticRepository, to: &ResticRepository) -> u64 {
    let mut copier = SnapshotCopier::open(from.clone(), Some(to.clone())).unwrap();
    let told = std::cell::Cell::new(0);
    for snapshot in snapshots(from) {
        let tree = from.snapshot(&snapshot).unwrap().tree;
        let progress = |bytes| told.set(told.get() + bytes);
        let options = CopyOptions::default();
        let copied = copier.copy(&snapshot, tree, &options, &|| Ok(()), &progress).unwrap();
        assert_eq!(read_all(to, &copied.snapshot).unwrap(), read_all(from, &snapshot).unwrap());
    }
    told.get()
}

#[test]
fn a_copy_keeps_the_level_of_the_source() {
    let archived = |level| {
        let repository = new_repository(MemoryStorage::new());
        let mut script = Script::default()
            .file("/empty", *b"")
            .file("/noise", noise(1, 50_000))
            .file("/text", text(4000))
            .file("/zeros", vec![0; 9_000_000]);
        let options = ArchiveOptions { level, ..options(None) };
        let mut index = Index::default();
        archive(&repository, &mut index, &mut script, &options, &|| Ok(()), &()).unwrap();
        repository
    };
    let (from, to) = (archived(19), new_repository(MemoryStorage::new()));
    let told = copy_all(&from, &to);
    assert_eq!(pieces(&to), pieces(&from));
    assert_eq!(told, plain_bytes(&from));
    // At the level of the copy they would be longer.
    assert!(sealed_bytes(&archived(1)) > sealed_bytes(&from));
}

/// What restic stored, compressed as much as it can and not at all; restic checks and restores the copies.
#[test]
fn restic_reads_copies_of_whatever_it_compressed() {
    if !have_restic() {
        return;
    }
    let place = Place::new();
    let from = place.init();
    let files = place.path("files");
    fs::create_dir(&files).unwrap();
    for (name, compression) in [("first", "max"), ("second", "off")] {
        let lines = 4000 + name.len() as u64;
        fs::write(files.join(name), text(lines)).unwrap();
        fs::write(files.join("noise"), noise(lines, 200_000)).unwrap();
        place.restic(&["backup", "--compression", compression, &display(&files)]);
    }
    let target = Place::new();
    let to = target.init();
    copy_all(&from, &to);

    let (before, after) = (pieces(&from), pieces(&to));
    let is_compressed = |piece: &&(u32, u32)| piece.1 > 0;
    assert!(before.values().any(|piece| piece.1 == 0 && piece.0 > 400_000), "{before:?}");
    for (id, piece) in &before {
        if is_compressed(&piece) {
            assert_eq!(after[id], *piece);
        }
    }
    // What restic was told not to compress is compressed, but for noise.
    assert_eq!(after.values().filter(|piece| !is_compressed(piece)).count(), 1, "{after:?}");
    assert!(target.restic(&["check", "--read-data"]).contains("no errors were found"));
    let restored = target.path("restored");
    target.restic(&["restore", "latest", "--verify", "--target", &display(&restored)]);
    let restored = restored.join(files.strip_prefix("/").unwrap());
    for name in ["first", "second", "noise"] {
        assert_eq!(fs::read(restored.join(name)).unwrap(), fs::read(files.join(name)).unwrap());
    }
}
