//! Names, times and ids, also hostile ones.

use std::collections::BTreeSet;

use lifeboat_repository::{
    BackupId, BackupName, DatabaseAddress, LineageId, MAX_NAME_BYTES, RepositoryId, Time,
    encode_name,
};
use lifeboat_storage::{Key, Storage};
use proptest::prelude::*;

use crate::common::{Database, World, assert_restores, backup, key, keys};

fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        ".",
        "..",
        "...",
        "/",
        "a/b",
        "../../etc/passwd",
        "\\",
        "a\nb",
        "a\r\nb",
        "\0",
        "\u{7f}",
        "\u{1b}[31m",
        "%",
        "%2e",
        "%00",
        "tmp",
        "TMP",
        "lifeboat.json",
        "con",
        "NUL",
        " ",
        "a ",
        "Ä",
        "ä",
        "a\u{308}",
        "🛟",
        "\u{202e}gpj",
        "\u{feff}",
        "-",
        "--help",
        "*",
        "?",
        ":",
        "|",
        "$(x)",
        "`x`",
        "'",
        "\"",
        "a.last",
        ".0001",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(10_000));
    names.push("X".repeat(10_000));
    names.push("🛟".repeat(2_500));
    names.push("/".repeat(10_000));
    names
}

#[test]
fn hostile_names_are_backed_up_and_read_back() {
    let world = World::new();
    let mut databases: Vec<Database> =
        hostile().iter().map(|name| Database::new("\n../Host", name, 2)).collect();
    let mut borrowed: Vec<&mut Database> = databases.iter_mut().collect();
    backup(&world.repository, &mut borrowed).unwrap();
    let report = world.check();
    assert!(report.is_clean(), "{report:?}");
    let name = world.repository.backups().unwrap().remove(0);
    let databases: Vec<&Database> = databases.iter().collect();
    assert_restores(&world.repository, &world.secrets, &name, &databases);
    assert_eq!(world.repository.databases().unwrap().len(), hostile().len());
    for database in databases {
        let origin = world.repository.origin(&database.lineage, &world.secrets).unwrap();
        assert_eq!((origin.host, origin.name), (database.host.clone(), database.name.clone()));
    }
    for key in keys(&world.memory) {
        assert!(key.as_str().len() < 512, "{key}");
        assert!(!key.as_str().split('/').any(|part| part.starts_with('.')), "{key}");
        let lower = key.as_str() == key.as_str().replace("%2F", "").as_str();
        assert!(lower, "{key}");
    }
}

/// Names that differ have keys that differ, also where a file system folds case.
#[test]
fn no_two_names_have_one_key() {
    let mut names = hostile();
    names.extend(["app", "App", "APP", "aPP"].map(str::to_owned));
    let long = "y".repeat(300);
    names.extend((200..300).map(|length| long[..length].to_owned()));
    let encoded: BTreeSet<String> =
        names.iter().map(|name| encode_name(name).unwrap().to_lowercase()).collect();
    assert_eq!(encoded.len(), names.len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn every_name_becomes_a_part_of_a_key(name in any::<String>()) {
        let Ok(encoded) = encode_name(&name) else {
            prop_assert!(name.is_empty());
            return Ok(());
        };
        prop_assert!((1..=MAX_NAME_BYTES).contains(&encoded.len()));
        prop_assert!(encoded.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'%')));
        prop_assert!(!encoded.starts_with('.'));
        let key = format!("databases/{encoded}");
        prop_assert!(key.parse::<Key>().is_ok());
        prop_assert!(DatabaseAddress::new(&name, &name).is_ok());
        // What is short can be read back; every escape is whole.
        let mut decoded = Vec::new();
        let mut rest = encoded.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            if byte == b'%' {
                let digits = std::str::from_utf8(&after[..2]).unwrap();
                decoded.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &after[2..];
            } else {
                decoded.push(byte);
                rest = after;
            }
        }
        let kept = decoded.len().saturating_sub(17);
        prop_assert!(decoded == name.as_bytes() || name.as_bytes().starts_with(&decoded[..kept]));
    }

    #[test]
    fn times_are_read_as_they_are_written(millis in any::<i64>(), near in 0_i64..253_402_207_200_000) {
        prop_assert_eq!(Time::from_millis(near).millis(), near);
        for time in [Time::from_millis(millis), Time::from_millis(near)] {
            prop_assert_eq!(time.name().len(), 20);
            prop_assert_eq!(Time::from_name(&time.name()).unwrap(), time);
            prop_assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        }
        let (one, other) = (Time::from_millis(millis), Time::from_millis(near));
        prop_assert_eq!(one.cmp(&other), one.name().cmp(&other.name()));
    }

    #[test]
    fn ids_are_read_as_they_are_written(_case in 0..1) {
        let (backup, lineage, repository) =
            (BackupId::random(), LineageId::random(), RepositoryId::random());
        prop_assert_eq!(backup.to_string().parse::<BackupId>().unwrap(), backup);
        prop_assert_eq!(lineage.to_string().parse::<LineageId>().unwrap(), lineage);
        prop_assert_eq!(repository.to_string().parse::<RepositoryId>().unwrap(), repository);
        prop_assert!(backup.to_string().starts_with(&backup.short()));
        prop_assert_eq!(u64::from_str_radix(&lineage.to_string(), 16).unwrap(), lineage.node());
    }

    /// Whatever is read without a panic and accepted is written as it was read.
    #[test]
    fn arbitrary_texts_are_refused_or_canonical(text in "\\PC*|[0-9TZ.-]{0,24}|[0-9a-f]{15,17}|[0-9a-f]{32}|2026[0-9]{4}T[0-9]{6}\\.[0-9]{3}Z|.{20}") {
        if let Ok(time) = Time::from_name(&text) {
            prop_assert_eq!(time.name(), text.clone());
        }
        let _ = text.parse::<Time>();
        if let Ok(id) = text.parse::<BackupId>() {
            prop_assert_eq!(id.to_string(), text.clone());
        }
        if let Ok(id) = text.parse::<LineageId>() {
            prop_assert_eq!(id.to_string(), text.clone());
        }
        if let Ok(id) = text.parse::<RepositoryId>() {
            prop_assert_eq!(id.to_string(), text.clone());
        }
    }

    #[test]
    fn manifest_names_are_refused_or_canonical(
        host in "[a-z0-9%._-]{1,8}",
        time in "2026112[0-9]T024900\\.[0-9]{3}Z",
        id in "[0-9a-f]{16}|[0-9a-fA-F]{16}",
        revision in "[0-9]{1,11}",
        suffix in "\\.json\\.zst\\.age|\\.json\\.zst|\\.age",
    ) {
        let Ok(key) = format!("backups/{host}/{time}-{id}.{revision}{suffix}").parse::<Key>() else {
            return Ok(());
        };
        if let Some(name) = BackupName::parse(&key) {
            prop_assert_eq!(name.key().unwrap(), key);
        }
    }
}

/// Keys that match no pattern are ignored, and those of other programs are left alone.
#[test]
fn foreign_keys_are_ignored() {
    let world = World::new();
    let mut app = Database::new("pi", "app", 12);
    backup(&world.repository, &mut [&mut app]).unwrap();
    let lineage = app.lineage.key();
    let name = world.repository.backups().unwrap().remove(0).key().unwrap();
    let stem = name.as_str().strip_suffix(".1.json.zst.age").unwrap();
    let ltx = "0000000000000002-0000000000000002-20261121T025000.123Z.ltx.zst.age";
    let foreign = [
        "README".to_owned(),
        "data/00/x".to_owned(),
        "snapshots/0123".to_owned(),
        "locks/0123".to_owned(),
        "backups/x".to_owned(),
        "backups/pi/x.json.zst.age".to_owned(),
        "backups/PI/20261121T025000.123Z-0123456789abcdef.1.json.zst.age".to_owned(),
        "backups/pi/20261121T025000.123Z-0123456789abcde.1.json.zst.age".to_owned(),
        "backups/pi/20261121T025000.123Z-0123456789abcdef.0.json.zst.age".to_owned(),
        "backups/pi/20261121T025000.123Z-0123456789abcdef.01.json.zst.age".to_owned(),
        "backups/pi/20261321T025000.123Z-0123456789abcdef.1.json.zst.age".to_owned(),
        "backups/pi/x/20261121T025000.123Z-0123456789abcdef.1.json.zst.age".to_owned(),
        format!("{stem}.99999999999.json.zst.age"),
        format!("{stem}.2.json.zst.age.tmp"),
        "databases/x".to_owned(),
        "databases/Pi/app/0000000000000001/pins/0000000000000001-0123456789abcdef".to_owned(),
        "databases/pi/%61/0000000000000001/pins/0000000000000001-0123456789abcdef".to_owned(),
        "databases/pi/app/0000000000000000/x".to_owned(),
        "databases/pi/app/notes".to_owned(),
        format!("{lineage}/notes"),
        format!("{lineage}/ltx/x"),
        format!("{lineage}/ltx/a/{ltx}"),
        format!("{lineage}/ltx/00/{ltx}"),
        format!("{lineage}/ltx/0/x/{ltx}"),
        format!("{lineage}/ltx/0/{ltx}.1"),
        format!("{lineage}/ltx/0/{ltx}.0000.last"),
        format!("{lineage}/ltx/0/{}", ltx.replace(".age", "")),
        format!("{lineage}/ltx/0/{}", ltx.replacen("2", "3", 1)),
        format!("{lineage}/ltx/0/{}", ltx.replace("0000000000000002", "0000000000000000")),
        format!("{lineage}/ltx/0/{}", ltx.replace("02500", "02600")),
        format!("{lineage}/pins/0000000000000000-0123456789abcdef"),
        format!("{lineage}/pins/0000000000000001-0123456789ABCDEF"),
        format!("{lineage}/pins/0000000000000001"),
        format!("{lineage}/pins/x/0000000000000001-0123456789abcdef"),
        "deletions/x".to_owned(),
        "deletions/20261121T025000.123Z-x.json.zst.age".to_owned(),
        "drills/pi/x".to_owned(),
        "identities/x".to_owned(),
        "recipients/x".to_owned(),
    ];
    let before = world.repository.listing(&app.lineage).unwrap();
    for name in &foreign {
        world.memory.put(&key(name), b"foreign").unwrap();
    }
    let listing = world.repository.listing(&app.lineage).unwrap();
    assert_eq!((&listing.files, &listing.pins), (&before.files, &before.pins));
    let below = foreign.iter().filter(|name| name.starts_with(lineage.as_str())).count();
    assert_eq!(listing.foreign.len(), below, "{:?}", listing.partial);
    assert_eq!(world.repository.backups().unwrap().len(), 1);
    let databases = world.repository.databases().unwrap();
    assert!(databases.iter().any(|database| database == app.lineage.database()));
    assert_eq!(world.repository.lineages(app.lineage.database()).unwrap().len(), 1);
    let report = world.check();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.restorable.len(), report.unfinished.len()), (1, 0), "{report:?}");
    for name in &foreign {
        assert!(world.memory.stat(&key(name)).unwrap().is_some(), "{name}");
    }
}
