//! Archiving what is on a disk, with restic as the judge of what comes of it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use lifeboat_files::{SourcePaths, Walk, WalkOptions};
use lifeboat_restic::{
    ArchiveOptions, Archived, Index, ResticRepository, SnapshotId, TreeId, archive,
};

use crate::common::{Place, display, have_restic};
use crate::fixture::noise;

/// Archives what is at and below `path`.
pub(crate) fn archive_path(
    repository: &ResticRepository,
    path: &Path,
    parent: Option<SnapshotId>,
) -> Archived {
    let options = ArchiveOptions {
        host: "pi".to_owned(),
        user: "root".to_owned(),
        paths: vec![display(path)],
        parent,
        program_version: "lifeboat test".to_owned(),
        ..ArchiveOptions::default()
    };
    let paths = SourcePaths::new(&[path.to_owned()]).unwrap();
    let mut walk = Walk::new(&paths, WalkOptions::default());
    let mut index = Index::load(repository).unwrap();
    archive(repository, &mut index, &mut walk, &options, &|| Ok(()), &()).unwrap()
}

/// A tree of all that there is.
pub(crate) fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("empty directory")).unwrap();
    fs::create_dir_all(root.join("deep/er/and deeper")).unwrap();
    fs::write(root.join("deep/er/and deeper/file"), "at the bottom").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join("large"), noise(1, 12_000_000)).unwrap();
    fs::write(root.join("even"), vec![b'x'; 9_000_000]).unwrap();
    File::create(root.join("sparse")).unwrap().set_len(10_000_000).unwrap();
    let mut long = noise(2, 600_000);
    long.extend_from_slice(&noise(1, 5_000_000));
    fs::write(root.join("shares with large"), long).unwrap();
    for number in 0..200 {
        fs::write(root.join(format!("deep/{number}")), format!("text {}", number % 50)).unwrap();
    }
    let strange: &[&[u8]] =
        &[b"caf\xe9 \"quoted\" \\ <&>", b"line\nbreak\ttab", "日本 🚀".as_bytes(), b"*?[a]", b"-f"];
    for name in strange {
        let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
        fs::write(root.join(name), name.as_encoded_bytes()).unwrap();
    }
    symlink("../nowhere", root.join("link")).unwrap();
    fs::hard_link(root.join("large"), root.join("deep/another name")).unwrap();
    fs::set_permissions(root.join("empty"), Permissions::from_mode(0o4701)).unwrap();
    fs::set_permissions(root.join("deep"), Permissions::from_mode(0o1777)).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
}

/// A repository, and such a tree beside it.
fn place_with_tree() -> (Place, ResticRepository, PathBuf) {
    let place = Place::new();
    let (repository, files) = (place.init(), place.path("files"));
    make_tree(&files);
    (place, repository, files)
}

/// Every path below `root`, with all of it that `restic restore` puts back.
fn contents(root: &Path) -> Vec<(PathBuf, String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = match metadata.file_type() {
                kind if kind.is_file() => fs::read(&path).unwrap(),
                kind if kind.is_symlink() => {
                    fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                }
                _ => Vec::new(),
            };
            let modified = metadata.modified().unwrap();
            let description = format!("{:o} {modified:?}", metadata.permissions().mode());
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            found.push((path.strip_prefix(root).unwrap().to_owned(), description, content));
        }
    }
    found.sort();
    found
}

/// The tree of the directory `path`.
fn tree_of(repository: &ResticRepository, archived: &Archived, path: &Path) -> TreeId {
    let index = Index::load(repository).unwrap();
    path.strip_prefix("/").unwrap().iter().fold(archived.tree, |tree, name| {
        repository.tree(&index, &tree).unwrap().find(name).unwrap().subtree.unwrap()
    })
}

fn below(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path.strip_prefix("/").unwrap())
}

#[test]
fn restic_restores_what_was_archived_here() {
    if !have_restic() {
        return;
    }
    let (place, repository, files) = place_with_tree();
    let archived = archive_path(&repository, &files, None);
    assert_eq!(archived.problems.count(), 0, "{:?}", archived.problems);
    assert_eq!((archived.files_new, archived.files_unmodified), (archived.files, 0));

    place.restic(&["check", "--read-data"]);
    let id = archived.snapshot.to_string();
    place.restic(&["restore", &id, "--verify", "--target", &display(&place.path("restored"))]);
    assert_eq!(contents(&below(&place.path("restored"), &files)), contents(&files));
    let shown = place.restic(&["snapshots"]);
    assert!(shown.contains(&archived.snapshot.short()) && shown.contains("pi"), "{shown}");
}

/// Chunks, names and metadata are those of restic, so nothing is stored twice.
#[test]
fn restic_adds_nothing_to_what_was_archived_here() {
    if !have_restic() {
        return;
    }
    let (place, repository, files) = place_with_tree();
    let archived = archive_path(&repository, &files, None);
    let before = place.restic(&["list", "blobs"]);
    let report =
        place.restic(&["backup", "--json", "--force", "--host", "other", &display(&files)]);
    let after = place.restic(&["list", "blobs"]);
    let count = |list: &str, kind| list.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!(count(&before, "data"), count(&after, "data"), "{report}");
    assert_eq!(archived.data_blobs_new, count(&before, "data") as u64);
    assert_eq!(archived.tree_blobs_new, count(&before, "tree") as u64);

    // And with the snapshot made here as its parent, restic reads nothing.
    let id = archived.snapshot.to_string();
    let report = place.restic(&["backup", "--json", "--parent", &id, &display(&files)]);
    assert!(report.contains(r#""files_new":0,"files_changed":0"#), "{report}");
}

#[test]
fn what_restic_backed_up_is_not_read_again() {
    if !have_restic() {
        return;
    }
    let (place, repository, files) = place_with_tree();
    place.restic(&["backup", &display(&files)]);
    let (parent, _) = repository.snapshots().unwrap().readable.remove(0);
    let archived = archive_path(&repository, &files, Some(parent));
    assert_eq!((archived.files_unmodified, archived.read_bytes), (archived.files, 0));
    assert_eq!((archived.data_blobs_new, archived.unreadable_parent_trees), (0, 0));
    place.restic(&["check", "--read-data"]);
}

#[test]
fn only_what_changed_is_read() {
    let (_place, repository, files) = place_with_tree();
    let first = archive_path(&repository, &files, None);
    let second = archive_path(&repository, &files, Some(first.snapshot));
    assert_eq!(tree_of(&repository, &second, &files), tree_of(&repository, &first, &files));
    assert_eq!((second.files_unmodified, second.read_bytes), (first.files, 0));
    // Directories above may change: others make files there, too.
    assert_eq!(second.data_blobs_new, 0);
    assert!(second.tree_blobs_new < 3, "{second:?}");
    assert_eq!(second.size_bytes, first.size_bytes);

    fs::write(files.join("deep/er/and deeper/file"), "changed").unwrap();
    fs::write(files.join("new"), "new").unwrap();
    fs::remove_file(files.join("empty")).unwrap();
    let third = archive_path(&repository, &files, Some(second.snapshot));
    assert_eq!((third.files_new, third.files_changed), (1, 1));
    assert_eq!((third.files_unmodified, third.read_bytes), (first.files - 2, 10));
    assert_eq!(third.data_blobs_new, 2);
    let snapshot = repository.snapshot(&third.snapshot).unwrap();
    assert_eq!(snapshot.parent, Some(second.snapshot));
    let summary = snapshot.summary.unwrap();
    assert_eq!((summary.files_new, summary.files_changed, summary.data_blobs), (1, 1, 2));
    // `deep`, `er`, `and deeper`, the directory itself and those above it, but not `empty directory`.
    assert_eq!((summary.dirs_new, summary.dirs_unmodified), (0, 1));
}
