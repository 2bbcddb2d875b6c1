//! Other processes write while this one pins, reads, scans and restores.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{
    ACCOUNTS, BALANCE, Place, Reader, Tool, assert_same, bank, base, bytes, naive_checksum,
    page_table, require_tool, soak, value,
};
use lifeboat_ltx::Checksum;
use lifeboat_sqlite::{
    Changes, Moment, PageArray, Pin, Since, apply_changes, changed_pages, integrity_check, pin,
    scan, scan_pages, since,
};
use rusqlite::Connection;

const WRITERS: usize = 2;
/// How long each storm lasts; `LIFEBOAT_SOAK` multiplies it.
const SECONDS: f64 = 2.0;

/// What is captured of the bank, scan after scan.
struct Captures {
    bytes: Vec<u8>,
    checksum: Checksum,
    moment: Option<Moment>,
    /// Captures that took no scan.
    followed: u32,
}

impl Captures {
    fn next(&mut self, pinned: &Pin, current: &[u8], place: &Place) {
        let image = &pinned.image().unwrap();
        let page_size = image.page_size();
        let array = PageArray::open(&place.path("pages")).unwrap();
        let changes = place.path("changes");
        let found = scan(image, &array, self.checksum, &changes, 2, &|_| ()).unwrap();
        self.follow(pinned, &array, &found, place);
        let size = page_size.bytes();
        self.bytes.resize(current.len(), 0);
        for pgno in changed_pages(&changes).unwrap() {
            let page = (pgno as usize - 1) * size..pgno as usize * size;
            self.bytes[page.clone()].copy_from_slice(&current[page]);
        }
        assert_same(&self.bytes, current, size, "the changed pages on top of the former ones");
        self.checksum = found.checksum;
        assert_eq!(self.checksum, naive_checksum(current, page_size));
        apply_changes(&changes, &array).unwrap();
    }

    /// What is found from the former moment on is what the scan found.
    fn follow(&mut self, pinned: &Pin, array: &PageArray, found: &Changes, place: &Place) {
        let now = settled_by_ticks(*pinned.moment().unwrap());
        let earlier = self.moment.replace(now).unwrap();
        match since(pinned, &earlier).unwrap() {
            Since::Nothing => assert!(found.none()),
            Since::Pages { image, pages } => {
                let (before, changes) = (self.checksum, place.path("followed"));
                let part = scan_pages(&image, array, before, &pages, &changes, 2, &|_| ()).unwrap();
                assert_eq!(part.checksum, found.checksum);
                let (part, whole) = (std::fs::read(changes), std::fs::read(place.path("changes")));
                assert!(part.unwrap() == whole.unwrap());
            }
            Since::Anything { .. } => return,
        }
        self.followed += 1;
    }
}

/// Here file times have steps of ten milliseconds at most, and the pin keeps the file as it is.
fn settled_by_ticks(moment: Moment) -> Moment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let written = moment.file.modified_ns.max(moment.file.changed_ns);
    Moment { settled: now.as_nanos() > u128::from(written.unsigned_abs()) + 20_000_000, ..moment }
}

fn check_image(image: &[u8], path: &Path) {
    std::fs::write(path, image).unwrap();
    integrity_check(path).unwrap();
    let connection = Connection::open(path).unwrap();
    let sum: i64 = value(&connection, "SELECT sum(balance) FROM accounts");
    assert_eq!(sum, ACCOUNTS * BALANCE, "money was lost or made");
    // The copy of a WAL database has made files beside it.
    drop(connection);
}

/// Images taken while two processes write; how many could be compared byte for byte, and how many
/// took no scan.
#[allow(clippy::print_stdout, reason = "says how much a long storm has done")]
fn storm(mode: &str, checkpoint: &str) -> (u32, u32, u32) {
    let place = bank(mode);
    let scratch = place.scratch();
    let database = place.database.to_str().unwrap().to_owned();
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|seed| {
            let arguments = [&database, checkpoint, &seed.to_string()];
            Tool::python(include_str!("common/storm.py"), &arguments)
        })
        .collect();
    for writer in &mut writers {
        assert_eq!(writer.line(), "ready");
    }

    let (first, second) = (Reader::new(&place), Reader::new(&place));
    // Before the first commit there is no WAL to follow.
    while first.begin().0 == 0 {
        first.end();
    }
    first.end();
    let mut captures = {
        let pinned = pin(&place.database, &scratch).unwrap();
        let image = pinned.image().unwrap();
        let (_, checksum) = base(&image, &place.path("pages"));
        let moment = pinned.moment().copied();
        Captures { bytes: bytes(&image), checksum, moment, followed: 0 }
    };
    let (mut images, mut compared) = (0, 0);
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < SECONDS * soak() {
        let before = first.begin();
        let pinned = pin(&place.database, &scratch).unwrap();
        let same = second.begin() == before;
        second.end();
        let expected = same.then(|| page_table(&first.0));
        first.end();
        // Commits and checkpoints come before the WAL is read, and while it is.
        std::thread::sleep(Duration::from_millis(images % 4 * 3));
        let image = pinned.image().unwrap();
        let current = bytes(&image);
        let what = format!("{mode}, {checkpoint}, image {images}");
        if let Some(expected) = expected {
            assert_same(&current, &expected, image.page_size().bytes(), &what);
            compared += 1;
        }
        std::thread::sleep(Duration::from_millis(images % 3 * 2));
        assert_same(&bytes(&image), &current, image.page_size().bytes(), &what);
        captures.next(&pinned, &current, &place);
        drop(pinned);
        check_image(&current, &place.path("image.db"));
        images += 1;
    }
    for writer in writers {
        assert!(writer.finish(), "a writer failed");
    }
    let rest = place.open();
    let ticks: i64 = value(&rest, "SELECT ticks FROM clock");
    let answer: String = value(&rest, "PRAGMA integrity_check");
    assert_eq!(answer, "ok");
    let followed = captures.followed;
    let done = format!(
        "{mode}, {checkpoint}: {ticks} commits, {images} images, {compared} compared, \
         {followed} without a scan"
    );
    println!("{done}");
    assert!(ticks > 10 && images > 2, "{done}");
    (u32::try_from(images).unwrap(), compared, followed)
}

#[test]
fn wal_under_every_kind_of_checkpoint() {
    if !require_tool("python3") {
        return;
    }
    let mut compared = 0;
    for checkpoint in ["auto", "none", "passive", "full", "restart", "truncate", "mixed"] {
        let (images, same, followed) = storm("wal", checkpoint);
        compared += same;
        // Without checkpoints the WAL only grows.
        let expected = if checkpoint == "none" { images } else { 0 };
        assert!(followed >= expected, "{checkpoint}: {followed} of {images}");
    }
    assert!(compared > 0);
}

#[test]
fn rollback_journals_of_every_kind() {
    if !require_tool("python3") {
        return;
    }
    for mode in ["delete", "truncate", "persist"] {
        let (images, compared, _) = storm(mode, "delete");
        // The pin keeps writers out, but one may have come before it.
        assert!(compared * 2 >= images, "{mode}: {compared} of {images}");
    }
}
