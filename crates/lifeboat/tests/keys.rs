//! Keys through the application: changed passwords, hosts with a recipient alone, pinned hosts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Machine, back_up, backup_app, copy_directory, restored};
use lifeboat::{
    Acceptable, BackupRequest, CheckOptions, Context, Environment, Error, KeptPassword, KeySource,
    NewKey, OpenRepository, Overrides, PasswordSource, Request, SecretString, Selection, Silent,
    accept, add_key, backup, backup_names, backups, change_password, check, keys, plan_acceptance,
    plan_removal, plan_rotation, rotate, select,
};
use lifeboat_repository::Error as Repository;
use lifeboat_storage::secrecy::ExposeSecret;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};
use lifeboat_storage::{Storage, x25519};

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static OPENED: RefCell<Option<Faulty<Arc<dyn Storage>>>> = const { RefCell::new(None) };
}

/// Counts the operations of a context, and fails at the one that `FAULT` says.
fn faulty(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
    let faulty = Faulty::new(storage, FAULT.get());
    OPENED.set(Some(faulty.clone()));
    Arc::new(faulty)
}

fn operations() -> Vec<Operation> {
    OPENED.with_borrow(|opened| opened.as_ref().unwrap().operations())
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn given(text: &str) -> KeySource {
    KeySource::Password(PasswordSource::Given(secret(text)))
}

/// A person with the file of their key.
struct Person {
    identity: x25519::Identity,
    file: PathBuf,
}

impl Person {
    fn new(machine: &Machine, name: &str) -> Self {
        let identity = x25519::Identity::generate();
        let file = machine.path(name);
        std::fs::write(&file, identity.to_string().expose_secret()).unwrap();
        Self { identity, file }
    }

    fn recipient(&self) -> String {
        self.identity.to_public().to_string()
    }

    fn key(&self) -> KeySource {
        KeySource::Identity(self.file.clone())
    }
}

fn context(machine: &Machine, repository: &Path, key: Option<KeySource>) -> Context {
    context_for(machine, repository, key, None)
}

fn context_for(
    machine: &Machine,
    repository: &Path,
    key: Option<KeySource>,
    recipient: Option<String>,
) -> Context {
    let environment =
        Environment::of([("HOME", machine.directory.path())], machine.directory.path());
    let repository = Some(repository.to_str().unwrap().to_owned());
    let overrides = Overrides { repository, key, recipient, ..Overrides::default() };
    Context::load(environment, overrides).unwrap()
}

/// A machine with a database of a few pages.
fn machine() -> Machine {
    let machine = Machine::new();
    machine.create("wal", 5);
    machine
}

fn latest(opened: &OpenRepository<'_>, host: &str) -> Result<String, Error> {
    let selection = Selection { host: Some(host.to_owned()), ..Selection::default() };
    select(opened, &selection).map(|(name, _)| name.id.to_string())
}

fn id_of(report: &lifeboat::BackupReport) -> String {
    report.manifest.id.to_string()
}

/// A key of somebody who opens the repository.
fn opens(machine: &Machine, repository: &Path, password: &str) -> bool {
    let context = context(machine, repository, Some(given(password)));
    context.open_repository().is_ok_and(|opened| opened.secrets().is_ok())
}

#[test]
fn the_default_password_is_changed_where_it_is_kept() {
    let machine = machine();
    let context = machine.context();
    let report = backup_app(&context).unwrap();
    let opened = context.open_repository().unwrap();
    let change = change_password(&opened, &secret("a new one")).unwrap();
    let file = context.default_password_file();
    assert_eq!(change.kept, KeptPassword::Written(file.clone()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a new one\n");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    // As usual from here on, and by nothing else.
    let context = machine.context();
    let opened = context.open_repository().unwrap();
    assert_eq!(keys(&opened).unwrap().keys.len(), 1);
    assert_eq!(restored(&opened, &id_of(&report), &machine.path("r.db")), machine.bytes());
    for unusable in ["", "two\nlines"] {
        assert!(matches!(change_password(&opened, &secret(unusable)), Err(Error::Usage { .. })));
    }
}

/// Whatever operation fails, the password that the file holds opens the repository, and a second
/// try succeeds.
#[test]
fn a_change_of_the_password_may_fail_anywhere() {
    let machine = machine();
    backup_app(&machine.context()).unwrap();
    let old = std::fs::read_to_string(machine.context().default_password_file()).unwrap();
    let old = old.trim_end();
    // Passwords are meant to take time: what is half done is tried at some operations only.
    for (kind, step) in [(FaultKind::FromThenOn, 1), (FaultKind::Tear, 4)] {
        for at in (0..).step_by(step) {
            let machine = machine.copy();
            FAULT.set(Some(Fault { at, kind }));
            let context = machine.context().with_storage_between(faulty);
            let result =
                context.open_repository().and_then(|o| change_password(&o, &secret("new")));
            let what = format!("{kind:?} at {at}, {:?}", operations().get(at));
            let over = operations().len() <= at;
            assert_eq!(result.is_ok(), over, "{what}");
            FAULT.set(None);

            let repository = PathBuf::from(machine.context().repository_location().unwrap());
            let kept = std::fs::read_to_string(machine.context().default_password_file()).unwrap();
            assert!(opens(&machine, &repository, kept.trim_end()), "{what}");
            assert!(kept.trim_end() == old || kept == "new\n", "{what}");
            let context = machine.context();
            let opened = context.open_repository().unwrap();
            change_password(&opened, &secret("newer")).expect(&what);
            assert!(opens(&machine, &repository, "newer"), "{what}");
            if over {
                assert!(at > 10);
                assert!(!opens(&machine, &repository, old) && !opens(&machine, &repository, "new"));
                break;
            }
        }
    }
}

#[test]
fn where_the_old_password_is_kept_is_told() {
    let machine = machine();
    let repository = machine.path("r");
    let file = machine.path("mine");
    std::fs::write(&file, "one\n").unwrap();
    let by_file = KeySource::Password(PasswordSource::File(file.clone()));
    let context = context(&machine, &repository, Some(by_file));
    let opened = context.init(&Silent).unwrap();
    let change = change_password(&opened, &secret("two")).unwrap();
    assert_eq!(change.kept, KeptPassword::File(file.clone()));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n");
    assert!(opens(&machine, &repository, "two") && !opens(&machine, &repository, "one"));
}

#[test]
fn keys_are_removed_but_not_the_one_in_use() {
    let machine = machine();
    let context = machine.context();
    backup_app(&context).unwrap();
    let opened = context.open_repository().unwrap();
    let own = keys(&opened).unwrap().keys[0].name.id;
    let refused = plan_removal(&opened, &own.short());
    assert!(matches!(refused, Err(Error::LastKey { .. })), "{refused:?}");
    let added = add_key(&opened, &NewKey::Password(secret("two")), Some("laptop")).unwrap();
    let refused = plan_removal(&opened, &own.to_string());
    assert!(matches!(refused, Err(Error::KeyInUse { .. })), "{refused:?}");
    let repository = PathBuf::from(context.repository_location().unwrap());
    assert!(opens(&machine, &repository, "two"));
    let removal = plan_removal(&opened, &added.name.id.to_string()).unwrap();
    lifeboat::remove_key(&opened, &removal).unwrap();
    assert!(!opens(&machine, &repository, "two"));
    assert!(matches!(plan_removal(&opened, "00000000"), Err(Error::NoKey { .. })));
}

/// The owner makes a repository elsewhere; a host that knows the recipient only backs up twice; the
/// owner restores both.
#[test]
fn a_host_with_the_recipient_alone_backs_up_and_its_owner_restores() {
    let (owner, host) = (Machine::new(), machine());
    let person = Person::new(&owner, "me.key");
    let repository = owner.path("shared");
    let recipient = {
        let context = context(&owner, &repository, None);
        let opened = context.init_for(&[person.recipient()], &Silent).unwrap();
        assert!(opened.secrets().is_err());
        opened.repository().recipient().unwrap().recipient.clone()
    };

    let mut saved = Vec::new();
    for (number, given) in [(0, None), (1, Some(recipient))] {
        let context = context_for(&host, &repository, None, given).with_storage_between(faulty);
        let report = backup_app(&context).unwrap();
        let source = report.databases().next().unwrap();
        assert_eq!(source.changed_from.is_some(), number > 0, "the second is incremental");
        saved.push((id_of(&report), host.bytes()));
        host.change(2);
        // It reads nothing back of what it wrote.
        let read = operations().into_iter().filter_map(|operation| match operation {
            Operation::Read(key) => Some(key.to_string()),
            _ => None,
        });
        for key in read {
            assert!(key == "lifeboat.json" || key.starts_with("recipients/"), "{key}");
        }
        assert!(!context.default_password_file().exists());
    }

    let alone = context(&host, &repository, None);
    let opened = alone.open_repository().unwrap();
    assert!(!opened.can_read());
    assert_eq!(backup_names(&opened).unwrap().len(), 2);
    let report = check(&opened, CheckOptions::default(), &Silent).unwrap();
    assert!(report.is_clean());
    assert_eq!(report.restorable.len(), 2);
    let no_password = |error: Error| assert!(matches!(error, Error::NoPassword { .. }), "{error}");
    no_password(check(&opened, CheckOptions::all(), &Silent).unwrap_err());
    no_password(backups(&opened).unwrap_err());
    no_password(select(&opened, &Selection::default()).unwrap_err());
    no_password(keys(&opened).map(drop).and_then(|()| plan_removal(&opened, "0000")).unwrap_err());
    let sources = Request::of(vec!["app.db".to_owned()]);
    let request = BackupRequest { sources, verify: true, ..BackupRequest::default() };
    no_password(backup(&alone, &request, &Silent).unwrap_err());
    assert_eq!(backup_names(&opened).unwrap().len(), 2, "nothing was stored");

    let context = context(&owner, &repository, Some(person.key()));
    let opened = context.open_repository().unwrap();
    for (id, bytes) in &saved {
        assert_eq!(&restored(&opened, id, &owner.path("r.db")), bytes);
    }
    let report = check(&opened, CheckOptions::all(), &Silent).unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// A password of another repository, where nobody named one, does not stand in the way.
#[test]
fn the_default_password_may_belong_to_other_repositories() {
    let machine = machine();
    backup_app(&machine.context()).unwrap();
    let person = Person::new(&machine, "me.key");
    let repository = machine.path("shared");
    context(&machine, &repository, None).init_for(&[person.recipient()], &Silent).unwrap();
    let alone = context(&machine, &repository, None);
    backup_app(&alone).unwrap();
    assert!(!alone.open_repository().unwrap().can_read());
    // One that is named is verified.
    let named = context(&machine, &repository, Some(given("x"))).open_repository().map(drop);
    assert!(matches!(named, Err(Error::Repository(Repository::NoIdentity { .. }))), "{named:?}");
    let stranger = Person::new(&machine, "stranger.key");
    let refused = context(&machine, &repository, Some(stranger.key())).open_repository().map(drop);
    assert!(matches!(refused, Err(Error::Repository(Repository::WrongIdentity { .. }))));
}

fn is_recipient_changed<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Repository(Repository::RecipientChanged { .. })))
}

#[test]
fn after_a_rotation_hosts_without_a_key_wait_until_told() {
    let (owner, host) = (machine(), machine());
    let person = Person::new(&owner, "me.key");
    let repository = owner.path("shared");
    let by_owner = || context(&owner, &repository, Some(given("one")));
    by_owner().init(&Silent).unwrap();
    let first = {
        let context = by_owner();
        let opened = context.open_repository().unwrap();
        add_key(&opened, &NewKey::Person(person.recipient()), Some("owner")).unwrap();
        add_key(&opened, &NewKey::Password(secret("two")), None).unwrap();
        opened.repository().recipient().unwrap().recipient.clone()
    };
    let before = backup_app(&by_owner()).unwrap();
    backup_app(&context(&host, &repository, None)).unwrap();
    let by_person = context(&owner, &repository, Some(person.key()));
    backup_app(&by_person).unwrap();

    let context_of_rotation = by_owner();
    let opened = context_of_rotation.open_repository().unwrap();
    let rotation = plan_rotation(&opened).unwrap();
    assert_eq!(rotation.plan.persons[0].recipient, person.recipient());
    assert_eq!(rotation.plan.left_behind.len(), 1);
    let second = rotate(&opened, &rotation).unwrap().recipient;
    assert_ne!(first, second);

    // Who rotated goes on; so does the person, whose key holds both secrets.
    let after = backup_app(&by_owner()).unwrap();
    backup_app(&by_person).unwrap();
    // The password that was left behind does not, nor does the host that has none.
    assert!(is_recipient_changed(&backup_app(&context(&host, &repository, Some(given("two"))))));
    assert!(is_recipient_changed(&backup_app(&context(&host, &repository, None))));
    let stale = context_for(&owner, &repository, Some(given("one")), Some(first.clone()));
    assert!(is_recipient_changed(&backup_app(&stale)), "what was given wins");

    let alone = context(&host, &repository, None);
    let opened = alone.open_repository().unwrap();
    let wanted = Acceptable { recipient: true, hosts: Vec::new() };
    let plan = plan_acceptance(&opened, &wanted).unwrap();
    let changed = plan.recipient.as_ref().unwrap();
    assert_eq!((changed.expected.as_ref(), &changed.found), (Some(&first), &second));
    assert!(is_recipient_changed(&backup_app(&alone)), "a plan changes nothing");
    accept(&opened, &plan).unwrap();
    let of_host = backup_app(&alone).unwrap();

    let context = by_owner();
    let opened = context.open_repository().unwrap();
    for report in [&before, &after] {
        assert_eq!(restored(&opened, &id_of(report), &owner.path("r.db")), owner.bytes());
    }
    assert_eq!(restored(&opened, &id_of(&of_host), &owner.path("r.db")), host.bytes());
}

/// Two machines that claim one name, as after a host was set up anew, or as a forger would.
#[test]
fn another_key_for_a_host_is_refused_until_it_is_accepted() {
    let repository_of = Machine::new();
    let repository = repository_of.path("shared");
    let (pi, forger, reader) = (machine(), machine(), Machine::new());
    for machine in [&pi, &forger] {
        std::fs::write(machine.path("lifeboat.toml"), "host = 'pi'\n").unwrap();
    }
    let with = |machine: &Machine| context(machine, &repository, Some(given("one")));
    with(&pi).init(&Silent).unwrap();
    let true_id = id_of(&backup_app(&with(&pi)).unwrap());
    {
        let context = with(&reader);
        let opened = context.open_repository().unwrap();
        assert_eq!(latest(&opened, "pi").unwrap(), true_id);
    }
    let false_id = id_of(&backup_app(&with(&forger)).unwrap());

    let context = with(&reader);
    let opened = context.open_repository().unwrap();
    let refused = latest(&opened, "pi").unwrap_err();
    let Error::Repository(Repository::HostKeyChanged { host, expected, found }) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((host.as_str(), expected.len()), ("pi", 1));
    assert_ne!(&expected[0], found);
    // The newest that is believed is restored.
    let target = reader.path("r.db");
    let request = lifeboat::RestoreRequest {
        selection: Selection { host: Some("pi".to_owned()), ..Selection::default() },
        target: Some(target.clone()),
        ..lifeboat::RestoreRequest::default()
    };
    let plan = lifeboat::plan_restore(&opened, &request, &Silent).unwrap();
    assert_eq!(plan.backup().id.to_string(), true_id);
    let report = check(&opened, CheckOptions::default(), &Silent).unwrap();
    assert_eq!((report.findings.len(), report.lost.len()), (1, 1), "{report:?}");
    assert!(matches!(report.findings[0].error, Repository::HostKeyChanged { .. }));

    let plan = plan_acceptance(&opened, &Acceptable::default()).unwrap();
    assert_eq!((plan.recipient.is_none(), plan.hosts.len()), (true, 1));
    assert_eq!((&plan.hosts[0].found, plan.hosts[0].backups), (found, 1));
    let unknown = Acceptable { recipient: false, hosts: vec!["nas".to_owned()] };
    assert!(matches!(plan_acceptance(&opened, &unknown), Err(Error::NoBackup { .. })));
    accept(&opened, &plan).unwrap();

    let context = with(&reader);
    let opened = context.open_repository().unwrap();
    assert_eq!(latest(&opened, "pi").unwrap(), false_id);
    for entry in backups(&opened).unwrap() {
        assert!(entry.manifest.is_ok(), "what was signed before is believed too");
    }
    let hosts = keys(&opened).unwrap().hosts;
    assert_eq!((hosts.len(), hosts[0].keys.len(), hosts[0].is_own), (1, 2, false));
}

/// A machine that lost its state but not its name finds its backups again at first sight; once it
/// has written under its new key, its former one must be accepted.
#[test]
fn a_host_that_was_set_up_anew_restores_what_it_had() {
    let machine = machine();
    std::fs::write(machine.path("lifeboat.toml"), "host = 'pi'\n").unwrap();
    let first = backup_app(&machine.context()).unwrap();
    let anew = Machine::new();
    copy_directory(machine.directory.path(), anew.directory.path());
    std::fs::remove_dir_all(anew.path(".local/state")).unwrap();
    let context = anew.context();
    let opened = context.open_repository().unwrap();
    assert_eq!(restored(&opened, &id_of(&first), &anew.path("r.db")), machine.bytes());
    let second = back_up(&anew.context(), "app.db").unwrap();
    let context = anew.context();
    let opened = context.open_repository().unwrap();
    for report in [&first, &second] {
        assert_eq!(restored(&opened, &id_of(report), &anew.path("r.db")), anew.bytes());
    }
}
