//! G2: a replication keeps its history short by itself: windows that are closed become one file, in every
//! repository, and whatever is promised comes back as it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::replication::{
    Log, beside, is_protected, is_sound, of, only, only_if, wait_for, with_two_repositories,
};
use common::{Machine, content};
use lifeboat::{
    Context, Ladder, LineageId, OpenRepository, PointChoice, PointRestoreRequest, PointSelection,
    Silent, Time, Txid, plan_point_restore, restore_point,
};
use lifeboat_repository::{DatabaseAddress, LtxFile, points};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Windows of one and of four seconds; all that a test captures stays for an hour.
fn ladder() -> Ladder {
    rungs(&["all for 1h", "1s for 2h", "4s for 24h"])
}

fn rungs(rungs: &[&str]) -> Ladder {
    let rungs: Vec<String> = rungs.iter().map(|rung| (*rung).to_owned()).collect();
    Ladder::try_from(rungs).unwrap()
}

/// What a repository holds of the database.
fn files(opened: &OpenRepository<'_>, context: &Context) -> (LineageId, Vec<LtxFile>) {
    let address = DatabaseAddress::new(&context.host_name(), "app").unwrap();
    let lineages = opened.repository().lineages(&address).unwrap();
    assert_eq!(lineages.len(), 1);
    (lineages[0].id(), opened.repository().listing(&lineages[0]).unwrap().files)
}

fn of_level(files: &[LtxFile], level: u8) -> usize {
    files.iter().filter(|file| file.name.level == level).count()
}

/// What the database was at each of its transactions.
type History = BTreeMap<Txid, Vec<u8>>;

/// Changes the database for some time, one capture after the other.
fn live(machine: &Machine, context: &Context, log: &Log, time: Duration) -> History {
    let mut history = History::new();
    let (began, mut row) = (Instant::now(), 1);
    while began.elapsed() < time {
        let captured = log.count("Captured");
        machine.change(row % 20 + 1);
        row += 1;
        wait_for("a capture", || log.count("Captured") > captured);
        let txid = only(context).txid.unwrap();
        history.insert(txid, content(&machine.database()));
    }
    history
}

fn restored(opened: &OpenRepository<'_>, txid: Txid, target: &Path) -> Vec<u8> {
    let point = PointChoice::Txid(txid);
    let selection = PointSelection { source: None, host: None, lineage: None, point };
    let target = Some(target.to_owned());
    let request = PointRestoreRequest { selection, target, force: false, no_verify: true };
    let plan = plan_point_restore(opened, &request, &Silent).unwrap();
    let report = restore_point(opened, plan, &Silent).unwrap();
    let found = content(&report.target);
    fs::remove_file(&report.target).unwrap();
    found
}

/// Every one of these transactions comes back as it was.
#[track_caller]
fn come_back(context: &Context, history: &History, wanted: &BTreeSet<Txid>) {
    let opened = context.open_repository().unwrap();
    let target = context.environment().working_directory().join("restored.db");
    for (txid, expected) in history.iter().filter(|(txid, _)| wanted.contains(txid)) {
        assert!(restored(&opened, *txid, &target) == *expected, "{txid} restores something else");
    }
}

/// Both rungs are made, and nothing of what they are made of is left on this host.
#[test]
fn closed_windows_become_one_file() {
    for litestream in [false, true] {
        let machine = Machine::new();
        machine.create("wal", 20);
        let context = machine.context().with_ladder(ladder());
        if litestream {
            context.init_litestream(&Silent).unwrap();
        }
        let mut history = History::new();
        let report = beside(&context, &["app.db"], |log| {
            wait_for("the first capture", || only_if(&context));
            history = live(&machine, &context, log, Duration::from_secs(9));
            let opened = context.open_repository().unwrap();
            wait_for("the second rung", || of_level(&files(&opened, &context).1, 2) >= 2);
            let spool = machine.path(".local/state/lifeboat/databases/app/spool");
            let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|all| all.count() == 0);
            wait_for("an empty spool", || is_empty(&spool));
            let merges = machine.path(".local/state/lifeboat/databases/app/merges");
            wait_for("the end of all merges", || common::objects_below(&merges).is_empty());
            let upkeep = only(&context).repositories[0].upkeep.clone().unwrap();
            assert_eq!(upkeep.merges, log.count("Merged") as u64);
            assert_eq!(upkeep.problem, None);
        });
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let opened = context.open_repository().unwrap();
        let (_, files) = files(&opened, &context);
        assert!(of_level(&files, 1) >= 6, "{files:?}");
        // Without the captures, the merges alone lead to the end of each window.
        let merged: Vec<LtxFile> =
            files.iter().filter(|file| file.name.level != 0).cloned().collect();
        assert!(points(&merged).len() >= 6, "{merged:?}");
        let all: BTreeSet<Txid> = history.keys().copied().collect();
        come_back(&context, &history, &all);
        is_sound(&context);
    }
}
