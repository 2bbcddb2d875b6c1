//! The documents of a repository: sealed, signed and named as they should be, with any content.

use std::collections::BTreeSet;
use std::sync::Arc;

use ed25519_dalek::{Signer, SigningKey};
use lifeboat_repository::{
    BackupName, CheckOptions, DatabaseAddress, Form, LineageId, Manifest, Repository, Subset, check,
};
use lifeboat_storage::{Key, MemoryStorage, Storage, seal_bytes};

use crate::Place;

/// The first byte says which document the rest is.
pub fn manifest(data: &[u8]) {
    let Some((kind, content)) = data.split_first() else { return };
    match kind % 5 {
        0 => signed(content),
        1 => marker(content),
        2 => origin(content),
        3 => lease(content),
        _ => everything(content),
    }
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

fn seal(content: &[u8]) -> Vec<u8> {
    seal_bytes(content, &[Place::recipient()]).expect("in memory")
}

/// As a host writes it: the document, and a signature over its bytes.
fn sign(document: &[u8]) -> Vec<u8> {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = serde_json::json!({
        "key": hex(signer.verifying_key().as_bytes()),
        "signature": hex(&signer.sign(document).to_bytes()),
    });
    [document, b"\n", line.to_string().as_bytes(), b"\n"].concat()
}

/// Where the document belongs if it is a manifest, else anywhere.
fn name_of(document: &[u8]) -> BackupName {
    let own =
        serde_json::from_slice::<Manifest>(document).ok().and_then(|it| it.name(Form::Sealed).ok());
    own.unwrap_or_else(|| {
        let name = "backups/pi/20261121T024900.123Z-0123456789abcdef.1.json.zst.age";
        BackupName::parse(&key(name)).expect("a name")
    })
}

fn signed(document: &[u8]) {
    let name = name_of(document);
    let Ok(key) = name.key() else { return };
    Place::with(&[(key, seal(&sign(document)))], |place| {
        let Ok(read) = place.repository.manifest(&name, &place.secrets) else { return };
        use_manifest(&read.manifest);
        let found = place.repository.backups().expect("in memory");
        // A revision of many digits is no name of ours, and listed by none.
        assert!(found.len() <= 1);
    });
}

fn use_manifest(manifest: &Manifest) {
    let text = serde_json::to_vec(manifest).expect("a document");
    let again: Manifest = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(&again, manifest);
    manifest.name(Form::Sealed).expect("it was found by its name");
    let _ = (manifest.id.short(), format!("{manifest:?}"));
    for database in manifest.sources.iter().filter_map(lifeboat_repository::Source::database) {
        let _ = database.time.timestamp();
        if let Ok(address) = DatabaseAddress::new(&manifest.host, &database.name) {
            address.lineage(database.lineage).expect("a lineage has a key");
        }
    }
}

/// A repository with any marker, alone and with a recipient of the same content.
fn marker(content: &[u8]) {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    storage.put(&key("lifeboat.json"), content).expect("in memory");
    storage.put(&key("recipients/0001.json"), content).expect("in memory");
    let Ok(repository) = Repository::open(storage) else { return };
    let marker = repository.marker();
    let text = serde_json::to_vec(marker).expect("a document");
    assert_eq!(
        serde_json::from_slice::<lifeboat_repository::Marker>(&text).expect("ours"),
        *marker
    );
    let _ = repository.require_writable();
    let _ = repository.recipient();
}

fn address() -> DatabaseAddress {
    DatabaseAddress::new("pi", "app").expect("names")
}

fn lineage() -> LineageId {
    "00000000000000ab".parse().expect("a lineage")
}

fn origin(content: &[u8]) {
    let lineage = address().lineage(lineage()).expect("a key");
    let at = key(&format!("{}/origin.json.zst.age", lineage.key()));
    Place::with(&[(at, seal(content))], |place| {
        let Ok(origin) = place.repository.origin(&lineage, &place.secrets) else { return };
        let text = serde_json::to_vec(&origin).expect("a document");
        let again = serde_json::from_slice(&text).expect("what was written can be read");
        assert_eq!(origin, again);
    });
}

fn lease(content: &[u8]) {
    let at = key("leases/pi/app/00000001.json");
    Place::with(&[(at, content.to_vec())], |place| {
        let lineage = address().lineage(lineage()).expect("a key");
        let _ = place.repository.listing(&lineage);
    });
}

/// All kinds of one content at once: a check reports, and does not stop.
fn everything(content: &[u8]) {
    let sealed = seal(content);
    let lineage = "databases/pi/app/00000000000000ab";
    let ltx = "ltx/9/0000000000000001-0000000000000001-20261121T024900.123Z.ltx.zst.age";
    let objects = [
        (name_of(content).key().expect("a name has a key"), seal(&sign(content))),
        (key(&format!("{lineage}/origin.json.zst.age")), sealed.clone()),
        (key(&format!("{lineage}/{ltx}")), sealed.clone()),
        (key(&format!("{lineage}/pins/0000000000000001-0123456789abcdef")), Vec::new()),
        (key("deletions/20261121T024900.123Z-0123456789abcdef.json.zst.age"), sealed),
    ];
    Place::with(&objects, |place| {
        let options = CheckOptions { read_data: Some(Subset::All) };
        let report = check(&place.repository, &place.secrets, options, &mut |_| {});
        let report = report.expect("a storage in memory does not fail");
        let names: BTreeSet<_> = report.restorable.iter().chain(&report.lost).collect();
        assert_eq!(names.len(), report.restorable.len() + report.lost.len());
    });
}
