//! Reading back what restic wrote, sound and damaged.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use lifeboat_restic::{
    BlobHandle, BlobId, BlobKind, Error, Index, Node, ObjectId, ReadOptions, ResticRepository,
};
use lifeboat_storage::Storage;
use lifeboat_storage::testing::{Fault, FaultKind, Faulty, Operation};

use crate::fixture::{Fixture, fixture};

fn load(repository: &ResticRepository) -> Arc<Index> {
    Arc::new(Index::load(repository).unwrap())
}

fn data(id: BlobId) -> BlobHandle {
    BlobHandle { kind: BlobKind::Data, id }
}

/// The content of a file out of a stream, or the first error in it.
fn content(
    stream: &mut impl Iterator<Item = Result<Arc<Vec<u8>>, Error>>,
    node: &Node,
) -> Result<Vec<u8>, Error> {
    let mut content = Ok(Vec::new());
    for _ in &node.content {
        match (stream.next().unwrap(), &mut content) {
            (Ok(piece), Ok(content)) => content.extend_from_slice(&piece),
            (Err(error), Ok(_)) => content = Err(error),
            (_, Err(_)) => {}
        }
    }
    content
}

/// Reads all files at once; those that could not be read, with their errors.
fn unreadable(
    fixture: &Fixture,
    repository: &ResticRepository,
    options: &ReadOptions,
) -> Vec<String> {
    let index = load(repository);
    let nodes = fixture.nodes(repository, &index);
    let wanted: Vec<BlobId> = nodes.iter().flat_map(|(_, node)| node.content.clone()).collect();
    let mut stream = repository.read_blobs(&index, wanted.into_iter(), options).unwrap();
    let mut failed = Vec::new();
    for (path, node) in &nodes {
        match content(&mut stream, node) {
            Ok(content) => assert!(content == fixture.files[path], "{path:?}"),
            Err(error) => failed.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(stream.next().is_none());
    assert_eq!(nodes.len(), fixture.files.len());
    failed
}

#[test]
fn all_files_come_back_in_one_stream() {
    let Some(fixture) = fixture() else { return };
    let repository = fixture.open(fixture.storage());
    for (ahead_bytes, threads) in [(32 << 20, 4), (1, 1), (3_000_000, 2)] {
        let options = ReadOptions { ahead_bytes, threads };
        assert_eq!(unreadable(fixture, &repository, &options), Vec::<String>::new());
    }
}

#[test]
fn a_blob_that_repeats_is_read_once_and_neighbours_together() {
    let Some(fixture) = fixture() else { return };
    let storage = Faulty::new(fixture.storage(), None);
    let repository = fixture.open(storage.clone());
    let index = load(&repository);
    let nodes = fixture.nodes(&repository, &index);
    storage.reset(None);
    let reads = |wanted: Vec<BlobId>| {
        let count = wanted.len();
        storage.reset(None);
        let options = ReadOptions { threads: 1, ..ReadOptions::default() };
        assert_eq!(
            repository.read_blobs(&index, wanted.into_iter(), &options).unwrap().count(),
            count
        );
        storage
            .operations()
            .iter()
            .filter(|operation| matches!(operation, Operation::Read(_)))
            .count()
    };
    let node = |name: &str| &nodes.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
    let zeros = node("zeros").content.clone();
    assert!(zeros.len() > 10);
    assert!(reads(zeros.repeat(20)) <= BTreeSet::from_iter(&zeros).len());
    let small = nodes.iter().filter(|(path, _)| path.starts_with("second/small"));
    let small: Vec<_> = small.flat_map(|(_, node)| node.content.clone()).collect();
    assert_eq!(small.len(), 200);
    assert_eq!(reads(small), 1);
}

#[test]
fn a_file_is_a_reader() {
    let Some(fixture) = fixture() else { return };
    let repository = fixture.open(fixture.storage());
    let index = load(&repository);
    for (path, node) in fixture.nodes(&repository, &index) {
        if path.starts_with("second/small") && !path.ends_with("000") {
            continue;
        }
        let mut content = Vec::new();
        repository.read_file(&index, &node).unwrap().read_to_end(&mut content).unwrap();
        assert!(content == fixture.files[&path], "{path:?}");
    }
}

#[test]
fn one_failure_anywhere_costs_nothing() {
    let Some(fixture) = fixture() else { return };
    let run = |fault| {
        let storage = Faulty::new(fixture.storage(), None);
        let repository = fixture.open(storage.clone());
        let index = load(&repository);
        let nodes = fixture.nodes(&repository, &index);
        let wanted = nodes.iter().flat_map(|(_, node)| node.content.clone());
        storage.reset(fault);
        let stream = repository.read_blobs(&index, wanted, &ReadOptions::default()).unwrap();
        assert!(stream.into_iter().all(|piece| piece.is_ok()));
        storage.operations().len()
    };
    let operations = run(None);
    for kind in [FaultKind::Once, FaultKind::Tear] {
        for at in [0, 1, 2, operations - 1] {
            assert!(run(Some(Fault { at, kind })) > operations, "{kind:?} at {at}");
        }
    }
}

#[test]
fn a_storage_that_is_gone_is_an_error_for_each_blob() {
    let Some(fixture) = fixture() else { return };
    let storage = Faulty::new(fixture.storage(), None);
    let repository = fixture.open(storage.clone());
    let index = load(&repository);
    let nodes = fixture.nodes(&repository, &index);
    let wanted: Vec<_> = nodes.iter().flat_map(|(_, node)| node.content.clone()).collect();
    let count = wanted.len();
    storage.reset(Some(Fault { at: 1, kind: FaultKind::FromThenOn }));
    let stream =
        repository.read_blobs(&index, wanted.into_iter(), &ReadOptions::default()).unwrap();
    let errors: Vec<_> = stream.filter_map(Result::err).collect();
    assert!(errors.len() > count / 2 && errors.len() <= count);
    assert!(errors.iter().all(|error| matches!(error, Error::Storage(_))));

    let node = &nodes.iter().find(|(path, _)| path.ends_with("noise")).unwrap().1;
    let mut reader = repository.read_file(&index, node).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.get_ref().unwrap().downcast_ref::<Error>().is_some(), "{error}");
    storage.reset(None);
    // Not what follows in the place of what is missing.
    assert!(reader.read(&mut [0; 16]).is_err());
}

#[test]
fn damage_is_named_and_takes_no_other_file_with_it() {
    let Some(fixture) = fixture() else { return };
    let sound = fixture.open(fixture.storage());
    let index = load(&sound);
    let nodes = fixture.nodes(&sound, &index);
    let small = &nodes.iter().find(|(path, _)| path.ends_with("small/100")).unwrap().1;
    let location = index.find(&data(small.content[0])).unwrap();
    let (key, range) = (location.pack.key().unwrap(), location.extent.range());
    let start = usize::try_from(range.start).unwrap();
    let end = usize::try_from(range.end).unwrap();

    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let damages: [(&str, Damage<'_>, &str); 3] = [
        ("flipped", &|bytes| bytes[start + 20] ^= 1, "not sealed"),
        ("another blob", &|bytes| bytes.copy_within(start..end, end), "not sealed"),
        ("cut", &|bytes| bytes.truncate(start + 10), "ends at byte"),
    ];
    for (what, damage, problem) in damages {
        let storage = fixture.storage();
        assert!(storage.damage(&key, damage));
        let failed = unreadable(fixture, &fixture.open(storage), &ReadOptions::default());
        assert!(failed.iter().all(|line| line.contains(key.as_str())), "{what}: {failed:?}");
        assert!(failed.iter().any(|line| line.contains(problem)), "{what}: {failed:?}");
        assert!(failed.iter().all(|line| line.starts_with("second/small/")), "{what}: {failed:?}");
    }

    let storage = fixture.storage();
    storage.remove(&key).unwrap();
    let repository = fixture.open(storage);
    let wanted = [small.content[0], nodes[0].1.content[0]];
    let mut stream =
        repository.read_blobs(&index, wanted.into_iter(), &ReadOptions::default()).unwrap();
    let error = stream.next().unwrap().unwrap_err().to_string();
    assert!(error.contains(key.as_str()), "{error}");
    assert!(stream.next().unwrap().is_ok());
}

#[test]
fn what_no_index_lists_is_an_error_each_time() {
    let Some(fixture) = fixture() else { return };
    let repository = fixture.open(fixture.storage());
    let index = load(&repository);
    let unknown = BlobId::of(b"unknown");
    let known = fixture.nodes(&repository, &index)[0].1.content[0];
    let stream = repository.read_blobs(
        &index,
        [unknown, known, unknown].into_iter(),
        &ReadOptions::default(),
    );
    let read: Vec<_> = stream.unwrap().collect();
    assert!(read[1].is_ok());
    for error in [&read[0], &read[2]] {
        let error = error.as_ref().unwrap_err().to_string();
        assert!(error.contains(&unknown.to_string()) && error.contains("no index"), "{error}");
    }
    assert!(repository.blob(&index, &data(unknown)).is_err());
    assert!(repository.tree(&index, &unknown.into()).is_err());
}
