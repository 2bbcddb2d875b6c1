//! Merges of plain copies that a host has at hand.

use super::*;

/// Plain copies, as a host has them that captures.
pub(super) struct Copies {
    pub(super) plain: Mutex<BTreeMap<TxidRange, Vec<u8>>>,
    begun: Arc<Mutex<Vec<u8>>>,
    pub(super) kept: Mutex<Vec<TxidRange>>,
}

impl Copies {
    pub(super) fn of(repository: &Repository, secrets: &Secrets, app: &Database) -> Self {
        let mut plain = BTreeMap::new();
        for file in repository.listing(&app.lineage).unwrap().files {
            let (node, expected) = (app.lineage.id().node(), HashMap::new());
            let storage = repository.storage();
            let (decoder, _) = open_ltx(storage, &file, node, &expected, secrets).unwrap();
            let coding = PageCoding::Literal;
            let (bytes, ..) = lifeboat_ltx::compact(vec![decoder], Vec::new(), coding).unwrap();
            plain.insert(file.name.range(), bytes);
        }
        Self { plain: Mutex::new(plain), begun: Arc::default(), kept: Mutex::default() }
    }
}

struct Begun(Arc<Mutex<Vec<u8>>>);

impl Write for Begun {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl LocalCopies for Copies {
    fn open(&self, _: &LineageAddress, range: TxidRange) -> Option<Box<dyn Read + Send>> {
        let bytes = self.plain.lock().unwrap().get(&range)?.clone();
        Some(Box::new(Cursor::new(bytes)))
    }

    fn keep(&self, _: &LineageAddress, _: TxidRange) -> Option<Box<dyn Write + Send>> {
        self.begun.lock().unwrap().clear();
        Some(Box::new(Begun(self.begun.clone())))
    }

    fn kept(&self, _: &LineageAddress, range: TxidRange) {
        let bytes = self.begun.lock().unwrap().clone();
        self.plain.lock().unwrap().insert(range, bytes);
        self.kept.lock().unwrap().push(range);
    }
}

#[test]
fn who_has_no_secrets_merges_what_is_at_hand() {
    let world = World::new();
    let (repository, secrets) = (&world.repository, &*world.secrets);
    let app = history(repository, 60);
    let now = minutes_after(&app, 30);
    let report = compact_with(repository, None, now, &NoCopies).unwrap();
    assert!(report.merges == 0 && report.skipped_without_secrets > 5, "{report:?}");

    let copies = Copies::of(repository, secrets, &app);
    let report = compact_with(repository, None, now, &copies).unwrap();
    assert!(report.skipped == 0 && report.findings.is_empty(), "{report:?}");
    assert_eq!(copies.kept.lock().unwrap().len() as u64, report.merges);
    let promised = promised_of(repository, &app, &all_points(repository, &app), now);
    assert_restorable(repository, secrets, &app, &promised, "from copies");
    prune_at(repository, secrets, now).unwrap();
    prune_at(repository, secrets, Time::from_millis(now.millis() + DAY_MS)).unwrap();
    let backed_up: Vec<u64> = (1..=8).map(|number| number * 7).collect();
    assert_restorable(repository, secrets, &app, &backed_up, "pruned");
}

/// A copy that is damaged is done without, where the stored file can be opened.
#[test]
fn a_damaged_copy_is_no_damage() {
    let world = World::new();
    let (repository, secrets) = (&without_parts(&world), &*world.secrets);
    let app = history(repository, 24);
    let now = minutes_after(&app, 30);
    let copies = Copies::of(repository, secrets, &app);
    for bytes in copies.plain.lock().unwrap().values_mut() {
        let half = bytes.len() / 2;
        bytes[half] ^= 1;
    }
    let other = copy(&world.memory);
    let others = Repository::open(Arc::new(other.clone())).unwrap();
    let without = compact_with(&others, None, now, &copies).unwrap();
    assert!(without.merges == 0 && !without.findings.is_empty(), "{without:?}");
    assert_eq!(keys(&other).len(), keys(&world.memory).len(), "nothing of it is stored");
    let report = compact_with(repository, Some(secrets), now, &copies).unwrap();
    assert!(report.merges > 3 && report.findings.is_empty(), "{report:?}");
    let promised = promised_of(repository, &app, &all_points(repository, &app), now);
    assert_restorable(repository, secrets, &app, &promised, "past the copies");
}
