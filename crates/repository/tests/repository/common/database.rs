//! A database of random pages, captured without SQLite.

use std::collections::{BTreeMap, HashMap};

use lifeboat_ltx::{
    Checksum, DatabaseChecksum, Encoder, Header, PageCoding, PageSize, Txid, TxidRange, WalRange,
    page_checksum,
};
use lifeboat_repository::{
    DatabaseSource, LineageAddress, LineageId, LtxName, LtxWriter, ORIGIN_VERSION, ObjectRef,
    Origin, Repository, Result, Source, Time,
};

use super::{PAGE_BYTES, START_MS, new_lineage, noise, txid};

/// A database, and what a host remembers of its captures.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) lineage: LineageAddress,
    pub(crate) pages: Vec<Vec<u8>>,
    /// The last capture, 0 before the first.
    pub(crate) last: u64,
    pub(crate) clock_ms: i64,
    /// What the database was at each capture.
    pub(crate) captures: BTreeMap<u64, Vec<u8>>,
    pub(crate) captured: Vec<Vec<u8>>,
    known: HashMap<String, ObjectRef>,
    /// Remembered before the last object of a file gets its name.
    pending: Option<Pending>,
}

/// A file whose writing was not seen to succeed, with the pages that it leads to.
#[derive(Clone)]
struct Pending {
    name: LtxName,
    objects: Vec<ObjectRef>,
    pages: Vec<Vec<u8>>,
}

impl Database {
    pub(crate) fn new(host: &str, name: &str, pages: u64) -> Self {
        Self {
            host: host.to_owned(),
            name: name.to_owned(),
            lineage: new_lineage(host, name),
            pages: (1..=pages).map(|page| noise(page, PAGE_BYTES)).collect(),
            last: 0,
            clock_ms: START_MS,
            captures: BTreeMap::new(),
            captured: Vec::new(),
            known: HashMap::new(),
            pending: None,
        }
    }

    /// Gives a page other bytes; the one after the last grows the database.
    pub(crate) fn change(&mut self, page: usize, seed: u64) {
        if page > self.pages.len() {
            self.pages.push(Vec::new());
        }
        self.pages[page - 1] = noise(seed, PAGE_BYTES);
    }

    pub(crate) fn checksum(&self) -> Checksum {
        database_checksum(&self.pages)
    }

    pub(crate) fn begin_lineage(&self, repository: &Repository) -> Result<()> {
        let origin = Origin {
            version: ORIGIN_VERSION,
            host: self.host.clone(),
            name: self.name.clone(),
            path: "/var/lib/app.db".to_owned(),
            page_size: 512,
            parent: None,
            reason: "first backup".to_owned(),
            created: Time::from_millis(self.clock_ms),
            node: "test".to_owned(),
        };
        repository.write_origin(&self.lineage, &origin)
    }

    /// Captures what the database is now: the first time as a base, later as a delta.
    pub(crate) fn capture(&mut self, repository: &Repository) -> Result<()> {
        if let Some(pending) = self.pending.take()
            && repository.listing(&self.lineage)?.files.iter().any(|file| file.name == pending.name)
        {
            // A former try succeeded, though it was not told so.
            self.captured_as(pending);
            if self.captured == self.pages {
                return Ok(());
            }
        }
        if self.last == 0 {
            return self.write_base(repository, 1);
        }
        self.clock_ms += 60_000;
        let name = self.name_of(0, self.last + 1, self.last + 1);
        let changed: Vec<u32> = (1_u32..)
            .zip(&self.pages)
            .filter(|(number, page)| self.captured.get(*number as usize - 1) != Some(page))
            .map(|(number, _)| number)
            .collect();
        let mut header = self.header(&name);
        header.checksum_before = Some(database_checksum(&self.captured));
        header.checksum_after = Some(self.checksum());
        header.wal = WalRange { offset: 32, size: 0, salts: [0, 0] };
        self.write(repository, name, &header, &changed)
    }

    /// Writes a base of what the database is now, which must be the state at this TXID.
    pub(crate) fn write_base(&mut self, repository: &Repository, at: u64) -> Result<()> {
        self.clock_ms += 60_000;
        let mut name = self.name_of(9, 1, at);
        if let Some(point) =
            repository.listing(&self.lineage)?.files.iter().find(|file| file.name.max == name.max)
        {
            name.time = point.name.time;
        }
        let all: Vec<u32> = (1_u32..).zip(&self.pages).map(|(number, _)| number).collect();
        self.write(repository, name, &self.header(&name), &all)
    }

    /// Writes what a merge from `min` to the last capture would, though with every page.
    pub(crate) fn write_merge(
        &mut self,
        repository: &Repository,
        min: u64,
        before: Checksum,
    ) -> Result<()> {
        let name = self.name_of(1, min, self.last);
        let mut header = self.header(&name);
        (header.checksum_before, header.checksum_after) = (Some(before), Some(self.checksum()));
        let all: Vec<u32> = (1_u32..).zip(&self.pages).map(|(number, _)| number).collect();
        self.write(repository, name, &header, &all)
    }

    fn name_of(&self, level: u8, min: u64, max: u64) -> LtxName {
        let time = Time::from_millis(self.clock_ms);
        LtxName { level, min: txid(min), max: txid(max), time }
    }

    fn header(&self, name: &LtxName) -> Header {
        let commit = u32::try_from(self.pages.len()).unwrap();
        let range = TxidRange::new(name.min, name.max).unwrap();
        let mut header = Header::new(PageSize::new(512).unwrap(), commit, range);
        header.timestamp_ms = name.time.millis();
        header.node = self.lineage.id().node();
        header
    }

    fn write(
        &mut self,
        repository: &Repository,
        name: LtxName,
        header: &Header,
        pages: &[u32],
    ) -> Result<()> {
        let writer = repository.begin_ltx(&self.lineage, name, 0)?;
        let coding = repository.form().page_coding();
        let sealed = encode(writer, header, coding, pages, &self.pages)?.finish()?;
        let pending =
            Pending { name, objects: sealed.objects().to_vec(), pages: self.pages.clone() };
        self.pending = Some(pending.clone());
        sealed.publish()?;
        self.pending = None;
        self.captured_as(pending);
        Ok(())
    }

    fn captured_as(&mut self, Pending { name, objects, pages }: Pending) {
        self.last = name.max.get();
        self.clock_ms = self.clock_ms.max(name.time.millis());
        self.captures.insert(self.last, pages.concat());
        self.captured = pages;
        self.known.extend(objects.into_iter().map(|object| (object.key.clone(), object)));
    }

    /// What a manifest says of the last capture.
    pub(crate) fn source(&self, repository: &Repository) -> Result<Source> {
        let listing = repository.listing(&self.lineage)?;
        let plan = listing.plan(&self.lineage, txid(self.last))?;
        let objects = plan.iter().flat_map(|file| &file.objects);
        let time = plan[plan.len() - 1].name.time;
        let (lineage, at) = (self.lineage.id(), txid(self.last));
        let mut source = source_of(&self.name, lineage, at, time, self.checksum());
        source.page_count = u32::try_from(self.pages.len()).unwrap();
        source.size_bytes = (self.pages.len() * PAGE_BYTES) as u64;
        let objects = objects.map(|object| match self.known.get(object.key.as_str()) {
            Some(object) => Ok(object.clone()),
            None => repository.object(&object.key),
        });
        source.objects = objects.collect::<Result<_>>()?;
        Ok(Source::Database(Box::new(source)))
    }
}

/// A point of a database without pages: what does not depend on them.
pub(crate) fn source_of(
    name: &str,
    lineage: LineageId,
    at: Txid,
    time: Time,
    checksum: Checksum,
) -> DatabaseSource {
    DatabaseSource {
        name: name.to_owned(),
        path: "/var/lib/app.db".to_owned(),
        lineage,
        txid: at,
        time,
        page_size: 512,
        page_count: 0,
        size_bytes: 0,
        checksum,
        journal_mode: "wal".to_owned(),
        schema_sha256: None,
        tables: BTreeMap::from([("a".to_owned(), Some(3)), ("b".to_owned(), None)]),
        mode: "0644".to_owned(),
        uid: 1000,
        gid: 1000,
        points: None,
        changed_pages: 1,
        changed_from: Txid::new(at.get() - 1),
        stored_bytes: 1,
        duration_ms: 5,
        objects: Vec::new(),
    }
}

/// Writes the given pages of a database to an LTX file.
fn encode(
    writer: LtxWriter,
    header: &Header,
    coding: PageCoding,
    numbers: &[u32],
    pages: &[Vec<u8>],
) -> Result<LtxWriter> {
    let failed = LtxWriter::explain;
    let mut encoder = Encoder::with_coding(writer, header, coding).map_err(failed)?;
    for number in numbers {
        encoder.write_page(*number, &pages[*number as usize - 1]).map_err(failed)?;
    }
    Ok(encoder.finish().map_err(failed)?.0)
}

fn database_checksum(pages: &[Vec<u8>]) -> Checksum {
    let mut checksum = DatabaseChecksum::new();
    for (number, page) in (1..).zip(pages) {
        checksum.toggle(page_checksum(number, page));
    }
    checksum.value()
}
