//! Long runs of zeros take no room.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use lifeboat_files::{Decision, Put, PutOptions};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::tree::{assert_well, file, options, scratch};

/// Writes content in pieces of one size. Returns the KiB that it takes.
fn store(content: &[u8], piece: usize, sparse: bool) -> u64 {
    let scratch = scratch();
    let node = file("file", content, 1);
    let mut put = Put::open(scratch.path(), PutOptions { sparse, ..options() }).unwrap();
    let Decision::Write(mut file) = put.file("file".as_ref(), &node.entry) else { panic!() };
    for part in content.chunks(piece) {
        file.write_all(part).unwrap();
    }
    file.commit();
    assert_well(&put.finish());
    let path = scratch.path().join("file");
    assert!(fs::read(&path).unwrap() == content);
    // A file system may take its time to find room for what was written.
    fs::File::open(&path).unwrap().sync_all().unwrap();
    fs::metadata(path).unwrap().blocks() / 2
}

#[test]
fn room() {
    const KIB: usize = 1024;
    let zeros = |kib: usize| vec![0; kib * KIB];
    let data = |kib: usize| vec![1; kib * KIB];
    let cases = [
        ("between data", [data(4), zeros(1024), data(4)].concat(), 8),
        ("in front", [zeros(1024), data(4)].concat(), 4),
        ("at the end", [data(4), zeros(1024)].concat(), 4),
        ("nothing else", zeros(1024), 0),
        ("just enough", [data(4), zeros(64), data(4)].concat(), 8),
        ("too few", [data(4), zeros(60), data(4)].concat(), 68),
        ("not on a border", [vec![1; 100], zeros(1024), vec![1; 100]].concat(), 8),
    ];
    for (what, content, kib) in cases {
        for piece in [content.len(), 1000, 4096, 65536] {
            let room = store(&content, piece, true);
            assert!(room <= kib + 4, "{what}: {room} KiB in pieces of {piece}");
            assert!(room >= kib, "{what}: {room} KiB in pieces of {piece}");
        }
        let full = content.len() as u64 / 1024;
        assert!(store(&content, content.len(), false) >= full, "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_content(
        runs in vec((any::<bool>(), prop_oneof![0usize..5000, 60_000usize..150_000]), 0..6),
        piece in prop_oneof![100usize..5000, 60_000usize..200_000],
    ) {
        let mut content = Vec::new();
        for (is_zero, length) in runs {
            content.resize(content.len() + length, u8::from(!is_zero));
        }
        store(&content, piece, true);
        store(&content, piece, false);
    }
}
