//! G2: a replication keeps its history short by itself: windows that are closed become one file, in every
//! repository, and whatever is promised comes back as it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};

use common::replication::{
    beside, is_protected, is_sound, of, only, only_if, wait_for, with_two_repositories,
};
use common::{Machine, content};
use lifeboat::{
    Context, Ladder, LineageId, OpenRepository, PointChoice, PointRestoreRequest, PointSelection,
    PruneOptions, Silent, Time, Txid, plan_point_restore, restore_point,
};
use lifeboat_repository::{DatabaseAddress, LtxFile, points, promised};

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
type History = BTreeMap<Txid, Digest>;

/// Instead of the bytes of hundreds of states.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Digest(usize, u64);

fn digest(database: &Path) -> Digest {
    let bytes = content(database);
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Digest(bytes.len(), hasher.finish())
}

/// One transaction: no capture may see half of it.
fn change(machine: &Machine, row: u32) {
    let sql = format!(
        "BEGIN; UPDATE t SET b = randomblob(3000) WHERE a = {row};
         INSERT INTO t(b) VALUES (randomblob(9000)); COMMIT"
    );
    machine.open().execute_batch(&sql).unwrap();
}

/// Changes the database for some time, one capture after the other.
fn live(machine: &Machine, context: &Context, time: Duration) -> History {
    let mut history = History::new();
    let (began, mut row, mut last) = (Instant::now(), 1, None);
    wait_for("the last capture", || {
        last = only(context).txid;
        last.is_some()
    });
    while began.elapsed() < time {
        change(machine, row % 20 + 1);
        row += 1;
        // While a base is begun, there is none for a moment.
        let mut captured = None;
        wait_for("a capture", || {
            captured = only(context).txid;
            captured > last
        });
        last = captured;
        history.extend(captured.map(|txid| (txid, digest(&machine.database()))));
    }
    history
}

fn restored(opened: &OpenRepository<'_>, host: Option<&str>, txid: Txid, target: &Path) -> Digest {
    let point = PointChoice::Txid(txid);
    let source = Some("app".to_owned());
    let host = host.map(str::to_owned);
    let selection = PointSelection { source, host, lineage: None, point };
    let target = Some(target.to_owned());
    let request = PointRestoreRequest { selection, target, force: false, no_verify: true };
    let plan = plan_point_restore(opened, &request, &Silent).unwrap();
    let report = restore_point(opened, plan, &Silent).unwrap();
    let found = digest(&report.target);
    fs::remove_file(&report.target).unwrap();
    found
}

/// These transactions come back as they were.
#[track_caller]
fn come_back(context: &Context, history: &History, wanted: &BTreeSet<Txid>) {
    come_back_to(context, None, history, wanted);
}

/// The same, of another host.
#[track_caller]
fn come_back_to(context: &Context, host: Option<&str>, history: &History, wanted: &BTreeSet<Txid>) {
    let opened = context.open_repository().unwrap();
    let target = context.environment().working_directory().join("restored.db");
    let wanted: Vec<_> = history.iter().filter(|(txid, _)| wanted.contains(txid)).collect();
    // Some dozens of them, evenly: each takes its time.
    for (txid, expected) in wanted.iter().step_by(wanted.len() / 50 + 1) {
        assert!(
            restored(&opened, host, **txid, &target) == **expected,
            "{txid} restores something else"
        );
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
            history = live(&machine, &context, Duration::from_secs(9));
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

/// The transactions that files lead to, and those of them that a ladder promises now.
fn promised_of(files: &[LtxFile], ladder: &Ladder) -> BTreeSet<Txid> {
    promised(&points(files), &BTreeSet::new(), ladder, Time::now(), false)
}

/// Passes with a ladder that thins within seconds, and no grace: the number of files stays small while
/// hundreds of captures are made, and what is promised comes back. A rest ends the passes.
#[test]
fn passes_thin_what_nobody_needs() {
    let machine = Machine::new();
    machine.create("wal", 20);
    let ladder = rungs(&["all for 2s", "1s for 6s", "3s for 1h"]);
    let pace = Duration::from_millis(700);
    let context =
        machine.context().with_ladder(ladder.clone()).with_passes(pace, pace, Duration::ZERO);
    let (mut history, mut most) = (History::new(), 0);
    beside(&context, &["app.db"], |log| {
        wait_for("the first capture", || only_if(&context));
        let opened = context.open_repository().unwrap();
        for _ in 0..6 {
            history.extend(live(&machine, &context, Duration::from_secs(2)));
            most = most.max(files(&opened, &context).1.len());
        }
        is_protected(&context, &machine.database());
        assert!(log.count("Passed") > 3, "{}", log.text());
        let rests = || {
            let passes = log.count("Passed");
            std::thread::sleep(pace * 3);
            passes == log.count("Passed")
        };
        wait_for("rest", rests);
        let upkeep = only(&context).repositories[0].upkeep.clone().unwrap();
        assert!(upkeep.last_pass.is_some(), "{upkeep:?}");
        assert_eq!((upkeep.problem, upkeep.waiting_objects), (None, 0));
    });
    // Two seconds of captures, and windows; what was announced is still there.
    let captures = history.len();
    assert!(captures > 60 && most < captures, "{most} files of {captures} captures");
    let opened = context.open_repository().unwrap();
    let (_, files) = files(&opened, &context);
    assert!(files.len() < captures / 2, "{captures}: {files:?}");
    let there: BTreeSet<Txid> = points(&files).iter().map(|point| point.txid).collect();
    come_back(&context, &history, &there);
    // One of each window of three seconds, since the beginning.
    let times: BTreeSet<i64> =
        points(&files).iter().map(|point| point.time.millis() / 3000).collect();
    let (first, last) = (times.first().unwrap(), times.last().unwrap());
    assert!(times.len() >= 4 && last - first < 60, "{times:?}");
    assert!(promised_of(&files, &ladder).is_subset(&there));
    is_sound(&context);
}

/// What nobody needs any more goes, though nothing is written any more.
#[test]
fn points_of_a_database_at_rest_get_old() {
    let machine = Machine::new();
    machine.create("wal", 20);
    let pace = Duration::from_millis(100);
    let ladder = rungs(&["all for 3s", "1s for 1h"]);
    let context = machine.context().with_ladder(ladder).with_passes(pace, pace, Duration::ZERO);
    let opened = context.init(&Silent).unwrap();
    let not_needed = || {
        let options = PruneOptions { grace: Duration::ZERO, ..PruneOptions::default() };
        let plan = lifeboat::plan_prune(&opened, &options).unwrap();
        plan.remove().count() + plan.announce.len() + plan.waiting.len()
    };
    beside(&context, &["app.db"], |_| {
        wait_for("the first capture", || only_if(&context));
        let mut captures = History::new();
        while captures.len() < 20 {
            captures.extend(live(&machine, &context, Duration::from_secs(1)));
        }
        // A window of one capture is that capture.
        let is_less = || files(&opened, &context).1.len() < captures.len();
        wait_for("what is left", || is_less() && not_needed() == 0);
    });
    is_sound(&context);
}

/// Merges are made of the spool: nothing is read back, and no secret is needed.
#[test]
fn a_host_with_the_recipient_alone_merges() {
    let (machine, owner) = (Machine::new(), Machine::new());
    machine.create("wal", 20);
    let place = owner.path("shared").display().to_string();
    let owners = owner.context_of(&place);
    let recipient = {
        owners.init(&Silent).unwrap();
        let opened = owners.open_repository().unwrap();
        opened.repository().recipient().unwrap().recipient.clone()
    };
    let text = format!("[repository.r]\nurl = '{place}'\nrecipient = '{recipient}'\n");
    fs::write(machine.path("lifeboat.toml"), text).unwrap();
    let pace = Duration::from_millis(500);
    let context = of(&machine, None).with_ladder(ladder()).with_passes(pace, pace, Duration::ZERO);
    let mut history = History::new();
    beside(&context, &["app.db"], |log| {
        wait_for("the first capture", || only_if(&context));
        assert!(!context.open_repository().unwrap().can_read());
        history = live(&machine, &context, Duration::from_secs(5));
        let opened = context.open_repository().unwrap();
        wait_for("the second rung", || of_level(&files(&opened, &context).1, 2) >= 1);
        wait_for("a pass", || log.count("Passed") > 0);
        assert_eq!(log.count("Failing"), 0, "{}", log.text());
    });
    let all: BTreeSet<Txid> = history.keys().copied().collect();
    come_back_to(&owners, Some(&context.host_name()), &history, &all);
    is_sound(&owners);
}

/// Of two repositories one is away for several windows; both have the same merges in the end, each made once.
#[test]
fn a_repository_that_was_away_gets_its_merges() {
    let (machine, context) = with_two_repositories("");
    let context = context.with_ladder(ladder());
    machine.create("wal", 20);
    let away = machine.path("away");
    let of_one = of(&machine, Some("one"));
    let of_two = of(&machine, Some("two"));
    let mut history = History::new();
    beside(&context, &["app.db"], |_| {
        let both = || {
            let standing = only_if(&context).then(|| only(&context));
            standing.is_some_and(|one| {
                one.repositories.iter().all(|way| way.protected_txid == one.txid)
            })
        };
        wait_for("both bases", both);
        history = live(&machine, &context, Duration::from_secs(2));
        wait_for("both", both);
        fs::rename(machine.path("two"), &away).unwrap();
        history.extend(live(&machine, &context, Duration::from_secs(4)));
        fs::rename(&away, machine.path("two")).unwrap();
        history.extend(live(&machine, &context, Duration::from_secs(2)));
        wait_for("both again", both);
        let merges = |context: &Context| {
            let (_, files) = files(&context.open_repository().unwrap(), context);
            let merges = files.into_iter().filter(|file| file.name.level == 1);
            merges.map(|file| file.name.max).collect::<BTreeSet<_>>()
        };
        wait_for("the second rung in both", || {
            let rung = |context: &Context| {
                of_level(&files(&context.open_repository().unwrap(), context).1, 2)
            };
            rung(&of_one) >= 2 && rung(&of_two) >= 2
        });
        let (one, two) = (merges(&of_one), merges(&of_two));
        assert!(one.len() >= 5, "{one:?}");
        // The beginning of a window may be merged by itself where the rest came late.
        assert!(one.is_subset(&two), "{one:?} {two:?}");
    });
    let all: BTreeSet<Txid> = history.keys().copied().collect();
    for context in [of_one, of_two] {
        come_back(&context, &history, &all);
        is_sound(&context);
    }
}

/// A new base is written while captures go on, and the chain goes on beneath it.
#[test]
fn a_base_is_renewed_beside_the_chain() {
    let machine = Machine::new();
    machine.create("wal", 3);
    let pace = Duration::from_millis(400);
    let context = machine.context().with_ladder(ladder());
    let context = context.with_passes(pace, pace, Duration::from_secs(3600));
    let mut history = History::new();
    beside(&context, &["app.db"], |log| {
        wait_for("the first capture", || only_if(&context));
        history = live(&machine, &context, Duration::from_secs(2));
        wait_for("a base", || log.count("Based") > 0);
        history.extend(live(&machine, &context, Duration::from_secs(1)));
        is_protected(&context, &machine.database());
        assert_eq!((log.count("Failing"), log.count("NewLineage")), (0, 0), "{}", log.text());
    });
    let opened = context.open_repository().unwrap();
    let (_, mut files) = files(&opened, &context);
    assert!(of_level(&files, 9) >= 2);
    // Without the new bases every point is still there.
    files.retain(|file| file.name.level != 9 || file.name.max == Txid::FIRST);
    let there: BTreeSet<Txid> = points(&files).iter().map(|point| point.txid).collect();
    let all: BTreeSet<Txid> = history.keys().copied().collect();
    assert!(all.is_subset(&there));
    come_back(&context, &history, &all);
    is_sound(&context);
}

/// Without a replication a cleanup writes the base, and what changed since the last backup beside it.
#[test]
fn a_cleanup_renews_bases() {
    for mode in ["wal", "delete"] {
        let machine = Machine::new();
        machine.create(mode, 3);
        let context = machine.context();
        for row in 0..6 {
            common::backup_app(&context).unwrap();
            machine.change(row);
        }
        let opened = context.open_repository().unwrap();
        let (_, before) = files(&opened, &context);
        let renewed = lifeboat::cleanup(&opened, &Silent).unwrap().renewed;
        assert_eq!(renewed.bases.len(), 1, "{:?}", renewed.problems);
        let (_, mut after) = files(&opened, &context);
        // The change after the last backup, and a base of it.
        assert_eq!(after.len(), before.len() + 2, "{after:?}");
        let newest = after.iter().map(|file| file.name.max).max().unwrap();
        after.retain(|file| file.name.level != 9 || file.name.max == Txid::FIRST);
        assert!(lifeboat_repository::plan(&after, newest).is_ok());
        assert!(lifeboat::cleanup(&opened, &Silent).unwrap().renewed.bases.is_empty());
        let target = machine.path("restored.db");
        let found = restored(&opened, None, newest, &target);
        assert!(found == digest(&machine.database()), "{mode}");
        machine.change(9);
        let report = common::backup_app(&context).unwrap();
        let source = common::database(&report);
        assert!(source.changed_from.is_some(), "the chain goes on");
        is_sound(&context);
    }
}

/// Says to a child process where to replicate.
const HOME_OF_CHILD: &str = "KEEPER_TEST_HOME";

fn hurried(machine: &Path) -> Context {
    let pace = Duration::from_millis(300);
    common::context(machine, None).with_ladder(ladder()).with_passes(pace, pace, Duration::ZERO)
}

/// Replicates in a child process, until it is killed. Nothing by itself.
#[test]
fn child() {
    let Some(home) = std::env::var_os(HOME_OF_CHILD) else { return };
    let context = hurried(Path::new(&home));
    beside(&context, &["app.db"], |_| std::thread::sleep(Duration::from_secs(60)));
}

/// Beside a writer that never stops, with merges, passes and bases all the time.
#[test]
fn killed_again_and_again_it_goes_on() {
    let machine = Machine::new();
    machine.create("wal", 6);
    let context = hurried(machine.directory.path());
    common::backup_app(&context).unwrap();
    let (mut states, mut row) = (BTreeSet::from([digest(&machine.database())]), 0);
    let mut write = |states: &mut BTreeSet<Digest>| {
        row += 1;
        change(&machine, row % 6);
        states.insert(digest(&machine.database()));
    };
    for round in 0..8 {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["child", "--exact"]).env(HOME_OF_CHILD, machine.directory.path());
        let mut child = common::start(command.stdout(std::process::Stdio::null()));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(900 + 170 * round) {
            write(&mut states);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    beside(&context, &["app.db"], |log| {
        write(&mut states);
        wait_for("a merge", || log.count("Merged") > 0);
        wait_for("a pass", || log.count("Passed") > 1);
        is_protected(&context, &machine.database());
        assert_eq!(log.count("NewLineage"), 0, "{}", log.text());
    });
    let opened = context.open_repository().unwrap();
    let (_, files) = files(&opened, &context);
    assert!(of_level(&files, 1) > 0 && of_level(&files, 9) > 0, "{files:?}");
    for point in points(&files) {
        let found = restored(&opened, None, point.txid, &machine.path("restored.db"));
        assert!(states.contains(&found), "{point:?} is no state that there was");
    }
    is_sound(&context);
}
