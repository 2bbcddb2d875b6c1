//! A year of captures and backups in seconds: what is stored follows the ladder and the rules.
//!
//! `cargo test --test retention_year -- --nocapture` prints how it grows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use lifeboat_repository::{
    CheckOptions, KeepRules, LineageListing, LtxFile, Repository, Secrets, Time, base_due, check,
    points,
};
use lifeboat_storage::{MemoryStorage, Storage};

use crate::common::promise::{LADDERS, Moment, Step, links, promised};
use crate::common::rounds::{
    back_up, dropped_by, forget_all, merge_all, prune_once, tidy_up, without_waiting,
};
use crate::common::{
    Chronicle, Clocked, DAY_MS, HOUR_MS, PAGE_BYTES, SECOND_MS, START_MS, apply, clocked, keys,
};

/// The usual ladder.
const STEPS: &[Step] = LADDERS[0];
const DAYS: i64 = 365;
/// So many captures at noon, a second apart.
const BUSY: usize = 120;
/// Pages at first, and those that each day adds.
const PAGES: u32 = 1000;
const GROWTH: u32 = 2;
/// Where most of the changes are.
const HOT_PAGES: u64 = 60;

struct Year {
    clocked: Clocked,
    repository: Repository,
    secrets: Secrets,
    chronicle: Chronicle,
    dice: u64,
    bases: u64,
    merges: u64,
    captured_pages: u64,
}

/// What is stored at the end of a day.
#[derive(Debug, Default)]
struct Stored {
    objects: usize,
    bytes: u64,
    bases: Vec<u64>,
    notices: usize,
    backups: usize,
    /// Points younger than an hour, a day, and the ladder; and older.
    points: [usize; 4],
    /// Bytes of the files that end there, bases apart.
    file_bytes: [u64; 4],
}

impl Year {
    fn new() -> Self {
        let memory = MemoryStorage::new();
        Repository::init_litestream(Arc::new(memory.clone())).unwrap();
        // A day begins at midnight.
        let midnight = Time::from_millis(START_MS / DAY_MS * DAY_MS);
        let clocked = clocked(memory, midnight);
        let repository = Repository::open(Arc::new(clocked.clone())).unwrap();
        let chronicle = Chronicle::new("pi", "app");
        chronicle.begin(&repository, midnight).unwrap();
        Self {
            clocked,
            repository,
            secrets: Secrets::none(),
            chronicle,
            dice: 1,
            bases: 0,
            merges: 0,
            captured_pages: 0,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.dice >> 33) % end
    }

    /// Some rows change: two of the hot pages, or one anywhere.
    fn capture(&mut self, commit: u32) {
        let seed = self.chronicle.last() << 20;
        let pages = match self.below(20) {
            0 => vec![1 + self.below(u64::from(PAGES))],
            _ => vec![1 + self.below(HOT_PAGES), 1 + self.below(HOT_PAGES)],
        };
        let changed: Vec<(u32, u64)> =
            pages.iter().map(|page| (u32::try_from(*page).unwrap(), seed + page)).collect();
        let now = self.clocked.now();
        self.chronicle.capture(&self.repository, now, commit, &changed).unwrap();
        self.captured_pages += pages.len() as u64;
    }

    fn day(&mut self, day: i64) {
        let commit = PAGES + GROWTH * u32::try_from(day).unwrap();
        for hour in 0..24 {
            let captures = if hour == 12 { BUSY } else { 1 };
            for number in 0..captures {
                self.clocked.pass(if number > 0 { SECOND_MS } else { 0 });
                self.capture(commit);
            }
            self.clocked.pass(HOUR_MS - SECOND_MS * (i64::try_from(captures).unwrap() - 1));
        }
        self.keep_house();
    }

    /// What `backup --cleanup` does once a day, and a replication that writes bases.
    fn keep_house(&mut self) {
        let (repository, secrets, now) = (&self.repository, &self.secrets, self.clocked.now());
        back_up(repository, &self.chronicle, now).unwrap();
        let dropped = dropped_by(repository, &KeepRules::usual(), now).unwrap();
        forget_all(repository, secrets, &dropped, now).unwrap();
        self.merges += merge_all(repository, secrets, STEPS, now).unwrap().merges;
        if base_due(&self.listing().files, now).is_some() {
            self.chronicle.write_base(repository).unwrap();
            self.bases += 1;
        }
        let plan = prune_once(repository, secrets, STEPS, now, DAY_MS).unwrap();
        assert!(plan.findings.is_empty(), "{plan:?}");
    }

    fn listing(&self) -> LineageListing {
        self.repository.listing(&self.chronicle.lineage).unwrap()
    }

    fn stored(&self) -> Stored {
        let entries = self.clocked.memory.list(None).unwrap();
        let listing = self.listing();
        let now_ms = self.clocked.now().millis();
        let ages = [HOUR_MS, DAY_MS, 7 * DAY_MS];
        let rung = |time: Time| {
            let age_ms = now_ms - time.millis();
            ages.iter().filter(|most_ms| age_ms > **most_ms).count()
        };
        let mut stored = Stored {
            objects: entries.len(),
            bytes: entries.iter().map(|entry| entry.size).sum(),
            notices: keys(&self.clocked)
                .iter()
                .filter(|key| key.as_str().starts_with("deletions/"))
                .count(),
            backups: self.repository.backups().unwrap().len(),
            ..Stored::default()
        };
        for point in points(&listing.files) {
            stored.points[rung(point.time)] += 1;
        }
        for file in &listing.files {
            if is_base(file) {
                stored.bases.push(file.size());
            } else {
                stored.file_bytes[rung(file.name.time)] += file.size();
            }
        }
        stored
    }

    /// Whatever the day: no more than the ladder, the grace period and the rules account for.
    fn assert_bounded(&self, day: i64, stored: &Stored) {
        let [_, day_old, week_old, older] = stored.points;
        // Today's wait for their removal; of yesterday there are four windows of 30 seconds in the busy
        // minutes, that wait too, of the days before one of five minutes.
        assert!(day_old <= BUSY + 24, "day {day}: {stored:?}");
        assert!(week_old <= 4 + 24 + 6 * (1 + 24), "day {day}: {stored:?}");
        // Backups, the days that wait for one, and as many that wait for their removal.
        assert!(older <= 23 + 3 * (1 + 24), "day {day}: {stored:?}");
        assert!(stored.backups <= 23, "day {day}: {stored:?}");
        // A day's notice stays for a week and a day, then until there are so many.
        assert!(stored.notices <= 8 + 24 + 1, "day {day}: {stored:?}");
        // Those that are worth it, and as many that wait for their removal.
        assert!(stored.bases.len() <= 10, "day {day}: {stored:?}");
    }

    /// Every backup comes back byte by byte.
    fn assert_restores(&self) {
        let listing = self.listing();
        for (txid, _) in &listing.pins {
            let (lineage, none) = (&self.chronicle.lineage, HashMap::new());
            let way = listing.plan(lineage, *txid).unwrap();
            let bytes = apply(&self.repository, &self.secrets, lineage, &way, &none).unwrap();
            assert!(bytes == self.chronicle.bytes(txid.get()), "{txid}");
        }
    }

    /// But for what waits for its removal: beyond the ladder are the points of backups and bases, and
    /// between two backups there is one file, or a base.
    fn assert_tidy(&self) {
        let now = self.clocked.now();
        let plan = tidy_up(&self.repository, &self.secrets, STEPS, now).unwrap();
        let listing = self.listing();
        let pins: BTreeSet<u64> = listing.pins.iter().map(|(txid, _)| txid.get()).collect();
        let files = without_waiting(listing.files, &plan);
        let moments: Vec<Moment> =
            points(&files).iter().map(|point| (point.txid.get(), point.time.millis())).collect();
        let bases: BTreeSet<u64> =
            files.iter().filter(|file| is_base(file)).map(|file| file.name.max.get()).collect();
        let mut allowed = promised(&moments, &pins, STEPS, now.millis(), true);
        allowed.extend(links(&moments, &pins, &bases, STEPS, now.millis()));
        assert!(moments.iter().all(|(at, _)| allowed.contains(at)), "{moments:?}");
        let is_old = |at: &u64| now.millis() - self.chronicle.time(*at).millis() > 7 * DAY_MS;
        let old: Vec<u64> = pins.into_iter().filter(is_old).collect();
        let mut spans = 0;
        for pair in old.windows(2) {
            let between: Vec<(u64, u64)> = files
                .iter()
                .map(|file| (file.name.min.get(), file.name.max.get()))
                .filter(|(min, max)| *min > pair[0] && *max <= pair[1])
                .collect();
            spans += between.len();
            assert!(
                between == [(pair[0] + 1, pair[1])]
                    || between.is_empty() && bases.contains(&pair[1]),
                "{pair:?}: {between:?}"
            );
        }
        assert!(spans > 2, "{old:?}, {bases:?}");
    }
}

fn is_base(file: &LtxFile) -> bool {
    file.name.range().is_base()
}

#[test]
#[allow(clippy::print_stdout, reason = "whoever asks sees the table")]
fn a_year_is_stored_in_little_more_than_its_backups() {
    let mut year = Year::new();
    println!(
        "| day | captures | database KiB | objects | KiB | bases | base KiB | points ≤ 1 h | ≤ 1 d | ≤ 7 d | older | their KiB | backups | notices |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let mut last = Stored::default();
    for day in 0..DAYS {
        year.day(day);
        let stored = year.stored();
        year.assert_bounded(day, &stored);
        if day % 30 == 29 || day == DAYS - 1 {
            let report = check(&year.repository, &year.secrets, CheckOptions::all(), &mut |_| {});
            let report = report.unwrap();
            assert!(report.is_clean() && report.lost.is_empty(), "day {day}: {report:?}");
            let [hour, a_day, week, older] = stored.points;
            println!(
                "| {} | {} | {} | {} | {} | {} | {} | {hour} | {a_day} | {week} | {older} | {} | {} | {} |",
                day + 1,
                year.chronicle.last(),
                year.chronicle.page_count() * PAGE_BYTES / 1024,
                stored.objects,
                stored.bytes / 1024,
                stored.bases.len(),
                stored.bases.iter().sum::<u64>() / 1024,
                stored.file_bytes[3] / 1024,
                stored.backups,
                stored.notices,
            );
        }
        last = stored;
    }
    println!("{} bases written, {} merges", year.bases, year.merges);
    let captured = year.captured_pages * PAGE_BYTES as u64;
    assert!(last.bytes < captured / 8, "{captured} bytes captured: {last:?}");
    year.assert_restores();
    year.assert_tidy();
}
