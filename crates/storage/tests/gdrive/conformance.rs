//! What every storage must do.

use std::sync::Mutex;

use lifeboat_storage::conformance::{Promises, Times};
use lifeboat_storage::{Cause, CreateNew, Error, Failure, Storage, conformance};

use super::emulator::Emulator;

#[test]
fn conformance_over_the_emulator() {
    let emulators = Mutex::new(Vec::new());
    let make = || {
        let emulator = Emulator::start();
        emulator.state().page_size = 7;
        let storage = emulator.open("gdrive://My backups/pi's").storage();
        emulators.lock().unwrap().push(emulator);
        storage
    };
    let promises = Promises { create_new: CreateNew::Checked, times: Times::Milliseconds };
    conformance::run_promising(promises, &make);
    // Where searches find at once what was created, the rule for duplicates settles it.
    conformance::of_concurrent_creators_one_wins(&make());
}

#[test]
fn the_owner_sees_a_sensible_tree() {
    let emulator = Emulator::start();
    let drive = emulator.open(r"gdrive://My \ backups/pi's");
    assert_eq!(drive.link().unwrap(), None);
    let storage = drive.storage();
    assert_eq!(storage.list(None).unwrap(), []);
    storage.put(&"a/b/object".parse().unwrap(), b"x").unwrap();
    storage.put(&"a/b/other".parse().unwrap(), b"y").unwrap();
    let files = emulator.state().files.clone();
    let path = |id: &str| {
        let (mut id, mut names) = (id.to_owned(), Vec::new());
        while let Some(file) = files.iter().find(|file| file.id == id) {
            names.insert(0, file.name.clone());
            id.clone_from(&file.parent);
        }
        assert_eq!(id, "root");
        names.join("|")
    };
    let paths: Vec<String> = files.iter().map(|file| path(&file.id)).collect();
    let folder = r"My \ backups|pi's";
    let expected = [
        r"My \ backups".to_owned(),
        folder.to_owned(),
        format!("{folder}|a"),
        format!("{folder}|a|b"),
        format!("{folder}|a|b|object"),
        format!("{folder}|a|b|other"),
    ];
    assert_eq!(paths, expected);
    let id = &files[1].id;
    let link = format!("https://drive.google.com/drive/folders/{id}");
    assert_eq!(drive.link().unwrap(), Some(link));
    assert_eq!(storage.free_bytes().unwrap(), Some(10_000_000_000));
    let by_id = emulator.open(&format!("gdrive:id:{id}")).storage();
    assert_eq!(by_id.list(None).unwrap(), storage.list(None).unwrap());
}

/// Names are compared with regard to case here, unlike Drive does it.
#[test]
fn case_matters() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    for name in ["A/object", "a/Object", "a/object"] {
        storage.put(&name.parse().unwrap(), name.as_bytes()).unwrap();
    }
    assert_eq!(storage.list(None).unwrap().len(), 3);
    assert!(storage.remove(&"a/object".parse().unwrap()).unwrap());
    assert_eq!(storage.list(None).unwrap().len(), 2);
}

#[test]
fn a_full_drive_is_told() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    emulator.state().full = true;
    let error = storage.put(&"a".parse().unwrap(), b"x").unwrap_err();
    let failure = Failure::of(&error).unwrap();
    assert_eq!(failure.cause, Cause::Full);
    assert!(failure.message.contains("storageQuotaExceeded"), "{}", failure.message);
}

/// One that the owner deleted is made again.
#[test]
fn a_folder_that_is_gone_is_made_again() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    storage.put(&"a/b/1".parse().unwrap(), b"x").unwrap();
    emulator.state().files.clear();
    storage.put(&"a/b/2".parse().unwrap(), b"y").unwrap();
    let names: Vec<String> =
        storage.list(None).unwrap().iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(names, ["a/b/2"]);
}

#[test]
fn a_folder_that_is_gone_has_nothing_in_it() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    let (key, directory) = ("a/b/1".parse().unwrap(), "a/b".parse().unwrap());
    for operate in [
        (&|| assert_eq!(storage.list(None).unwrap(), [])) as &dyn Fn(),
        &|| assert_eq!(storage.list(Some(&directory)).unwrap(), []),
        &|| assert_eq!(storage.stat(&key).unwrap(), None),
        &|| assert!(!storage.remove(&key).unwrap()),
        &|| assert!(matches!(storage.read(&key, None), Err(Error::NotFound { .. }))),
    ] {
        storage.put(&key, b"x").unwrap();
        emulator.state().files.clear();
        operate();
    }
    let error = emulator.open("gdrive:id:unknown").storage().list(None).unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().cause, Cause::NoContainer);
}

/// What is put into one is not seen: neither is what was there.
#[test]
fn a_folder_in_the_trash_is_none() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    storage.put(&"a/1".parse().unwrap(), b"x").unwrap();
    emulator.state().files[0].trashed = true;
    storage.put(&"a/2".parse().unwrap(), b"y").unwrap();
    let listed = emulator.open("gdrive://x").storage().list(None).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].key.as_str(), "a/2");
    assert_eq!(emulator.names(), ["1", "2"]);
}

/// Two hosts make the same folders at the same time: what both put into them is seen by both.
#[test]
fn two_hosts_share_their_folders() {
    let emulator = Emulator::start();
    let hosts = [emulator.open("gdrive://x").storage(), emulator.open("gdrive://x").storage()];
    for round in 0..20 {
        std::thread::scope(|scope| {
            for (host, storage) in hosts.iter().enumerate() {
                let key = format!("{round}/deep/{host}").parse().unwrap();
                scope.spawn(move || storage.put(&key, b"x").unwrap());
            }
        });
        let directory = format!("{round}").parse().unwrap();
        for storage in &hosts {
            assert_eq!(storage.list(Some(&directory)).unwrap().len(), 2, "round {round}");
        }
    }
}

/// Where two hosts have made one folder each, both are looked into, of which a search for both finds one.
#[test]
fn all_folders_of_one_name_are_looked_into() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    storage.put(&"a/1".parse().unwrap(), b"one").unwrap();
    {
        let mut state = emulator.state();
        let [mut folder, mut file] = ["a", "1"]
            .map(|name| state.files.iter().find(|file| file.name == name).unwrap().clone());
        "another-a".clone_into(&mut folder.id);
        folder.created_ms += 1;
        for number in 2..5 {
            file.id = format!("file-{number}");
            file.name = number.to_string();
            file.parent.clone_from(&folder.id);
            state.files.push(file.clone());
        }
        state.files.push(folder);
        state.page_size = 2;
    }
    let storage = emulator.open("gdrive://x").storage();
    let listed = storage.list(None).unwrap();
    let listed: Vec<&str> = listed.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(listed, ["a/1", "a/2", "a/3", "a/4"]);
    for key in listed {
        assert!(storage.stat(&key.parse().unwrap()).unwrap().is_some(), "{key}");
    }
}

/// Readers of all hosts take the same one of several, and none of them is left.
#[test]
fn of_duplicates_the_oldest_stands() {
    let emulator = Emulator::start();
    let storage = emulator.open("gdrive://x").storage();
    let key = "a/object".parse().unwrap();
    storage.put(&key, b"the first").unwrap();
    {
        let mut state = emulator.state();
        let first = state.files.last().unwrap().clone();
        for (id, created) in [("0-later", 1), ("zz-same-time", 0), ("0-later-still", 2)] {
            let mut other = first.clone();
            id.clone_into(&mut other.id);
            other.created_ms += created;
            other.bytes = b"another".to_vec();
            state.files.push(other);
        }
        state.page_size = 2;
    }
    let other = emulator.open("gdrive://x").storage();
    for storage in [&storage, &other] {
        assert_eq!(storage.list(None).unwrap().len(), 1);
        assert_eq!(storage.stat(&key).unwrap().unwrap().size, 9);
        let mut read = String::new();
        storage.read(&key, None).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "the first");
    }
    assert!(storage.remove(&key).unwrap());
    assert_eq!(emulator.names(), [] as [String; 0]);
    assert_eq!(other.stat(&key).unwrap(), None);
}
