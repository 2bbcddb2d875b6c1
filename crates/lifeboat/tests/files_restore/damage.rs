//! What is damaged in a repository takes no more with it than it has to.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat::{BackupRequest, FilesRestoreRequest, Request, Silent};

use crate::common::objects_below;
use crate::look::look;
use crate::machine::{Files, usual};

/// Files whose contents lie in packs of their own: each was backed up by itself.
fn three_backups() -> (Files, Vec<PathBuf>) {
    let files = Files::new();
    let mut packs = Vec::new();
    for name in ["one/a", "two/b", "two/c"] {
        let noise: Vec<u8> = (0..200_000_u32)
            .map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()[0] ^ name.as_bytes()[0])
            .collect();
        let mut content = name.as_bytes().to_vec();
        content.extend(noise);
        files.write(name, content);
        files.back_up();
        let known: Vec<PathBuf> = packs.concat();
        let mut new = data(&files);
        new.retain(|path| !known.contains(path));
        packs.push(new);
    }
    // Of the packs of a backup, the larger one has the content.
    let largest = |packs: &Vec<PathBuf>| {
        packs.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap().clone()
    };
    let contents = packs.iter().map(largest).collect();
    (files, contents)
}

fn data(files: &Files) -> Vec<PathBuf> {
    objects_below(&repository(files).join("data"))
}

fn repository(files: &Files) -> PathBuf {
    files.machine.path(".local/share/lifeboat/repository")
}

fn spoil(pack: &Path) {
    let mut bytes = fs::read(pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(pack, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(pack, bytes).unwrap();
}

#[test]
fn a_damaged_piece_takes_its_file_alone() {
    for remove in [false, true] {
        let (files, contents) = three_backups();
        if remove {
            fs::remove_file(&contents[1]).unwrap();
        } else {
            spoil(&contents[1]);
        }
        let report = files.restore_to("out");
        let root = files.restored_root("out");
        assert_eq!((report.problem_count, report.put.files), (1, 2), "{report:?}");
        assert_eq!(report.problems[0].path, root.join("two/b"));
        assert!(report.is_partial());
        assert!(!root.join("two/b").exists(), "no half of a file");
        for whole in ["one/a", "two/c"] {
            let (found, expected) =
                (fs::read(root.join(whole)), fs::read(files.root().join(whole)));
            assert!(found.unwrap() == expected.unwrap(), "{whole}");
        }
        assert_eq!(look(&root).len(), 5);

        // What is there stays, if the backup cannot say better.
        let here = files.root().join("two/b");
        let size = here.metadata().unwrap().len();
        fs::write(&here, vec![7; usize::try_from(size).unwrap()]).unwrap();
        let report = files.restore(&usual());
        assert_eq!((report.problem_count, report.put.replaced), (1, 0), "{report:?}");
        assert_eq!(fs::read(&here).unwrap()[0], 7);
    }
}

#[test]
fn a_damaged_directory_takes_what_is_in_it() {
    let (files, contents) = three_backups();
    // The last backup has stored the root and `two` anew, so `one` alone is in the packs of the first.
    let first_trees =
        data(&files).into_iter().min_by_key(|path| path.metadata().unwrap().modified().unwrap());
    assert!(first_trees.is_some());
    let of_contents = |path: &PathBuf| contents.contains(path);
    let mut problems = 0;
    for pack in data(&files).iter().filter(|path| !of_contents(path)) {
        let whole = fs::read(pack).unwrap();
        fs::remove_file(pack).unwrap();
        let target = files.base().join("out");
        let request = FilesRestoreRequest { target: Some(target.clone()), delete: true, ..usual() };
        let root = files.restored_root("out");
        fs::create_dir_all(root.join("one")).unwrap();
        fs::write(root.join("one/mine"), "mine").unwrap();
        match files.try_restore(None, &request) {
            Ok(report) if report.problem_count == 0 => {}
            Ok(report) => {
                problems += 1;
                assert_eq!((report.problem_count, report.put.files), (1, 2), "{report:?}");
                assert_eq!(report.problems[0].path, root.join("one"));
                assert!(root.join("two/b").exists() && root.join("two/c").exists());
                let mine = root.join("one/mine");
                assert!(mine.exists(), "nothing goes from a directory that is not known");
            }
            Err(error) => assert!(
                lifeboat_error(&error).contains("corrupt")
                    || lifeboat_error(&error).contains("not"),
                "{error}"
            ),
        }
        fs::write(pack, whole).unwrap();
        if target.exists() {
            fs::remove_dir_all(&target).unwrap();
        }
    }
    assert_eq!(problems, 1, "one pack has the directory `one` and nothing else that is needed");
}

fn lifeboat_error(error: &lifeboat::Error) -> String {
    use std::error::Error;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[test]
fn a_backup_that_cannot_be_read_back_is_not_verified() {
    let (files, contents) = three_backups();
    let verified = || {
        let sources = Request {
            sources: vec![files.root().to_str().unwrap().to_owned()],
            ..Request::default()
        };
        let request = BackupRequest { sources, verify: true, ..BackupRequest::default() };
        lifeboat::backup(&files.context(), &request, &Silent)
    };
    assert!(verified().unwrap().verified);
    spoil(&contents[0]);
    let error = verified().unwrap_err();
    assert!(matches!(error, lifeboat::Error::NotReadable { .. }), "{error}");
    assert!(error.to_string().contains("one/a"), "{error}");
}
