//! Writes the seeds: `cargo run --example seeds`. They are in the tree, because a target that has to
//! guess magics and checksums finds nothing else in a minute.

use std::fs;
use std::path::Path;

use lifeboat_fuzz::build;
use lifeboat_ltx::{Header, PageCoding, PageSize, Txid, TxidRange};
use lifeboat_storage::{SealOptions, SealWriter, x25519};

fn put(target: &str, name: &str, content: &[u8]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join(name), content).expect("a file");
}

/// A file with pages of 512 bytes; `min` 1 makes a base.
fn ltx(min: u64, max: u64, coding: PageCoding) -> Vec<u8> {
    let txid = |number| Txid::new(number).expect("from 1");
    let size = PageSize::new(512).expect("a page size");
    let range = TxidRange::new(txid(min), txid(max)).expect("in order");
    let mut header = Header::new(size, 3, range);
    header.timestamp_ms = 1_795_229_340_123;
    header.node = 0xab;
    header.wal.offset = 32;
    let pages: Vec<_> = (1..=3)
        .filter(|pgno| min == 1 || *pgno != 2)
        .map(|pgno| (pgno, vec![u8::try_from(pgno).expect("small"); size.bytes()]))
        .collect();
    build(&header, &pages, coding).expect("well-formed").0
}

fn main() {
    let after = |mode: u8, content: &[u8]| [&[mode], content].concat();
    let codings = [
        (PageCoding::Literal, "literal"),
        (PageCoding::Lz4, "lz4"),
        (PageCoding::LegacyFrame, "frame"),
    ];
    for (coding, name) in codings {
        let (base, delta) = (ltx(1, 1, coding), ltx(2, 4, coding));
        put("ltx", &format!("base-{name}"), &after(0, &base));
        put("ltx", &format!("delta-{name}"), &after(0, &delta));
        let length = u16::try_from(base.len()).expect("small").to_le_bytes();
        put("ltx", &format!("merge-{name}"), &after(1, &[&length, &base[..], &delta].concat()));
    }
    let script: Vec<u8> = (0..=255).collect();
    put("ltx", "harm", &after(2, &script));
    put("ltx", "chain", &after(3, &script));

    let base = ltx(1, 1, PageCoding::Literal);
    put("container", "ltx", &after(4, &base));
    put("container", "bytes", &after(3, b"some bytes"));
    put("container", "harm", &after(2, &[1, 0, 1, b'x', b'y', b'z']));
    put("container", "age", &after(0, b"age-encryption.org/v1\n-> X25519 abc\ndef\n--- ghi\n"));
    // One zstd frame with a raw block: the target puts age around it.
    put(
        "container",
        "zstd",
        &after(1, &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 3, 0x19, 0, 0, b'a', b'b', b'c']),
    );
    let identity = x25519::Identity::generate();
    let mut writer = SealWriter::new(Vec::new(), &[identity.to_public()], &SealOptions::default())
        .expect("ours");
    std::io::Write::write_all(&mut writer, b"for somebody else").expect("in memory");
    put("container", "sealed", &after(0, &writer.finish().expect("in memory").0));

    let manifest = r#"{"version":1,"id":"0123456789abcdef","revision":1,"host":"pi","hostname":"pi","label":"l","tags":["t"],"started":"2026-11-21T02:49:00.123Z","finished":"2026-11-21T02:49:01.123Z","tool":"lifeboat 0.1.0","problems":[{"source":"a","error":"b"}],"sources":[{"kind":"database","name":"app","path":"/app.db","lineage":"00000000000000ab","txid":"0000000000000001","time":"2026-11-21T02:49:00.123Z","page_size":512,"page_count":3,"size_bytes":1536,"checksum":"8000000000000000","journal_mode":"wal","schema_sha256":null,"tables":{"t":3,"u":null},"mode":"0644","uid":0,"gid":0,"changed_pages":3,"changed_from":null,"stored_bytes":900,"duration_ms":1,"objects":[{"key":"databases/pi/app/00000000000000ab/ltx/9/0000000000000001-0000000000000001-20261121T024900.123Z.ltx.zst.age","size":3,"sha256":"00"}]},{"kind":"media"}]}"#;
    let marker = r#"{"lifeboat":1,"id":"3f9a0c5be1d247768a90b1c2d3e4f506","form":"sealed","read":[],"write":[],"created":"2026-11-21T02:49:00.123Z"}"#;
    let origin = r#"{"version":1,"host":"pi","name":"app","path":"/app.db","page_size":512,"parent":{"lineage":"00000000000000aa","txid":"0000000000000001"},"reason":"first","created":"2026-11-21T02:49:00.123Z","node":"0123456789abcdef"}"#;
    let lease = r#"{"epoch":1,"holder":"0123456789abcdef","hostname":"pi","taken":"2026-11-21T02:49:00.123Z","ttl_s":60,"lineage":"00000000000000ab","after_txid":"0000000000000001"}"#;
    let deletion = r#"{"version":1,"id":"0123456789abcdef","objects":[{"key":"databases/pi/app/00000000000000ab/origin.json.zst.age","size":3}]}"#;
    for (mode, name, text) in [
        (0, "manifest", manifest),
        (1, "marker", marker),
        (
            1,
            "recipient",
            r#"{"generation":1,"recipient":"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p","created":"2026-11-21T02:49:00.123Z"}"#,
        ),
        (2, "origin", origin),
        (3, "lease", lease),
        (4, "all-manifest", manifest),
        (4, "all-deletion", deletion),
    ] {
        put("manifest", name, &after(mode, text.as_bytes()));
    }

    let lineage = "databases/pi/app/00000000000000ab";
    for (name, text) in [
        ("manifest", "backups/pi/20261121T024900.123Z-0123456789abcdef.1.json.zst.age".to_owned()),
        (
            "ltx",
            format!(
                "{lineage}/ltx/9/0000000000000001-000000000000000a-20261121T024900.123Z.ltx.zst.age.0002.last"
            ),
        ),
        ("pin", format!("{lineage}/pins/0000000000000001-0123456789abcdef")),
        ("origin", format!("{lineage}/origin.json.zst.age")),
        ("time", "20261121T024900.123Z".to_owned()),
        ("litestream", "0000000000000001-00000000000000ff.ltx".to_owned()),
        ("repository", "3f9a0c5be1d247768a90b1c2d3e4f506".to_owned()),
        ("name", "büro/Pi Kitchen/.hidden/%41".to_owned()),
        ("long", "Überwachungskamera Garten Nordost, Einfahrt und Fahrradkeller".to_owned()),
    ] {
        put("names", name, &after(0, text.as_bytes()));
    }
    for mode in 1..=6 {
        put("names", &format!("edit-{mode}"), &after(mode, &[7, 1, b'0', 60, 2, b'x']));
    }

    let metadata = r#""mode":420,"mtime":"2026-11-21T02:49:00.123456789Z","atime":"2026-11-21T02:49:00.123456789Z","ctime":"2026-11-21T02:49:00Z","uid":0,"gid":0"#;
    let node = |name: &str, rest: &str| format!(r#"{{"name":"{name}",{metadata},{rest}}}"#);
    let blob = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";
    let nodes = [
        node("a.txt", &format!(r#""type":"file","size":1,"links":1,"content":["{blob}"]"#)),
        node("b\\\\xff", &format!(r#""type":"dir","subtree":"{blob}""#)),
        node("link", r#""type":"symlink","linktarget":"a.txt","links":1,"content":null"#),
        node("null", r#""type":"chardev","device":259,"links":1,"content":null"#),
    ];
    put("restic", "tree", &after(0, format!("{{\"nodes\":[{}]}}\n", nodes.join(",")).as_bytes()));
    let snapshot = format!(
        r#"{{"time":"2026-11-21T02:49:00Z","tree":"{blob}","paths":["/etc"],"hostname":"pi","tags":["lifeboat"]}}"#
    );
    put("restic", "snapshot", &after(1, snapshot.as_bytes()));
    let key = r#"{"created":"2026-11-21T02:49:00Z","username":"lifeboat","hostname":"0123","kdf":"scrypt","N":32768,"r":8,"p":1,"salt":"","data":""}"#;
    put("restic", "key", &after(2, key.as_bytes()));
    put("restic", "pattern", &after(3, b"/etc/**/[a-c]*.t?t\0/etc/x/y/a.txt"));
    put("restic", "subset", &after(4, b"2/5"));
}
