//! restic itself, asked what it would store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Whether a tool that we did not write is here. Where LIFEBOAT_REQUIRE_ORACLES is set, it must be.
#[allow(clippy::print_stdout, reason = "a test that does nothing says so")]
pub(crate) fn have(tool: &str, version: &str) -> bool {
    if Command::new(tool).arg(version).output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_ORACLES").is_none(), "{tool} is missing");
    println!("skipped: {tool} is missing");
    false
}

/// A repository that stays empty. One for all tests: making it takes seconds.
fn repository() -> &'static Path {
    static REPOSITORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = REPOSITORY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let output = run(directory.path(), &["init"]);
        assert!(output.status.success(), "{output:?}");
        directory
    });
    directory.path()
}

fn run(repository: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("restic");
    command.env("RESTIC_PASSWORD", "password").arg("--no-cache").arg("-r").arg(repository);
    command.args(arguments).output().unwrap()
}

fn dry_run(root: &Path, arguments: &[&str]) -> Output {
    let mut all = vec!["backup", "--dry-run", "-vv", "--json", root.to_str().unwrap()];
    all.extend(arguments);
    run(repository(), &all)
}

/// The files and directories at and below `root` that restic would store.
pub(crate) fn stored(root: &Path, arguments: &[&str]) -> BTreeSet<PathBuf> {
    let output = dry_run(root, arguments);
    assert!(output.status.success(), "{output:?}");
    let marker = "\"action\":\"new\",\"item\":\"";
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    let items = lines.filter_map(|line| Some(line.split_once(marker)?.1.split_once("\",\"")?.0));
    // Names of tests have no character that JSON would escape, but for this one.
    let paths = items.map(|item| PathBuf::from(item.replace("\\\\", "\\")));
    paths.filter(|path| path.starts_with(root)).collect()
}

/// Those of some patterns that restic does not take.
pub(crate) fn malformed(root: &Path, patterns: &[String]) -> BTreeSet<String> {
    let arguments: Vec<_> = patterns.iter().map(|pattern| format!("--exclude={pattern}")).collect();
    let output = dry_run(root, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let errors = String::from_utf8(output.stderr).unwrap();
    let Some((_, list)) = errors.split_once("invalid pattern(s) provided:\n") else {
        assert!(output.status.success(), "{errors}");
        return BTreeSet::new();
    };
    list.trim_end().lines().map(str::to_owned).collect()
}
