//! What a host does with its backups, as the command line does it.

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_repository::{
    BackupId, Candidate, CompactReport, DatabaseAddress, KeepRules, LtxFile, NoCopies,
    PruneOptions, PrunePlan, Repository, Result, Secrets, Time, Wish, compact, plan_prune, prune,
    retain,
};
use lifeboat_storage::Entry;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::forgetting::forget_at;
use super::promise::{Step, ladder};
use super::{Chronicle, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, host_key, manifest_of, txid};

/// Pins the last capture and writes a manifest that names it.
pub(crate) fn back_up(
    repository: &Repository,
    chronicle: &Chronicle,
    now: Time,
) -> Result<BackupId> {
    let id = BackupId::random();
    let source = chronicle.source(repository)?;
    repository.write_pin(&chronicle.lineage, txid(chronicle.last()), id)?;
    repository.write_manifest(&manifest_of(id, now.millis(), vec![source]), &host_key())?;
    Ok(id)
}

/// The backups that the rules drop, in UTC.
pub(crate) fn dropped_by(
    repository: &Repository,
    rules: &KeepRules,
    now: Time,
) -> Result<BTreeSet<BackupId>> {
    let names = repository.backups()?;
    let candidates: Vec<Candidate<'_>> =
        names.iter().map(|name| Candidate { time: name.started, id: name.id, tags: &[] }).collect();
    let verdicts = retain(&candidates, rules, &jiff::tz::TimeZone::UTC, now);
    let dropped = verdicts.into_iter().filter(|verdict| verdict.reasons.is_empty());
    Ok(dropped.map(|verdict| verdict.id).collect())
}

pub(crate) fn forget_all(
    repository: &Repository,
    secrets: &Secrets,
    dropped: &BTreeSet<BackupId>,
    now: Time,
) -> Result<()> {
    let wishes: Vec<Wish> = dropped.iter().copied().map(Wish::Backup).collect();
    forget_at(repository, secrets, &wishes, now)
}

/// Makes every merge that the ladder asks for.
pub(crate) fn merge_all(
    repository: &Repository,
    secrets: &Secrets,
    steps: &[Step],
    now: Time,
) -> Result<CompactReport> {
    let ladder = ladder(steps);
    let ladder_of = |_: &DatabaseAddress| ladder.clone();
    compact(repository, Some(secrets), None, &ladder_of, now, &NoCopies, &mut |_| {})
}

/// Removes what is due and announces the rest. Returns what was planned.
pub(crate) fn prune_once(
    repository: &Repository,
    secrets: &Secrets,
    steps: &[Step],
    now: Time,
    grace_ms: i64,
) -> Result<PrunePlan> {
    let ladder = ladder(steps);
    let ladder_of = |_: &DatabaseAddress| ladder.clone();
    let grace = Duration::from_millis(grace_ms.unsigned_abs());
    let options = PruneOptions { grace, now, ..PruneOptions::default() };
    let plan = plan_prune(repository, secrets, &ladder_of, &options)?;
    let report = prune(repository, secrets, &plan, "pi", &options)?;
    assert!(report.findings.is_empty(), "{report:?}");
    Ok(plan)
}

/// Merges and removes what can be at once, until nothing is left to do. Then the files of a lineage
/// but for those that wait for the end of a grace period are those that are needed: see
/// [`without_waiting`].
pub(crate) fn tidy_up(
    repository: &Repository,
    secrets: &Secrets,
    steps: &[Step],
    now: Time,
) -> Result<PrunePlan> {
    let mut rounds = 0;
    loop {
        let merged = merge_all(repository, secrets, steps, now)?.merges > 0;
        let announced = prune_once(repository, secrets, steps, now, 0)?;
        let removed = prune_once(repository, secrets, steps, now, 0)?;
        let findings = [&announced.findings, &removed.findings];
        assert!(findings.iter().all(|findings| findings.is_empty()), "{findings:?}");
        let is_done = !merged && announced.is_empty() && removed.is_empty();
        // What waits is merged again, for nothing, as often as the merge is removed.
        if is_done || rounds > 5 && !removed.waiting.is_empty() {
            return Ok(removed);
        }
        rounds += 1;
        assert!(rounds < 9, "each round finds more: {removed:?}");
    }
}

/// The files that no notice names.
pub(crate) fn without_waiting(mut files: Vec<LtxFile>, plan: &PrunePlan) -> Vec<LtxFile> {
    let waits = |entry: &Entry| plan.waiting.iter().any(|object| object.key == entry.key);
    files.retain(|file| !file.objects.iter().any(waits));
    files
}

/// How far apart captures are.
pub(crate) fn apart_ms() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(1),
        (1..90_i64).prop_map(|seconds| seconds * SECOND_MS),
        (1..20_i64).prop_map(|minutes| minutes * MINUTE_MS),
        (1..9_i64).prop_map(|hours| hours * HOUR_MS),
    ]
}

/// By how much a clock goes on, or is set back.
pub(crate) fn passed_ms() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => (1..90_i64).prop_map(|seconds| seconds * SECOND_MS),
        3 => (1..90_i64).prop_map(|minutes| minutes * MINUTE_MS),
        3 => (1..40_i64).prop_map(|hours| hours * HOUR_MS),
        2 => (1..70_i64).prop_map(|days| days * DAY_MS),
        1 => (1..70_i64).prop_map(|minutes| -minutes * MINUTE_MS),
        1 => (1..20_i64).prop_map(|days| -days * DAY_MS),
    ]
}

/// Plays random histories; `LIFEBOAT_SOAK` multiplies their number, `LIFEBOAT_SEED` gives others.
#[allow(clippy::print_stdout, reason = "tells how to see a failure again")]
pub(crate) fn play_histories<S: Strategy>(usual: u32, histories: &S, play: impl Fn(S::Value)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("LIFEBOAT_SEED").unwrap_or(1);
    println!("LIFEBOAT_SEED={seed}");
    let soak = u32::try_from(number("LIFEBOAT_SOAK").unwrap_or(1)).unwrap();
    let config = Config {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        cases: usual * soak,
        max_shrink_iters: 3000,
        ..Config::default()
    };
    let played = TestRunner::new(config).run(histories, |history| {
        play(history);
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
}
