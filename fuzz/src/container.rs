//! Sealed streams: what is in them, and how much of it at once.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use lifeboat_repository::{DatabaseAddress, LineageId, open_ltx, points};
use lifeboat_storage::{
    Key, SealOptions, SealWriter, decrypt_bytes, encrypt_bytes, seal_bytes, unseal, unseal_bytes,
    x25519,
};

use crate::Place;

/// A bomb of zstd is read no further.
const MOST: u64 = 8 << 20;

static IDENTITY: LazyLock<x25519::Identity> = LazyLock::new(x25519::Identity::generate);

/// The first byte says what the rest is.
pub fn container(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    // An input that is too short for its mode is none.
    let _ = match mode % 5 {
        0 => {
            open(rest);
            Ok(())
        }
        1 => {
            open(&encrypted(rest));
            Ok(())
        }
        2 => harm(&mut Unstructured::new(rest)),
        3 => {
            round_trip(rest);
            Ok(())
        }
        _ => {
            stored(rest);
            Ok(())
        }
    };
}

fn identities() -> &'static [x25519::Identity] {
    std::slice::from_ref(&*IDENTITY)
}

fn encrypted(bytes: &[u8]) -> Vec<u8> {
    encrypt_bytes(bytes, &[IDENTITY.to_public()]).expect("in memory")
}

/// Whole and as a stream: both say the same.
fn open(bytes: &[u8]) {
    let limit = usize::try_from(MOST).expect("8 MiB");
    let whole = unseal_bytes(bytes, identities(), limit);
    let _ = decrypt_bytes(bytes, identities(), limit);
    let streamed = stream(bytes);
    if let Ok(whole) = whole {
        assert_eq!(streamed, Some(whole));
    }
}

fn stream(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let reader = unseal(std::io::Cursor::new(bytes.to_vec()), identities()).ok()?;
    reader.take(MOST + 1).read_to_end(&mut plain).ok()?;
    Some(plain)
}

/// A sealed stream with a byte changed, or cut: nothing of it is taken for whole.
fn harm(input: &mut Unstructured<'_>) -> Result<()> {
    let at = input.arbitrary::<u16>()?;
    let change = input.arbitrary::<u8>()?;
    let plain = input.bytes(input.len())?;
    let mut sealed = seal_bytes(plain, &[IDENTITY.to_public()]).expect("in memory");
    let at = usize::from(at) % sealed.len();
    match change {
        0 => sealed.truncate(at),
        change => sealed[at] ^= change,
    }
    let limit = plain.len();
    if let Ok(opened) = unseal_bytes(&sealed, identities(), limit) {
        assert_eq!(opened, plain, "age found nothing wrong with other bytes");
    }
    Ok(())
}

fn round_trip(plain: &[u8]) {
    let options = SealOptions { workers: 1, ..SealOptions::default() };
    let mut writer =
        SealWriter::new(Vec::new(), &[IDENTITY.to_public()], &options).expect("in memory");
    writer.write_all(plain).expect("in memory");
    let (sealed, _) = writer.finish().expect("in memory");
    assert_eq!(stream(&sealed).as_deref(), Some(plain));
}

/// As an LTX object of a repository.
fn stored(content: &[u8]) {
    let id: LineageId = "00000000000000ab".parse().expect("a lineage");
    let lineage = DatabaseAddress::new("pi", "app").and_then(|it| it.lineage(id)).expect("a key");
    let name = "ltx/9/0000000000000001-0000000000000001-20261121T024900.123Z.ltx.zst.age";
    let key: Key = format!("{}/{name}", lineage.key()).parse().expect("a key");
    let sealed = seal_bytes(content, &[Place::recipient()]).expect("in memory");
    Place::with(&[(key, sealed)], |place| {
        let listing = place.repository.listing(&lineage).expect("in memory");
        let point = points(&listing.files)[0];
        let plan = listing.plan(&lineage, point.txid).expect("a base");
        let (storage, nothing) = (&place.storage, HashMap::new());
        if let Ok((decoder, reader)) =
            open_ltx(storage, plan[0], id.node(), &nothing, &place.secrets)
            && let Err(error) = decoder.finish()
        {
            let _ = reader.explain(error).to_string();
        }
    });
}
