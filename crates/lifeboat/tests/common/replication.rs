//! What tests of replications share.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lifeboat::{
    BackupRequest, Context, DatabaseStatus, Environment, Event, Events, Overrides, ReplicateReport,
    ReplicateRequest, Request, RestoreRequest, Selection, Silent, Stop, backup, check,
    plan_restore, replicate, restore, status,
};

use super::{Machine, content};

/// Longer than anything here takes, even on a machine that does other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<String>>);

impl Events for Log {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Log {
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

/// Runs `act` beside a replication of these sources.
pub(crate) fn beside(
    context: &Context,
    sources: &[&str],
    act: impl FnOnce(&Log),
) -> ReplicateReport {
    let stop = Stop::new().unwrap();
    let log = Log::default();
    let request = ReplicateRequest {
        sources: Request::of(sources.iter().map(|source| (*source).to_owned()).collect()),
        interval: Some(Duration::from_millis(20)),
        take_over: false,
        once: false,
    };
    std::thread::scope(|scope| {
        let replication = scope.spawn(|| replicate(context, &request, &stop, &log, &Silent));
        // Whatever `act` finds, the replication must end.
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&log)));
        stop.stop();
        let report = replication.join().unwrap();
        if let Err(panic) = acted {
            #[allow(clippy::print_stdout, reason = "shows the events of what failed")]
            {
                println!("{}", log.text());
            }
            std::panic::resume_unwind(panic);
        }
        report.unwrap()
    })
}

#[track_caller]
pub(crate) fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn only(context: &Context) -> DatabaseStatus {
    let mut databases = status(context).unwrap();
    assert_eq!(databases.len(), 1);
    databases.remove(0)
}

/// Backs up beside the replication: what the repository holds then, restored.
#[track_caller]
pub(crate) fn is_protected(context: &Context, path: &Path) {
    let sources = Request::of(vec![path.display().to_string()]);
    let report =
        backup(context, &BackupRequest { sources, ..BackupRequest::default() }, &Silent).unwrap();
    let expected = content(path);
    let opened = context.open_repository().unwrap();
    let target = path.with_extension("restored");
    let selection = Selection {
        source: Some(path.display().to_string()),
        ..Selection::from(report.manifest.id)
    };
    let request =
        RestoreRequest { selection, target: Some(target.clone()), ..RestoreRequest::default() };
    let plan = plan_restore(&opened, &request, &Silent).unwrap();
    restore(&opened, plan, &Silent).unwrap();
    assert!(content(&target) == expected, "the restored database differs");
    fs::remove_file(&target).unwrap();
}

pub(crate) fn is_sound(context: &Context) {
    let opened = context.open_repository().unwrap();
    let options = lifeboat::CheckOptions::all();
    let report = check(&opened, options, &Silent).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// A machine with two repositories, `one` and `two`, and a configuration that names both.
pub(crate) fn with_two_repositories(more: &str) -> (Machine, Context) {
    let machine = Machine::new();
    for name in ["one", "two"] {
        let context = machine.context_of(&machine.path(name).display().to_string());
        context.init(&Silent).unwrap();
    }
    let path = |name: &str| machine.path(name).display().to_string();
    let text = format!(
        "[repository.one]\nurl = '{}'\n[repository.two]\nurl = '{}'\n{more}\n",
        path("one"),
        path("two")
    );
    fs::write(machine.path("lifeboat.toml"), text).unwrap();
    let context = of(&machine, None);
    (machine, context)
}

/// A context of the configuration, in which one repository may be named.
pub(crate) fn of(machine: &Machine, repository: Option<&str>) -> Context {
    let home = machine.directory.path();
    let overrides = Overrides {
        repository: repository.map(str::to_owned),
        config: Some(machine.path("lifeboat.toml")),
        ..Overrides::default()
    };
    Context::load(Environment::of([("HOME", home)], home), overrides).unwrap()
}

/// Whether the database was captured.
pub(crate) fn only_if(context: &Context) -> bool {
    status(context).unwrap().iter().any(|database| database.txid.is_some())
}
