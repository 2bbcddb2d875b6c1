//! The LTX codec: arbitrary bytes, files of arbitrary content, and chains of them.

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use lifeboat_ltx::{ChecksumPlace, Decoder, Merge, PageCoding, compact};

use crate::file::coding;
use crate::{Decoded, build, decode, small_file};

/// The first byte says what the rest is.
pub fn ltx(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let mut input = Unstructured::new(rest);
    // An input that is too short for its mode is none.
    let _ = match mode % 4 {
        0 => {
            read(rest);
            Ok(())
        }
        1 => merge_anything(&mut input),
        2 => write_and_harm(&mut input),
        _ => merge_chain(&mut input),
    };
}

/// What can be read can be written, and then reads the same.
fn read(bytes: &[u8]) {
    let Ok(first) = decode(bytes) else { return };
    assert_eq!(first.trailer.size_bytes, bytes.len() as u64);
    let mut header = first.header.clone();
    if header.checksum_place == ChecksumPlace::Fields {
        // Which the format has at the end.
        header.checksum_after = first.trailer.checksum_after;
    }
    for number in 0..3 {
        let (again, trailer) =
            build(&header, &first.pages, coding(number)).expect("what was read can be written");
        assert_eq!(trailer.checksum_after, first.trailer.checksum_after);
        let second = decode(&again).expect("what was written can be read");
        assert_eq!(second.header, first.header);
        assert_eq!(second.pages, first.pages);
        assert_eq!(second.trailer, trailer);
    }
}

/// Two files of arbitrary bytes.
fn merge_anything(input: &mut Unstructured<'_>) -> Result<()> {
    let length = usize::from(input.arbitrary::<u16>()?).min(input.len());
    let first = input.bytes(length)?;
    let second = input.bytes(input.len())?;
    let decoders: Vec<_> =
        [first, second].into_iter().filter_map(|it| Decoder::new(it).ok()).collect();
    let Ok(mut merge) = Merge::new(decoders) else { return Ok(()) };
    let (mut page, mut last) = (Vec::new(), 0);
    while let Ok(Some((pgno, _))) = merge.next_page(&mut page) {
        assert!(pgno > last && pgno <= merge.header().commit);
        last = pgno;
    }
    let _ = merge.finish();
    Ok(())
}

/// A file that is harmed is refused, or the harm was none: LZ4 has several ways to say one thing.
fn write_and_harm(input: &mut Unstructured<'_>) -> Result<()> {
    let coding = coding(input.arbitrary()?);
    let file = small_file(input, None)?;
    let (mut bytes, trailer) = build(&file.header, &file.pages, coding).expect("well-formed");
    let whole = decode(&bytes).expect("what was written can be read");
    assert_eq!((&whole.header, &whole.pages), (&file.header, &file.pages));
    assert_eq!(whole.trailer, trailer);
    for _ in 0..input.int_in_range(1..=4)? {
        let at = input.int_in_range(0..=bytes.len() - 1)?;
        match input.arbitrary::<u8>()? {
            0..=200 => bytes[at] = input.arbitrary()?,
            201..=220 => bytes.truncate(at.max(1)),
            221..=240 => drop(bytes.remove(at)),
            _ => bytes.insert(at, input.arbitrary()?),
        }
        if bytes.is_empty() {
            break;
        }
    }
    if let Ok(harmed) = decode(&bytes) {
        assert_eq!(harmed.pages, whole.pages);
        assert_eq!(harmed.header, whole.header);
    }
    Ok(())
}

/// A chain merges into what applying its files one after the other gives, or is refused.
fn merge_chain(input: &mut Unstructured<'_>) -> Result<()> {
    let mut files: Vec<Decoded> = Vec::new();
    for _ in 0..input.int_in_range(1..=4)? {
        files.push(small_file(input, files.last())?);
    }
    let mut encoded = Vec::new();
    for file in &files {
        let coding = coding(input.arbitrary()?);
        encoded.push(build(&file.header, &file.pages, coding).expect("well-formed").0);
    }
    let decoders = encoded.iter().map(|file| Decoder::new(file.as_slice()).expect("well-formed"));
    let Ok((merged, header, _)) = compact(decoders.collect(), Vec::new(), PageCoding::Lz4) else {
        return Ok(());
    };
    let merged = decode(&merged).expect("what was merged can be read");
    assert_eq!(merged.header, header);
    let mut model = BTreeMap::new();
    for file in &files {
        model.extend(file.pages.iter().cloned());
        model.retain(|pgno, _| *pgno <= file.header.commit);
    }
    assert_eq!(merged.pages, model.into_iter().collect::<Vec<_>>());
    Ok(())
}
