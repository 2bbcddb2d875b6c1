//! Files of backups: listed, found, compared, written to a stream.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lifeboat::{
    DiffItem, DiffRequest, Error, FindRequest, FoundWhat, ListRequest, Selection, Silent, diff,
    dump_file, find_files, list_files,
};

use crate::machine::{Files, stored};

fn two_backups() -> (Files, [String; 2]) {
    let files = Files::new();
    for name in ["same/a", "same/b", "changed", "gone/1", "dressed", "turned"] {
        files.write(name, format!("content of {name}"));
    }
    let first = files.back_up().name.id.to_string();
    files.write("changed", "other content");
    files.write("new/2", "new");
    fs::remove_dir_all(files.root().join("gone")).unwrap();
    fs::set_permissions(files.root().join("dressed"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(files.root().join("turned")).unwrap();
    fs::create_dir(files.root().join("turned")).unwrap();
    let second = files.back_up().name.id.to_string();
    (files, [first, second])
}

#[test]
fn directories_are_listed() {
    let (files, _) = two_backups();
    let context = files.context();
    let opened = context.open_repository().unwrap();
    let list = |path: &str, recursive| {
        let mut paths = Vec::new();
        let source = files.root().join(path);
        let meant = stored(&opened, source.to_str());
        let mut each = |entry: &lifeboat::Entry| {
            paths.push(entry.path.strip_prefix(files.root()).unwrap().display().to_string());
            Ok(())
        };
        let request = ListRequest { recursive, no_lock: false };
        let problems = list_files(&opened, &meant, request, &mut each, &Silent).unwrap();
        assert!(problems.is_empty());
        paths
    };
    assert_eq!(list("", false), ["changed", "dressed", "new", "same", "turned"]);
    assert_eq!(
        list("", true),
        ["changed", "dressed", "new", "new/2", "same", "same/a", "same/b", "turned"]
    );
    assert_eq!(list("same", false), ["same/a", "same/b"]);
    assert_eq!(list("same/b", true), ["same/b"]);
    assert_eq!(list("turned", true), [""; 0]);
}

#[test]
fn files_are_found_in_all_backups() {
    let (files, [first, second]) = two_backups();
    let context = files.context();
    let opened = context.open_repository().unwrap();
    let find = |patterns: &[&str], backup: Option<&str>| {
        let mut found = Vec::new();
        let request = FindRequest {
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            backup: backup.map(str::to_owned),
            ..FindRequest::default()
        };
        let report = find_files(
            &opened,
            &request,
            &mut |one| {
                let FoundWhat::Entry(entry) = one.what else { panic!("{one:?}") };
                let path = entry.path.strip_prefix(files.root()).unwrap().display().to_string();
                found.push((one.backup.id.to_string(), path));
                Ok(())
            },
            &Silent,
        )
        .unwrap();
        assert_eq!(report.found, found.len() as u64);
        assert!(report.problems.is_empty());
        (found, report.directories)
    };
    let at = |id: &String, path: &str| (id.clone(), path.to_owned());
    let both = |path: &str| vec![at(&second, path), at(&first, path)];
    assert_eq!(find(&["a"], None).0, both("same/a"));
    assert_eq!(find(&["same"], None).0, both("same"), "not what lies in it");
    assert_eq!(find(&["same/*"], None).0.len(), 4);
    assert_eq!(find(&["gone"], None).0, [at(&first, "gone")]);
    assert_eq!(find(&["[12]"], None).0, [at(&second, "new/2"), at(&first, "gone/1")]);
    assert_eq!(find(&["1", "2"], Some("latest")).0, [at(&second, "new/2")]);
    assert_eq!(find(&["1", "2"], Some(&first)).0, [at(&first, "gone/1")]);
    assert_eq!(find(&["none"], None).0, []);
    // The directory that is the same in both is read once.
    let (_, directories) = find(&["none"], None);
    let (_, of_first) = find(&["none"], Some(&first));
    let (_, of_second) = find(&["none"], Some(&second));
    assert!(directories < of_first + of_second, "{directories} of {of_first} + {of_second}");
}

#[test]
fn backups_are_compared() {
    let (files, [first, second]) = two_backups();
    let context = files.context();
    let opened = context.open_repository().unwrap();
    let compare = |from: &String, to: &String, path: Option<&str>| {
        let mut lines = Vec::new();
        let request = DiffRequest {
            from: Selection::from(from.as_str()),
            to: Selection::from(to.as_str()),
            path: path.map(|path| files.root().join(path)),
            ..DiffRequest::default()
        };
        let mut each = |item: &DiffItem<'_>| {
            let DiffItem::Entry { difference, .. } = item else { panic!("{item:?}") };
            if let Ok(path) = difference.path.strip_prefix(files.root())
                && path.as_os_str() != ""
            {
                lines.push(format!("{} {}", difference.change.letter(), path.display()));
            }
            Ok(())
        };
        let (_, _, report) = diff(&opened, &request, &mut each, &Silent).unwrap();
        (lines, report)
    };
    let (lines, report) = compare(&first, &second, None);
    assert_eq!(
        lines,
        ["M changed", "U dressed", "- gone", "- gone/1", "+ new", "+ new/2", "T turned"]
    );
    assert_eq!((report.added, report.removed, report.modified, report.retyped), (2, 2, 1, 1));
    assert_eq!((report.added_bytes, report.removed_bytes), (3, "content of gone/1".len() as u64));
    let (lines, _) = compare(&second, &first, None);
    assert_eq!(
        lines,
        ["M changed", "U dressed", "+ gone", "+ gone/1", "- new", "- new/2", "T turned"]
    );
    assert_eq!(compare(&first, &second, Some("new")).0, ["+ new", "+ new/2"]);
    let (lines, report) = compare(&first, &first, None);
    assert!(lines.is_empty() && report.problems.is_empty());
}

#[test]
fn a_file_is_written_to_a_stream() {
    let (files, _) = two_backups();
    let context = files.context();
    let opened = context.open_repository().unwrap();
    let dump = |name: &str| {
        let path = files.root().join(name);
        let mut out = Vec::new();
        let report = dump_file(&opened, &stored(&opened, path.to_str()), false, &mut out, &Silent)?;
        assert_eq!(report.size_bytes, out.len() as u64);
        Ok::<_, Error>(out)
    };
    assert_eq!(dump("changed").unwrap(), b"other content");
    assert!(matches!(dump("same").unwrap_err(), Error::Usage { .. }));
    assert!(matches!(dump("gone/1").unwrap_err(), Error::NoPath { .. }));
}
