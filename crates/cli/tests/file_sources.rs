//! Backups of files, of what commands print, and of devices, beside databases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Database, Home, is_root, require_tool, restic, skip};
use rustix::fs::inotify;
use serde_json::Value;

fn source<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let mut sources = summary["sources"].as_array().unwrap().iter();
    sources.find(|source| source["name"] == name).unwrap_or_else(|| panic!("{name}: {summary}"))
}

/// A directory with a database in use, its links, and files.
fn application(home: &Home) -> Database {
    let database = Database::create(&home.path("app/data/app.db"), "wal", 50);
    fs::hard_link(&database.path, home.path("app/data/same.db")).unwrap();
    home.write("app/config.toml", "[app]\n");
    home.write("app/data/notes.txt", "one\ntwo\n");
    home.write("app/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n");
    home.write("app/cache/blob", vec![7; 4096]);
    home.write("app/config.toml~", "left by an editor");
    std::os::unix::fs::symlink("config.toml", home.path("app/current")).unwrap();
    database
}

#[test]
fn a_directory_is_backed_up_with_the_databases_in_it() {
    let home = Home::new();
    let database = application(&home);
    let connection = database.open();
    let summary = home.json(&["backup", "app"]);
    let (app, files) = (source(&summary, "app"), source(&summary, "app-files"));
    assert_eq!((&app["kind"], &files["kind"]), (&"database".into(), &"files".into()));
    assert_eq!((&files["files"], &files["others"]), (&3.into(), &1.into()), "{files}");
    assert_eq!((&files["new_files"], &files["excluded"]), (&3.into(), &2.into()), "{files}");
    let placed: Vec<&str> = files["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|placed| placed["path"].as_str().unwrap())
        .collect();
    let placed_at = |name: &str| home.path(name).to_str().unwrap().to_owned();
    assert_eq!(placed, [placed_at("app/data/app.db"), placed_at("app/data/same.db")]);
    assert_eq!(summary["partial"], false);
    drop(connection);

    if !require_tool("restic") {
        return;
    }
    assert!(restic(&home, &["check", "--read-data"]).contains("no errors were found"));
    let listed = restic(&home, &["ls", "latest"]);
    let below: Vec<&str> =
        listed.lines().filter_map(|line| line.split_once("/app/")).map(|(_, name)| name).collect();
    assert_eq!(
        below,
        ["cache", "cache/CACHEDIR.TAG", "config.toml", "current", "data", "data/notes.txt"]
    );
    let snapshots: Value = serde_json::from_str(&restic(&home, &["snapshots", "--json"])).unwrap();
    let id = summary["backup_id"].as_str().unwrap();
    let tags = ["lifeboat".to_owned(), format!("backup-{id}"), "source-app-files".to_owned()];
    assert_eq!(snapshots[0]["tags"], serde_json::json!(tags));
    assert_eq!(snapshots[0]["id"], files["snapshot"]);
}

/// Half of a database is better than nothing of it, and its owner is told.
#[test]
fn a_database_that_cannot_be_captured_is_stored_as_it_lies_there() {
    let home = Home::new();
    let database = Database::create(&home.path("app/good.db"), "delete", 20);
    let mut torn = database.bytes();
    torn.truncate(4096 * 3);
    home.write("app/torn.db", &torn);
    let ran = home.run(&["backup", "app", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["problems"][0]["source"], "torn");
    let files = source(&summary, "app");
    assert_eq!((&files["files"], &files["size_bytes"]), (&1.into(), &torn.len().into()));
    assert_eq!(files["databases"].as_array().unwrap().len(), 1);
    if require_tool("restic") {
        let listed = restic(&home, &["ls", "latest"]);
        assert!(listed.contains("/app/torn.db") && !listed.contains("good.db"), "{listed}");
    }
}

#[test]
fn what_did_not_change_is_not_opened() {
    let home = Home::new();
    home.write("srv/one.txt", "one");
    home.write("srv/deep/two.txt", vec![2; 3_000_000]);
    let first = home.backup(&["srv"]);
    assert_eq!((&first["new_files"], &first["unchanged_files"]), (&2.into(), &0.into()));
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    for file in ["srv/one.txt", "srv/deep/two.txt"] {
        inotify::add_watch(&watch, home.path(file), inotify::WatchFlags::OPEN).unwrap();
    }
    let again = home.backup(&["srv"]);
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    assert!(inotify::Reader::new(&watch, &mut buffer).next().is_err(), "a file was opened");
    assert_eq!((&again["new_files"], &again["unchanged_files"]), (&0.into(), &2.into()));
    assert_eq!((&again["tree"], &again["stored_bytes"]), (&first["tree"], &0.into()));

    // Same size, same time: the time of the last change of anything tells.
    let (path, before) = (home.path("srv/one.txt"), home.path("srv/one.txt").metadata().unwrap());
    fs::write(&path, "two").unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(before.modified().unwrap())
        .unwrap();
    let changed = home.backup(&["srv"]);
    assert_eq!((&changed["changed_files"], &changed["unchanged_files"]), (&1.into(), &1.into()));
    assert_ne!(changed["tree"], first["tree"]);
    // What the state directory knew is found again in the repository.
    fs::remove_dir_all(home.state().join("files")).unwrap();
    assert_eq!(home.backup(&["srv"])["unchanged_files"], 2);
}

#[test]
fn a_configuration_names_sources_of_every_kind() {
    let home = Home::new();
    Database::create(&home.path("app.db"), "wal", 5);
    home.write("etc/app.toml", "[app]\n");
    home.write("etc/app.log", "much");
    home.write("disk.img", vec![9; 1 << 20]);
    home.write(
        "lifeboat.toml",
        "[database.main]\npath = 'app.db'\n\
         [files.config]\npaths = ['etc']\nexclude = ['*.log']\n\
         [command.vault]\nrun = 'printf %s \"$WHAT\"; echo one >&2'\nenvironment = { WHAT = 'sealed' }\nfile-name = 'vault.snap'\n\
         [device.card]\npath = 'disk.img'\n",
    );
    let summary = home.json(&["backup"]);
    let names: Vec<&str> = summary["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["main", "config", "vault", "card"]);
    let vault = source(&summary, "vault");
    assert_eq!((&vault["size_bytes"], &vault["stderr_lines"]), (&6.into(), &1.into()));
    assert_eq!(source(&summary, "card")["size_bytes"], 1 << 20);
    assert_eq!(
        (&source(&summary, "config")["files"], &source(&summary, "config")["excluded"]),
        (&1.into(), &1.into())
    );
    if require_tool("restic") {
        let snapshot = vault["snapshot"].as_str().unwrap();
        assert_eq!(restic(&home, &["dump", snapshot, "/vault.snap"]), "sealed");
        assert!(restic(&home, &["check", "--read-data"]).contains("no errors were found"));
    }

    let of_type = |name: &str| -> Vec<String> {
        let summary = home.json(&["backup", "--type", name]);
        let sources = summary["sources"].as_array().unwrap().iter();
        sources.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of_type("config"), ["config"]);
    assert_eq!(of_type("incremental"), ["main", "vault"]);
    assert_eq!(of_type("full"), ["main", "config", "vault", "card"]);
    let shown = home.ok(&["ls"]);
    assert!(shown.contains("vault") && shown.contains("1 file, "), "{shown}");
    let shown = home.ok(&["backups", "--source", "card"]);
    assert!(shown.contains("device"), "{shown}");
}

#[test]
fn a_command_that_fails_leaves_nothing_and_makes_the_backup_partial() {
    let home = Home::new();
    home.write("etc/app.toml", "[app]\n");
    home.write(
        "lifeboat.toml",
        "[files.config]\npaths = ['etc']\n\
         [command.broken]\nrun = 'echo half; echo disk on fire >&2; exit 3'\n\
         [command.slow]\nrun = ['sleep', '600']\ntimeout = '100ms'\n\
         [device.none]\npath = 'no.img'\n",
    );
    let ran = home.run(&["backup", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for told in ["it ended with status 3; it said: disk on fire", "not done after 100ms", "no.img"]
    {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["sources"].as_array().unwrap().len(), 1);
    assert_eq!(summary["problems"].as_array().unwrap().len(), 3, "{summary}");
    let snapshots = fs::read_dir(home.repository().join("snapshots")).unwrap().count();
    assert_eq!(snapshots, 1, "nothing of what failed is a snapshot");
    home.run(&["backup", "broken"]).fails(1, "the command of broken failed", "");
}

#[test]
fn what_cannot_be_read_is_counted_and_named() {
    if !is_root() || !require_tool("setpriv") {
        return skip("only root can become somebody who may not read");
    }
    let home = Home::new();
    home.write("srv/open.txt", "open");
    home.write("srv/secret.txt", "secret");
    home.write("srv/closed/inside.txt", "inside");
    let close = |name: &str| {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    };
    close("srv/secret.txt");
    close("srv/closed");
    give_to_nobody(home.directory());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    let program = home.command(&["backup", "srv", "--json"]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(home.directory());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{out}{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let problems: Vec<&str> = summary["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["path"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(problems, ["closed", "secret.txt"]);
    assert_eq!(
        (&summary["sources"][0]["problem_count"], &summary["sources"][0]["files"]),
        (&2.into(), &1.into())
    );
    assert_eq!(summary["partial"], true);
}

fn give_to_nobody(directory: &Path) {
    let status = Command::new("chown").args(["-R", "65534:65534"]).arg(directory).status().unwrap();
    assert!(status.success() && directory.metadata().unwrap().uid() == 65534);
}

#[test]
fn a_dry_run_says_what_is_left_out_and_why() {
    let home = Home::new();
    application(&home);
    let ran = home.run(&["backup", "app", "--dry-run", "--verbose"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("config.toml~: excluded by *~"), "{ran:?}");
    assert!(ran.err.contains("blob: its directory is marked by CACHEDIR.TAG"), "{ran:?}");
    assert!(ran.out.contains("3 files, 2 left out"), "{ran:?}");
    let plan = home.json(&["backup", "app", "--dry-run"]);
    assert_eq!(
        (&plan["files"][0]["files"], &plan["databases"][0]["name"]),
        (&3.into(), &"app".into())
    );
    assert!(!home.repository().exists(), "nothing was made");
}

#[test]
fn events_have_the_names_that_others_know() {
    let home = Home::new();
    home.write("srv/one.txt", "one");
    let types = |arguments: &[&str]| -> Vec<String> {
        let ran = home.run(arguments);
        let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let types = lines.map(|line| line["message_type"].as_str().unwrap().to_owned());
        types.filter(|name| name != "note").collect()
    };
    assert_eq!(
        types(&["backup", "srv", "--json"]),
        ["backup_started", "backup_completed", "summary"]
    );
    let verified = types(&["backup", "srv", "--json", "--verify"]);
    assert_eq!(verified, ["backup_started", "backup_completed", "backup_validated", "summary"]);
    assert_eq!(types(&["backup", "nowhere", "--json"]), ["backup_started", "backup_failed"]);
}

#[test]
fn hooks_stand_around_every_kind_of_source() {
    let home = Home::new();
    home.write("srv/one.txt", "one");
    let hook = "'echo $LIFEBOAT_HOOK $LIFEBOAT_SOURCE $LIFEBOAT_STATUS $LIFEBOAT_PATH >> told'";
    home.write(
        "lifeboat.toml",
        format!(
            "[files.srv]\npaths = ['srv']\nhooks = {{ before = {hook}, after = {hook} }}\n\
             [command.no]\nrun = 'exit 1'\nhooks = {{ after = {hook}, on-failure = {hook} }}\n\
             [command.later]\nrun = 'echo x'\nhooks = {{ before = 'exit 75', after = {hook} }}\n"
        ),
    );
    let ran = home.run(&["backup", "--json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let told = fs::read_to_string(home.path("told")).unwrap();
    let srv = home.path("srv").display().to_string();
    let expected = [
        format!("before srv {srv}"),
        format!("after srv success {srv}"),
        "after no failed".to_owned(),
        "on-failure no failed".to_owned(),
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    let summary: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(summary["skipped"], serde_json::json!(["later"]));
}

#[test]
fn an_interrupted_backup_gives_its_lock_back_and_survives_a_hang_up() {
    let home = Home::new();
    home.write("lifeboat.toml", "[command.slow]\nrun = 'echo x; touch begun; sleep 600'\n");
    let locks = || fs::read_dir(home.repository().join("locks")).map_or(0, Iterator::count);
    let mut child = home.command(&["backup"]).spawn().unwrap();
    while !home.path("begun").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(locks(), 1);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(
        child.try_wait().unwrap().is_none(),
        "restic asks with this signal whether we are there"
    );
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(locks(), 0);
}
