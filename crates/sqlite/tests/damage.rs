//! Files that are missing, cut, not databases, or hold what SQLite alone cannot make sense of.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, bytes, oracle, run};
use lifeboat_sqlite::{Error, pin, read_header};

const TABLE: &str = "CREATE TABLE t(x); INSERT INTO t SELECT randomblob(9000)
    FROM pragma_function_list LIMIT 20;";

#[test]
fn a_missing_database_is_not_made() {
    let place = Place::new();
    std::os::unix::fs::symlink("nowhere", place.path("link")).unwrap();
    for name in ["app.db", "link", "no/directory"] {
        let error = pin(&place.path(name), &place.scratch()).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error:?}");
        let error = read_header(&place.path(name)).unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    }
    assert_eq!(place.names(), ["link"]);
}

#[test]
fn what_is_not_a_database_is_named_so() {
    let place = Place::new();
    let random: Vec<u8> =
        (0..40_960_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut header = b"SQLite format 3\0".to_vec();
    header.resize(4096, 0);
    let contents: [&[u8]; 5] = [b"x", b"#!/bin/sh\n", &random, &header, &[0; 100_000]];
    for content in contents {
        std::fs::write(&place.database, content).unwrap();
        let error = pin(&place.database, &place.scratch()).unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
        assert_eq!(read_header(&place.database).unwrap(), None);
    }
    let error = pin(place.directory.path(), &place.path("app.db")).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
    // To open it would wait for a writer.
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("pipe"), 0o600.into()).unwrap();
    let error = pin(&place.path("pipe"), &place.scratch()).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error:?}");
}

#[test]
fn a_file_that_was_cut_is_corrupt_and_the_page_is_named() {
    for mode in ["wal", "delete"] {
        let (place, writer) = Place::with(&format!("PRAGMA journal_mode={mode}; {TABLE}"));
        writer.close().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&place.database).unwrap();
        let length = file.metadata().unwrap().len();
        for (cut, page) in
            [(1, length / 4096), (4096, length / 4096), (length - 8192, 3), (length - 200, 1)]
        {
            file.set_len(length - cut).unwrap();
            let error =
                pin(&place.database, &place.scratch()).and_then(|pin| pin.image().map(|_| ()));
            let Err(Error::Corrupt { detail, .. }) = error else {
                panic!("{mode}, {cut}: {error:?}")
            };
            assert!(detail.contains(&format!("page {page} of")), "{mode}, {cut}: {detail}");
        }
    }
}

#[test]
fn a_file_cut_while_it_is_read_is_corrupt() {
    let (place, _writer) = Place::with(TABLE);
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    let image = pinned.image().unwrap();
    assert!(bytes(&image).len() > 100_000);
    let file = std::fs::OpenOptions::new().write(true).open(&place.database).unwrap();
    file.set_len(8192).unwrap();
    let mut buffer = vec![0; 4096 * 4];
    let error = image.read(1, &mut buffer).unwrap_err();
    assert!(error.to_string().contains("page 3 of"), "{error}");
    assert!(image.page(2).is_ok());
}

#[test]
fn pages_outside_of_the_image_are_refused() {
    let (place, _writer) = Place::with(TABLE);
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    let image = pinned.image().unwrap();
    for (first, length) in [
        (0, 4096),
        (image.page_count() + 1, 4096),
        (image.page_count(), 8192),
        (1, 100),
        (u32::MAX, 4096),
    ] {
        let error = image.read(first, &mut vec![0; length]).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    }
}

/// SQLite would take the file for a new database and delete the WAL.
#[test]
fn a_wal_beside_an_empty_file_is_not_deleted() {
    let (place, writer) = Place::with(&format!("PRAGMA journal_mode=wal; {TABLE}"));
    let wal = std::fs::read(place.sidecar("-wal")).unwrap();
    writer.close().unwrap();
    std::fs::write(&place.database, "").unwrap();
    std::fs::write(place.sidecar("-wal"), &wal).unwrap();
    let error = pin(&place.database, &place.scratch()).unwrap_err();
    assert!(error.to_string().contains("a WAL with content"), "{error}");
    assert!(std::fs::read(place.sidecar("-wal")).unwrap() == wal);
}

/// A frame that was changed after it was committed: SQLite, which checks frames only when it makes
/// the index, would hand it out.
#[test]
fn a_damaged_frame_is_corrupt() {
    use std::os::unix::fs::FileExt;
    let (place, _writer) =
        Place::with(&format!("PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0; {TABLE}"));
    let wal = std::fs::OpenOptions::new().write(true).open(place.sidecar("-wal")).unwrap();
    wal.write_all_at(b"!", 32 + 3 * (4096 + 24) + 1000).unwrap();
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    let error = pinned.image().unwrap_err();
    assert!(error.to_string().contains("the checksum of frame 4"), "{error}");
}

#[test]
fn a_malformed_schema_does_not_keep_pages_from_being_read() {
    for sql in [
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE t(' WHERE name = 't'",
        "UPDATE sqlite_schema SET type = x'ff00', name = 7, rootpage = 'x' WHERE name = 't'",
        "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 't'",
    ] {
        let (place, writer) = Place::with(TABLE);
        let expected = oracle(&place.database).len();
        run(&writer, &format!("PRAGMA writable_schema=on; {sql}"));
        drop(writer);
        let pinned = pin(&place.database, &place.scratch()).unwrap();
        let image = bytes(&pinned.image().unwrap());
        assert_eq!(image.len(), expected);
        assert!(image == std::fs::read(&place.database).unwrap());
        assert_eq!(pinned.schema().unwrap().sha256.len(), 64);
    }
}

#[test]
fn a_root_page_of_garbage_does_not_keep_pages_from_being_read() {
    let (place, writer) = Place::with(TABLE);
    drop(writer);
    let mut file = std::fs::read(&place.database).unwrap();
    file[100..4096].fill(0xee);
    std::fs::write(&place.database, &file).unwrap();
    let pinned = pin(&place.database, &place.scratch()).unwrap();
    assert!(bytes(&pinned.image().unwrap()) == file);
    assert!(matches!(pinned.schema(), Err(Error::Corrupt { .. })));
}
