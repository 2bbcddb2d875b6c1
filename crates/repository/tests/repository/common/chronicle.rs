//! A database as its captures made it: what a repository should give back, known apart from it.

use std::collections::BTreeSet;

use lifeboat_ltx::{
    Checksum, DatabaseChecksum, Encoder, Header, PageSize, Txid, TxidRange, page_checksum,
};
use lifeboat_repository::{
    LineageAddress, LtxName, LtxWriter, ORIGIN_VERSION, Origin, Repository, Result, Source, Time,
};

use super::database::source_of;
use super::{PAGE_BYTES, new_lineage, noise, txid};

/// What one capture found.
#[derive(Clone, Debug)]
struct Capture {
    time: Time,
    /// Pages of the database.
    commit: u32,
    /// The pages that were given other bytes, in ascending order, with the seeds of these.
    changed: Vec<(u32, u64)>,
    checksum: Checksum,
}

/// A lineage and all that was ever captured of it, from TXID 1.
#[derive(Clone, Debug)]
pub(crate) struct Chronicle {
    pub(crate) name: String,
    pub(crate) lineage: LineageAddress,
    captures: Vec<Capture>,
    /// The seeds of the pages as they are after the last capture.
    pages: Vec<u64>,
}

impl Chronicle {
    pub(crate) fn new(host: &str, name: &str) -> Self {
        let lineage = new_lineage(host, name);
        Self { name: name.to_owned(), lineage, captures: Vec::new(), pages: Vec::new() }
    }

    /// The last capture; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.captures.len() as u64
    }

    pub(crate) fn time(&self, at: u64) -> Time {
        self.at(at).time
    }

    pub(crate) fn page_count(&self) -> usize {
        self.pages.len()
    }

    fn at(&self, at: u64) -> &Capture {
        &self.captures[usize::try_from(at).unwrap() - 1]
    }

    /// The seeds of the pages at a transaction.
    fn pages_at(&self, at: u64) -> Vec<u64> {
        let mut pages = Vec::new();
        for number in 1..=at {
            let capture = self.at(number);
            apply(&mut pages, capture.commit, &capture.changed);
        }
        pages
    }

    /// The database at a transaction.
    pub(crate) fn bytes(&self, at: u64) -> Vec<u8> {
        self.pages_at(at).into_iter().flat_map(|seed| noise(seed, PAGE_BYTES)).collect()
    }

    /// How many pages a file must hold that leads from one transaction to another; from 0 it is a base.
    pub(crate) fn changed_pages(&self, from: u64, to: u64) -> usize {
        let commit = self.at(to).commit;
        let changed = (from + 1..=to).flat_map(|number| &self.at(number).changed);
        let pages: BTreeSet<u32> = changed.map(|(page, _)| *page).collect();
        pages.range(..=commit).count()
    }

    /// Writes the origin.
    pub(crate) fn begin(&self, repository: &Repository, now: Time) -> Result<()> {
        let origin = Origin {
            version: ORIGIN_VERSION,
            host: "pi".to_owned(),
            name: self.name.clone(),
            path: "/var/lib/app.db".to_owned(),
            page_size: 512,
            parent: None,
            reason: "first backup".to_owned(),
            created: now,
            node: "test".to_owned(),
        };
        repository.write_origin(&self.lineage, &origin)
    }

    /// Gives pages other bytes, cuts the database to `commit` pages or lets it grow to them, and
    /// captures that. Whether it was stored in spite of an error is for [`Chronicle::settle`] to see.
    pub(crate) fn capture(
        &mut self,
        repository: &Repository,
        now: Time,
        commit: u32,
        changed: &[(u32, u64)],
    ) -> Result<()> {
        let seed = changed.first().map_or(0, |(_, seed)| seed << 8);
        let grown = (u32::try_from(self.pages.len()).unwrap() + 1..=commit)
            .map(|page| (page, seed + u64::from(page)));
        let mut changed: Vec<(u32, u64)> =
            changed.iter().copied().filter(|(page, _)| *page <= commit).chain(grown).collect();
        changed.sort_unstable();
        changed.dedup_by_key(|(page, _)| *page);
        let time = self
            .captures
            .last()
            .map_or(now, |last| now.max(Time::from_millis(last.time.millis() + 1)));
        let checksum = self.checksum_with(commit, &changed);
        apply(&mut self.pages, commit, &changed);
        self.captures.push(Capture { time, commit, changed, checksum });
        self.write(repository, if self.last() == 1 { 9 } else { 0 }, self.last(), self.last())
    }

    /// Takes the last capture back, if the repository does not have it.
    pub(crate) fn settle(&mut self, repository: &Repository) -> Result<()> {
        let last = self.last();
        if repository.listing(&self.lineage)?.last().map_or(0, Txid::get) < last {
            self.captures.pop();
            self.pages = self.pages_at(last - 1);
        }
        Ok(())
    }

    /// Writes a base of what the database is now.
    pub(crate) fn write_base(&self, repository: &Repository) -> Result<()> {
        self.write(repository, 9, 1, self.last())
    }

    fn checksum_with(&self, commit: u32, changed: &[(u32, u64)]) -> Checksum {
        let before = self.captures.last().map_or(Checksum::EMPTY, |last| last.checksum);
        let mut checksum = DatabaseChecksum::resume(before);
        let mut toggle = |page: u32, seed: u64| {
            checksum.toggle(page_checksum(page, &noise(seed, PAGE_BYTES)));
        };
        for (page, seed) in (1..).zip(&self.pages).skip(commit as usize) {
            toggle(page, *seed);
        }
        for (page, seed) in changed {
            if let Some(former) = self.pages.get(*page as usize - 1) {
                toggle(*page, *former);
            }
            toggle(*page, *seed);
        }
        checksum.value()
    }

    /// Writes a capture, or the base at it if `min` is 1.
    fn write(&self, repository: &Repository, level: u8, min: u64, max: u64) -> Result<()> {
        let (min, max) = (txid(min), txid(max));
        let capture = self.at(max.get());
        let name = LtxName { level, min, max, time: capture.time };
        let range = TxidRange::new(min, max).unwrap();
        let mut header = Header::new(PageSize::new(512).unwrap(), capture.commit, range);
        header.timestamp_ms = name.time.millis();
        header.node = self.lineage.id().node();
        let whole: Vec<(u32, u64)>;
        let mut pages = &capture.changed;
        if range.is_base() {
            whole = (1..).zip(self.pages.iter().copied()).collect();
            pages = &whole;
        } else {
            header.checksum_before = Some(self.at(max.get() - 1).checksum);
            header.checksum_after = Some(capture.checksum);
        }
        let writer = repository.begin_ltx(&self.lineage, name, 0)?;
        let (failed, coding) = (LtxWriter::explain, repository.form().page_coding());
        let mut encoder = Encoder::with_coding(writer, &header, coding).map_err(failed)?;
        for (page, seed) in pages {
            encoder.write_page(*page, &noise(*seed, PAGE_BYTES)).map_err(failed)?;
        }
        encoder.finish().map_err(failed)?.0.finish()?.publish()?;
        Ok(())
    }

    /// What a manifest says of the last capture.
    pub(crate) fn source(&self, repository: &Repository) -> Result<Source> {
        let last = self.last();
        let listing = repository.listing(&self.lineage)?;
        let plan = listing.plan(&self.lineage, txid(last))?;
        let objects = plan.iter().flat_map(|file| &file.objects);
        let objects =
            objects.map(|object| repository.object(&object.key)).collect::<Result<_>>()?;
        let capture = self.at(last);
        let (lineage, txid) = (self.lineage.id(), txid(last));
        let mut source = source_of(&self.name, lineage, txid, capture.time, capture.checksum);
        source.page_count = capture.commit;
        source.size_bytes = u64::from(capture.commit) * PAGE_BYTES as u64;
        source.objects = objects;
        Ok(Source::Database(Box::new(source)))
    }
}

fn apply(pages: &mut Vec<u64>, commit: u32, changed: &[(u32, u64)]) {
    pages.resize(commit as usize, 0);
    for (page, seed) in changed {
        pages[*page as usize - 1] = *seed;
    }
}
