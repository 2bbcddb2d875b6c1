//! Reads of a pinned database what the repository lacks, and encodes it.

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat_ltx::{Checksum, Header, Txid, WalRange};
use lifeboat_repository::{
    LineageAddress, LineageId, LtxName, ORIGIN_VERSION, Origin, Parent, Time,
};
use lifeboat_sqlite::{
    Bitmap, Changes, HashKey, Image, PageArray, PageArrayWriter, Pin, encode_base, encode_changes,
    write_no_changes,
};

use super::basis::Basis;
use super::find::Found;
use super::out::Out;
use super::{Capture, Taken};
use crate::error::chain;
use crate::state::{Captured, DatabaseState, Facts, Position, Seen};
use crate::{ChangedBy, Error, Note, Result};

pub(crate) const LEVEL_CAPTURE: u8 = 0;
pub(crate) const LEVEL_MERGED: u8 = 1;
const LEVEL_BASE: u8 = 9;

impl Capture<'_> {
    /// Reads what the repository lacks of the pinned state.
    pub(super) fn take(&self, pin: &Pin) -> Result<Taken> {
        if pin.page_count() == 0 && !self.repository.form().is_sealed() {
            return Err(Error::EmptyDatabase { path: self.target.path.clone() });
        }
        let basis = self.basis(pin)?;
        let parent = basis.parent();
        match self.take_on(pin, basis) {
            Err(error) if is_page_array(&error) => {
                self.progress.end();
                let reason = format!("page array unusable: {}", chain(&error));
                match self.recover(pin, Some(&reason)).and_then(|basis| self.take_on(pin, basis)) {
                    Err(error) if is_page_array(&error) => {
                        self.progress.end();
                        self.take_on(pin, Basis::NewLineage { reason, parent })
                    }
                    taken => taken,
                }
            }
            taken => taken,
        }
    }

    fn take_on(&self, pin: &Pin, basis: Basis) -> Result<Taken> {
        match basis {
            Basis::NewLineage { reason, parent } => {
                self.note_whole(&reason);
                self.files.clear()?;
                self.take_first(pin, reason, parent)
            }
            Basis::Whole { state, array, reason } => {
                self.note_whole(&reason);
                self.take_whole(pin, state, &array)
            }
            Basis::Continues { state, array, position } => {
                self.take_changes(pin, state, &array, position)
            }
        }
    }

    fn note_whole(&self, reason: &str) {
        let source = self.target.name.clone();
        self.progress.note(&Note::WholeDatabase { source, reason: reason.to_owned() });
    }

    /// The first capture of a lineage: a base, in one pass.
    fn take_first(&self, pin: &Pin, reason: String, parent: Option<Parent>) -> Result<Taken> {
        let image = pin.image()?;
        let page_size = image.page_size().get();
        let lineage = self.address.lineage(LineageId::random())?;
        self.repository.write_origin(&lineage, &self.origin(page_size, reason, parent))?;
        let state = DatabaseState {
            path: self.target.path.clone(),
            name: self.target.name.clone(),
            lineage: lineage.id(),
            page_size,
            captured: Captured {
                txid: None,
                time: Time::from_millis(0),
                checksum: None,
                seen: None,
            },
            given: None,
            pending: None,
            positions: BTreeMap::new(),
        };
        self.encode_whole(pin, &image, state, lineage, base_name(Txid::FIRST, Time::now()), None)
    }

    /// The whole database within a lineage that goes on.
    fn take_whole(&self, pin: &Pin, state: DatabaseState, array: &PageArray) -> Result<Taken> {
        let image = pin.image()?;
        let lineage = self.address.lineage(state.lineage)?;
        if !self.repository.listing(&lineage)?.has_origin {
            let reason = "continued in another repository".to_owned();
            self.repository.write_origin(&lineage, &self.origin(state.page_size, reason, None))?;
        }
        // All of it is read for the base anyway, so nothing less than a scan says what it holds.
        let changes = self.scan(&image, &state, array)?;
        let name = base_name(next_txid(&state, None, &changes)?, point_time(&state));
        let name = self.free_name(&lineage, name, &state)?;
        self.encode_whole(pin, &image, state, lineage, name, Some(changes.checksum))
    }

    fn encode_whole(
        &self,
        pin: &Pin,
        image: &Image<'_>,
        state: DatabaseState,
        lineage: LineageAddress,
        name: LtxName,
        checksum_after: Option<Checksum>,
    ) -> Result<Taken> {
        let mut header = header(image, lineage.id(), name);
        header.checksum_after = checksum_after;
        let pages = self.files.new_pages();
        let array = PageArrayWriter::create(&pages, image.page_size(), hash_key(&pages)?)?;
        let coding = self.repository.form().page_coding();
        let out = self.out(pin, &lineage, name, image.size())?;
        self.begin("storing", image.size());
        let advance = |bytes| self.progress.advance(bytes);
        let scanned = Time::now();
        let encoded = encode_base(image, &header, coding, out, array, workers(), &advance)?;
        let facts = Facts::of(pin, image, &PageArray::open(&pages)?, &Bitmap::new(0))?;
        Ok(Taken {
            state,
            lineage,
            name,
            checksum: encoded.checksum,
            seen: seen(pin, scanned, &facts),
            facts,
            by: ChangedBy::Whole,
            encoded: Some(encoded),
            whole: true,
            from: None,
        })
    }

    /// What changed since the repository's position.
    fn take_changes(
        &self,
        pin: &Pin,
        state: DatabaseState,
        array: &PageArray,
        position: Position,
    ) -> Result<Taken> {
        let lineage = self.address.lineage(state.lineage)?;
        let found = self.find(pin, &state, array)?;
        let txid = next_txid(&state, Some(position.txid), &found.changes)?;
        let first = if position.txid == txid { txid } else { following(position.txid, &state)? };
        let level = if first == txid { LEVEL_CAPTURE } else { LEVEL_MERGED };
        let time = if position.txid == txid { state.captured.time } else { point_time(&state) };
        let mut name = LtxName { level, min: first, max: txid, time };
        let Found { image, mut changes, facts, by, scanned } = found;
        let checksum = changes.checksum;
        let encoded = if position.txid == txid {
            None
        } else {
            let image = match image {
                Some(image) => image,
                None => {
                    // The repository is behind, of a state that was captured for another one.
                    write_no_changes(&self.files.changes(), changes.page_count)?;
                    pin.image()?
                }
            };
            name = self.free_name(&lineage, name, &state)?;
            self.files.behind(&self.repository_id, &position, &mut changes.pages)?;
            let mut header = header(&image, lineage.id(), name);
            header.checksum_before = Some(position.checksum);
            header.checksum_after = Some(checksum);
            let bytes = u64::from(changes.pages.len()) * u64::from(image.page_size().get());
            let coding = self.repository.form().page_coding();
            let out = self.out(pin, &lineage, name, bytes)?;
            self.begin("storing", bytes);
            let advance = |bytes| self.progress.advance(bytes);
            let pages = &changes.pages;
            Some(encode_changes(&image, &header, coding, pages, checksum, out, &advance)?)
        };
        Ok(Taken {
            state,
            lineage,
            name,
            checksum,
            seen: seen(pin, scanned, &facts),
            facts,
            by,
            encoded,
            whole: false,
            from: Some(position),
        })
    }

    pub(super) fn begin(&self, what: &str, bytes: u64) {
        self.progress.begin(&format!("{what} {}", self.target.name), Some(bytes));
    }

    /// Where the encoded pages go: right into the repository, or, where writers wait for the pin,
    /// to a spool first.
    fn out(&self, pin: &Pin, lineage: &LineageAddress, name: LtxName, bytes: u64) -> Result<Out> {
        let begin = || Ok(self.repository.begin_ltx(lineage, name, bytes)?);
        let (out, spooled) = Out::of(pin, &self.files.scratch(), bytes, begin)?;
        if !spooled && pin.blocks_writers() {
            self.progress.note(&Note::NoRoomToSpool { source: self.target.name.clone() });
        }
        Ok(out)
    }

    fn origin(&self, page_size: u32, reason: String, parent: Option<Parent>) -> Origin {
        Origin {
            version: ORIGIN_VERSION,
            host: self.host.clone(),
            name: self.target.name.clone(),
            path: self.target.path.display().to_string(),
            page_size,
            parent,
            reason,
            created: Time::now(),
            node: self.node.to_owned(),
        }
    }
}

fn is_page_array(error: &Error) -> bool {
    matches!(error, Error::Database(lifeboat_sqlite::Error::PageArray { .. }))
}

/// A key for a new page array.
pub(super) fn hash_key(pages: &Path) -> Result<HashKey> {
    let mut secret = [0; 192];
    getrandom::fill(&mut secret)
        .map_err(|error| Error::file("draw a key for", pages)(error.into()))?;
    Ok(HashKey::new(secret))
}

/// What the next capture is held against; nothing where a private copy was read.
fn seen(pin: &Pin, scanned: Time, facts: &Facts) -> Option<Seen> {
    pin.moment().map(|moment| Seen { moment: *moment, scanned, facts: Some(facts.clone()) })
}

pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(4)
}

pub(super) fn base_name(txid: Txid, time: Time) -> LtxName {
    LtxName { level: LEVEL_BASE, min: Txid::FIRST, max: txid, time }
}

/// The transaction of this capture: that of the last one if nothing changed since.
///
/// Where higher numbers were given than that one's, files of theirs may be in a repository that does
/// not stand right here; there the unchanged state gets a number of its own.
fn next_txid(state: &DatabaseState, position: Option<Txid>, changes: &Changes) -> Result<Txid> {
    let Some(last) = state.captured.txid else { return Ok(Txid::FIRST) };
    let highest = state.given.map_or(last, |given| given.max(last));
    if changes.none() && (highest == last || position == Some(last)) {
        return Ok(last);
    }
    following(highest, state)
}

pub(crate) fn following(txid: Txid, state: &DatabaseState) -> Result<Txid> {
    txid.next().ok_or_else(|| Error::State {
        path: state.path.clone(),
        detail: "its transaction numbers are used up".into(),
    })
}

/// A point's time is the clock's, but later than the last one, whatever the clock does.
///
/// So every file gets a name of its own, even one of a transaction that was captured before: the
/// former may have come through although its backup was killed before it could write that down.
pub(crate) fn point_time(state: &DatabaseState) -> Time {
    Time::now().max(Time::from_millis(state.captured.time.millis() + 1))
}

pub(crate) fn header(image: &Image<'_>, lineage: LineageId, name: LtxName) -> Header {
    let mut header = Header::new(image.page_size(), image.page_count(), name.range());
    header.timestamp_ms = name.time.millis();
    header.node = lineage.node();
    if name.level == LEVEL_CAPTURE {
        // Litestream takes up a replica only if its newest capture states an offset.
        header.wal = WalRange { offset: 32, size: 0, salts: [0, 0] };
    }
    header
}
