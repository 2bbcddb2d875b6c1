//! Random sequences against what they should mean.

use proptest::prelude::*;

use super::*;
use crate::common::rounds::play_histories;

#[derive(Clone, Debug)]
enum Act {
    Change(usize),
    Backup {
        both: bool,
    },
    Base,
    NewLineage,
    Forget {
        which: usize,
        source: Option<bool>,
    },
    Prune {
        grace_days: u64,
    },
    Clock {
        days: i64,
    },
    /// The next act is killed at this operation.
    Kill(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1_usize..9).prop_map(Act::Change),
        5 => any::<bool>().prop_map(|both| Act::Backup { both }),
        1 => Just(Act::Base),
        1 => Just(Act::NewLineage),
        4 => (0_usize..9, prop::option::of(any::<bool>()))
            .prop_map(|(which, source)| Act::Forget { which, source }),
        4 => (0_u64..3).prop_map(|grace_days| Act::Prune { grace_days }),
        3 => (-2_i64..4).prop_map(|days| Act::Clock { days }),
        3 => (0_usize..25).prop_map(Act::Kill),
    ]
}

#[test]
fn every_kept_backup_comes_back_at_each_step() {
    play_histories(60, &prop::collection::vec(act(), 1..30), |acts: Vec<Act>| play(&acts));
}

fn play(acts: &[Act]) {
    let world = World::new();
    let secrets = &world.secrets;
    let faulty = Faulty::new(world.memory.clone(), None);
    let repository = open(Arc::new(faulty.clone()));
    let (mut app, mut web) = (Database::new("pi", "app", 6), Database::new("pi", "web", 2));
    // Lineages that were left, with what they were at each capture.
    let mut former: Vec<Database> = Vec::new();
    let (mut days, mut based) = (1, 0);
    let (mut seed, mut kill) = (1, None);
    let mut kept: BTreeSet<BackupId> = BTreeSet::new();
    for act in acts {
        let at = match act {
            Act::Change(_) | Act::NewLineage | Act::Clock { .. } | Act::Kill(_) => None,
            _ => kill.take(),
        };
        faulty.reset(at.map(|at| Fault { at, kind: FaultKind::FromThenOn }));
        let result = match act {
            Act::Change(page) => {
                seed += 1;
                app.change((*page).min(app.pages.len() + 1), seed);
                web.change(1 + page % 2, seed);
                Ok(())
            }
            Act::Backup { both } => {
                let mut databases = vec![&mut app];
                databases.extend(both.then_some(&mut web));
                backup(&repository, &mut databases).map(|manifest| {
                    kept.insert(manifest.id);
                })
            }
            Act::Base if app.last > 1 && app.captured == app.pages && based < app.last => {
                based = app.last;
                app.write_base(&repository, based)
            }
            Act::NewLineage => {
                former.push(app.clone());
                app.lineage = new_lineage("pi", "app");
                (app.last, app.captured, based) = (0, Vec::new(), 0);
                Ok(())
            }
            Act::Forget { which, source } => {
                let Some(id) = kept.iter().nth(which % kept.len().max(1)).copied() else {
                    continue;
                };
                let wish = match source {
                    None => Wish::Backup(id),
                    Some(app) => {
                        Wish::Sources(id, vec![if *app { "app" } else { "web" }.to_owned()])
                    }
                };
                forget_at(&repository, secrets, &[wish], in_days(days))
            }
            Act::Prune { grace_days } => {
                let grace = Duration::from_secs(grace_days * 24 * 60 * 60);
                let options = PruneOptions { grace, ..options(in_days(days)) };
                plan_prune(&repository, secrets, &options)
                    .and_then(|plan| {
                        assert!(plan.findings.is_empty(), "{plan:?}");
                        prune(&repository, secrets, &plan, "pi", &options)
                    })
                    .map(|_| ())
            }
            Act::Clock { days: step } => {
                days += step;
                app.clock_ms = (app.clock_ms + step * DAY_MS).max(app.clock_ms);
                Ok(())
            }
            Act::Kill(at) => {
                kill = Some(*at);
                Ok(())
            }
            Act::Base => Ok(()),
        };
        faulty.reset(None);
        if result.is_err() {
            assert!(at.is_some(), "{act:?}: {result:?}");
            // A lineage that is not known to be whole is given up, as the application does.
            for database in [&mut app, &mut web] {
                if database.last == 0 {
                    database.lineage = new_lineage(&database.host, &database.name);
                }
            }
        }
        // A forget or backup that failed half-way has or has not happened.
        let now = ids(&repository);
        if at.is_none() {
            if let Act::Forget { source: None, .. } = act {
                assert_eq!(now.len() + 1, kept.len());
            } else if !matches!(act, Act::Forget { .. }) {
                assert_eq!(now, kept, "{act:?}");
            }
        } else {
            let lost = kept.difference(&now).count();
            assert!(lost == 0 || lost == 1 && matches!(act, Act::Forget { .. }), "{act:?}");
        }
        kept = now;
        let mut databases: Vec<&Database> = former.iter().collect();
        databases.extend([&app, &web]);
        assert_sound(&repository, secrets, &databases, &format!("{act:?}"));
    }
}
