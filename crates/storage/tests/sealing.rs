//! Sealing and unsealing: round trips, damage, failing streams, threads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "assertions take results as calls return them")]

use std::io::{self, Cursor, Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_storage::x25519::Identity;
use lifeboat_storage::{
    Error, SealOptions, SealWriter, compress_bytes, decompress_bytes, decrypt_bytes, encrypt_bytes,
    seal_bytes, unseal, unseal_and_reseal, unseal_bytes,
};
use proptest::prelude::*;

fn options(frame_bytes: usize, workers: usize) -> SealOptions {
    SealOptions { frame_bytes, workers, ..SealOptions::default() }
}

fn seal(plain: &[u8], identity: &Identity, options: &SealOptions) -> Vec<u8> {
    let mut writer = SealWriter::new(Vec::new(), &[identity.to_public()], options).unwrap();
    writer.write_all(plain).unwrap();
    let (sealed, stats) = writer.finish().unwrap();
    assert_eq!(stats.plain_bytes, plain.len() as u64);
    assert_eq!(stats.sealed_bytes, sealed.len() as u64);
    assert!(stats.compressed_bytes < stats.sealed_bytes);
    sealed
}

fn unseal_all(sealed: Vec<u8>, identity: &Identity) -> lifeboat_storage::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut reader = unseal(Cursor::new(sealed), one(identity))?;
    reader.read_to_end(&mut plain).map_err(|error| Error::from_stream("read", error))?;
    Ok(plain)
}

fn one(identity: &Identity) -> &[Identity] {
    std::slice::from_ref(identity)
}

/// Compressible but nowhere the same.
fn numbers(bytes: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| (n * n).to_be_bytes()).take(bytes).collect()
}

/// Does not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes.div_ceil(8)).flat_map(|_| next()).take(bytes).collect()
}

/// A test that hangs says so instead of hanging the suite.
fn within_a_minute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(60)).expect("a result within a minute")
}

#[test]
fn round_trips_around_every_boundary() {
    let identity = Identity::generate();
    for workers in [1, 2, 5] {
        for length in [0, 1, 999, 1000, 1001, 2000, 2001, 10_000, 65_536, 131_072, 300_001] {
            let plain = numbers(length);
            let sealed = seal(&plain, &identity, &options(1000, workers));
            assert_eq!(unseal_bytes(&sealed, one(&identity), length).unwrap(), plain);
            assert!(unseal_all(sealed, &identity).unwrap() == plain, "{length} bytes");
        }
    }
}

/// More than every read-ahead holds, at sizes where its blocks end with age's chunks.
#[test]
fn long_streams_round_trip() {
    let identity = Identity::generate();
    for (length, compressible) in [(12 << 20, false), (12 << 20, true), ((5 << 20) + 3, false)] {
        let plain = if compressible { numbers(length) } else { noise(length) };
        let sealed = seal(&plain, &identity, &SealOptions::default());
        assert!(unseal_all(sealed, &identity).unwrap() == plain, "{length} {compressible}");
    }
}

#[test]
fn a_frame_carries_its_content_size() {
    let identity = Identity::generate();
    let sealed = seal(&numbers(2500), &identity, &options(1000, 2));
    let compressed = decrypt_bytes(&sealed, &[identity], 1 << 20).unwrap();
    let mut rest = &compressed[..];
    let mut sizes = Vec::new();
    while !rest.is_empty() {
        sizes.push(zstd::zstd_safe::get_frame_content_size(rest).unwrap());
        rest = &rest[zstd::zstd_safe::find_frame_compressed_size(rest).unwrap()..];
    }
    assert_eq!(sizes, [Some(1000), Some(1000), Some(500)]);
}

#[test]
fn every_recipient_can_open_and_nobody_else() {
    let (first, second, other) = (Identity::generate(), Identity::generate(), Identity::generate());
    let sealed = seal_bytes(b"plain", &[first.to_public(), second.to_public()]).unwrap();
    for identity in [&first, &second] {
        assert_eq!(unseal_bytes(&sealed, &[other.clone(), identity.clone()], 5).unwrap(), b"plain");
    }
    assert!(matches!(unseal_bytes(&sealed, one(&other), 5), Err(Error::NotForUs)));
    assert!(matches!(unseal_all(sealed.clone(), &other), Err(Error::NotForUs)));
    assert!(matches!(unseal_bytes(&sealed, &[], 5), Err(Error::NotForUs)));
    assert!(matches!(seal_bytes(b"plain", &[]), Err(Error::NoRecipient)));
    let writer = SealWriter::new(Vec::new(), &[], &SealOptions::default());
    assert!(matches!(writer, Err(Error::NoRecipient)));
}

/// Small streams without threads, larger ones with them, and one that another program compressed.
#[test]
fn what_is_sealed_again_stays_compressed_as_it_is() {
    let (owner, other) = (Identity::generate(), Identity::generate());
    let mut foreign = zstd::stream::write::Encoder::new(Vec::new(), 5).unwrap();
    foreign.write_all(&noise(700_000)).unwrap();
    let foreign = encrypt_bytes(&foreign.finish().unwrap(), &[owner.to_public()]).unwrap();
    let ours = |plain: &[u8]| seal(plain, &owner, &options(100_000, 3));
    let all = [ours(b""), ours(&numbers(5000)), ours(&noise(3 << 20)), foreign];
    for sealed in all {
        let plain = unseal_all(sealed.clone(), &owner).unwrap();
        let compressed = decrypt_bytes(&sealed, one(&owner), 8 << 20).unwrap();
        let (mut reader, again) =
            unseal_and_reseal(Cursor::new(sealed), one(&owner), Vec::new(), &[other.to_public()])
                .unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert!(read == plain);
        let again = again.finish().unwrap();
        assert!(decrypt_bytes(&again, one(&other), 8 << 20).unwrap() == compressed);
        assert!(unseal_all(again.clone(), &other).unwrap() == plain);
        assert!(matches!(unseal_all(again, &owner), Err(Error::NotForUs)));
    }
}

#[test]
fn nothing_that_was_not_read_whole_is_sealed_again() {
    let (owner, other) = (Identity::generate(), Identity::generate());
    for plain in [noise(1000), noise(3 << 20)] {
        let sealed = seal(&plain, &owner, &options(100_000, 2));
        let cut = sealed[..sealed.len() - 10].to_vec();
        let reseal = |sealed, out| {
            unseal_and_reseal(Cursor::new(sealed), one(&owner), out, &[other.to_public()])
        };
        if let Ok((mut reader, again)) = reseal(cut, Vec::new()) {
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
            assert!(matches!(Error::inside(&error), Some(Error::Corrupt { .. })), "{error:?}");
            assert!(again.finish().is_err());
        }
        let (mut reader, again) = reseal(sealed, Vec::new()).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
        // What is short was read whole before it was asked for.
        assert_eq!(again.finish().is_ok(), plain.len() == 1000);
    }
}

/// The error of the writer is known from damage of what is read.
#[test]
fn what_cannot_be_sealed_again_says_why() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (owner, other) = (Identity::generate(), Identity::generate());
    for length in [200_000, 3 << 20] {
        let sealed = seal(&noise(length), &owner, &options(100_000, 2));
        let opened =
            unseal_and_reseal(Cursor::new(sealed), one(&owner), Full, &[other.to_public()]);
        let error = match opened {
            Err(error) => error,
            Ok((mut reader, _)) => {
                Error::from_stream("read", reader.read_to_end(&mut Vec::new()).unwrap_err())
            }
        };
        let Error::Stream { operation: "write", source } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn a_bomb_is_refused() {
    let identity = Identity::generate();
    let sealed = seal_bytes(&vec![0; 64 << 20], &[identity.to_public()]).unwrap();
    assert!(sealed.len() < 10_000);
    let result = unseal_bytes(&sealed, &[identity], 1 << 20);
    assert!(matches!(result, Err(Error::TooLarge { limit_bytes: 1_048_576 })));
}

fn assert_corrupt<T: std::fmt::Debug>(result: lifeboat_storage::Result<T>, what: &str) {
    assert!(matches!(result, Err(Error::Corrupt { .. })), "{what}: {result:?}");
}

/// Whatever byte of a stream is changed, and wherever it is cut, the reader must not come to its
/// end as if nothing were wrong.
#[test]
fn every_flip_and_cut_is_found() {
    let identity = Identity::generate();
    let sealed = seal(&numbers(3000), &identity, &options(1000, 1));
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        let result = unseal_bytes(&flipped, one(&identity), 1 << 20);
        // A changed stanza can be one for another key.
        assert!(
            matches!(result, Err(Error::Corrupt { .. } | Error::NotForUs)),
            "byte {at}: {result:?}"
        );
        let cut = unseal_bytes(&sealed[..at], one(&identity), 1 << 20);
        assert_corrupt(cut, &format!("cut at {at}"));
    }
    let garbage = [&sealed[..], b"x"].concat();
    assert_corrupt(unseal_all(garbage, &identity), "trailing byte");
    let doubled = [&sealed[..], &sealed[..]].concat();
    assert_corrupt(unseal_all(doubled, &identity), "trailing stream");
}

/// The same in the parts that threads read, at the places where chunks of age meet.
#[test]
fn damage_deep_in_a_stream_is_found() {
    let identity = Identity::generate();
    let sealed = seal(&noise(6 << 20), &identity, &options(1 << 20, 2));
    let payload = sealed.len() - (sealed.len() % 65_552);
    for at in [payload / 2, payload - 1, payload, sealed.len() - 65_552, sealed.len() - 1] {
        let mut flipped = sealed.clone();
        flipped[at] ^= 0x80;
        assert_corrupt(unseal_all(flipped, &identity), &format!("flip at {at}"));
        assert_corrupt(unseal_all(sealed[..at].to_vec(), &identity), &format!("cut at {at}"));
    }
}

#[test]
fn damage_below_a_valid_age_layer_is_found() {
    let identity = Identity::generate();
    let recipients = [identity.to_public()];
    let frame = zstd::bulk::compress(&numbers(100_000), 1).unwrap();
    let cases: [(&str, Vec<u8>); 5] = [
        ("no frame", Vec::new()),
        ("no zstd", b"plain text instead of zstd".to_vec()),
        ("cut frame", frame[..frame.len() - 1].to_vec()),
        ("trailing garbage", [&frame[..], b"garbage"].concat()),
        ("window of 256 MiB", window_of_256_mib()),
    ];
    for (what, content) in cases {
        let sealed = encrypt_bytes(&content, &recipients).unwrap();
        assert_corrupt(unseal_bytes(&sealed, one(&identity), 1 << 30), what);
        assert_corrupt(unseal_all(sealed, &identity), what);
    }
}

fn window_of_256_mib() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.write_all(b"little, but with a large window").unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_no_age_file_is_corrupt_without_being_read_whole() {
    within_a_minute(|| {
        let identities = [Identity::generate()];
        assert_corrupt(unseal(io::repeat(b'a'), &identities), "endless letters");
        for line in ["-> X25519 aaaa", "-> X25519 aaaa\naaaa\n", "\n"] {
            let endless = Repeating::new("age-encryption.org/v1\n", line);
            assert_corrupt(unseal(endless, &identities), line);
        }
        for whole in ["age-encryption.org/v9\n--- x\n", "age-encryption.org/v1\n", ""] {
            assert_corrupt(unseal_all(whole.as_bytes().to_vec(), &identities[0]), whole);
        }
    });
}

/// A text, then another without end.
struct Repeating {
    text: Vec<u8>,
    again: &'static str,
}

impl Repeating {
    fn new(first: &str, again: &'static str) -> Self {
        Self { text: first.as_bytes().to_vec(), again }
    }
}

impl Read for Repeating {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.text.as_slice().read(buf)?;
        self.text.drain(..read);
        if self.text.is_empty() {
            self.text.extend_from_slice(self.again.as_bytes());
        }
        Ok(read)
    }
}

/// A disk or connection that fails is not damage, wherever in the stream it happens.
#[test]
fn a_failing_source_is_no_damage() {
    let identity = Identity::generate();
    let sealed = seal(&noise(3 << 20), &identity, &SealOptions::default());
    for good in [0, 10, 100, 250, 65_000, 300_000, 1 << 20, sealed.len() - 1, sealed.len()] {
        let source = Cursor::new(sealed[..good].to_vec()).chain(Failing);
        let read = || {
            let mut plain = Vec::new();
            unseal(source, one(&identity))?
                .read_to_end(&mut plain)
                .map_err(|error| Error::from_stream("read", error))
        };
        match read() {
            Err(Error::Stream { source, .. }) => assert_eq!(source.to_string(), "unplugged"),
            other => panic!("after {good} bytes: {other:?}"),
        }
    }
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("unplugged"))
    }
}

#[test]
fn reading_on_after_an_error_never_looks_like_the_end() {
    let identity = Identity::generate();
    let mut sealed = seal(&noise(4 << 20), &identity, &SealOptions::default());
    let middle = sealed.len() / 2;
    sealed[middle] ^= 1;
    let mut reader = unseal(Cursor::new(sealed), &[identity]).unwrap();
    assert!(io::copy(&mut reader, &mut io::sink()).is_err());
    assert!(reader.read(&mut [0; 10]).is_err());
    assert!(reader.read(&mut [0; 10]).is_err());
}

#[test]
fn a_reader_can_be_dropped_half_way() {
    within_a_minute(|| {
        let identity = Identity::generate();
        let sealed = seal(&noise(20 << 20), &identity, &SealOptions::default());
        let mut reader = unseal(Cursor::new(sealed), &[identity]).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
    });
}

/// Takes so many bytes, then fails as a full disk does; tells when it is dropped and flushed.
struct Limited {
    room: usize,
    panics: bool,
    events: Arc<Mutex<Vec<&'static str>>>,
}

impl Write for Limited {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        assert!(self.room > 0 || !self.panics, "a writer that panics");
        if self.room == 0 {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"));
        }
        let written = buf.len().min(self.room);
        self.room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.events.lock().unwrap().push("flushed");
        Ok(())
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.events.lock().unwrap().push("dropped");
    }
}

/// Wherever the writer below fails, its error comes out, once the writer below is gone.
#[test]
fn a_full_disk_comes_out_of_write_or_finish() {
    within_a_minute(|| {
        let identity = Identity::generate();
        for frame_bytes in [1000, 100_000, 4 << 20] {
            for room in [0, 1, 100, 216, 65_768, 150_000, 400_000] {
                let events = Arc::default();
                let out = Limited { room, panics: false, events: Arc::clone(&events) };
                let recipients = [identity.to_public()];
                let mut writer =
                    SealWriter::new(out, &recipients, &options(frame_bytes, 2)).unwrap();
                let plain = noise(1 << 20);
                let result = plain.chunks(5000).try_for_each(|piece| writer.write_all(piece));
                let error = match result {
                    Ok(()) => writer.finish().map(|(_, stats)| stats).unwrap_err(),
                    Err(error) => {
                        assert!(writer.write(b"more").is_err());
                        assert!(writer.finish().is_err());
                        Error::from_stream("write", error)
                    }
                };
                let Error::Stream { operation: "write", source } = error else {
                    panic!("{frame_bytes} {room}: {error:?}")
                };
                assert_eq!(source.to_string(), "disk full", "{frame_bytes} {room}");
                assert_eq!(*events.lock().unwrap(), ["dropped"]);
            }
        }
    });
}

#[test]
fn a_panic_below_becomes_an_error() {
    within_a_minute(|| {
        let recipients = [Identity::generate().to_public()];
        let out = Limited { room: 100_000, panics: true, events: Arc::default() };
        let mut writer = SealWriter::new(out, &recipients, &options(10_000, 2)).unwrap();
        let result = (0..1000).try_for_each(|_| writer.write_all(&noise(10_000)));
        assert!(result.and_then(|()| writer.finish().map_err(io::Error::from)).is_err());
    });
}

#[test]
fn dropped_half_way_it_ends_its_threads_and_finishes_nothing() {
    within_a_minute(|| {
        let identity = Identity::generate();
        for bytes in [0, 10, 5_000, 500_000] {
            let events = Arc::default();
            let out = Limited { room: usize::MAX, panics: false, events: Arc::clone(&events) };
            let recipients = [identity.to_public()];
            let mut writer = SealWriter::new(out, &recipients, &options(1000, 3)).unwrap();
            writer.write_all(&noise(bytes)).unwrap();
            drop(writer);
            // Dropped before `drop` of the sealing writer returned, and never flushed.
            assert_eq!(*events.lock().unwrap(), ["dropped"], "{bytes}");
        }
    });
}

/// Documents and small increments are sealed all the time; they must not pay for threads.
#[test]
fn a_single_frame_is_written_by_the_caller() {
    struct SameThread(std::thread::ThreadId);
    impl Write for SameThread {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            assert_eq!(std::thread::current().id(), self.0);
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let recipients = [Identity::generate().to_public()];
    let out = SameThread(std::thread::current().id());
    let mut writer = SealWriter::new(out, &recipients, &options(1000, 2)).unwrap();
    writer.write_all(&noise(1000)).unwrap();
    writer.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the simple model: what goes in comes out.
    #[test]
    fn any_writes_and_frames_round_trip(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..20),
        frame_bytes in 1..5000_usize,
        workers in 1..4_usize,
    ) {
        let identity = Identity::generate();
        let recipients = [identity.to_public()];
        let mut writer =
            SealWriter::new(Vec::new(), &recipients, &options(frame_bytes, workers)).unwrap();
        for piece in &pieces {
            writer.write_all(piece).unwrap();
        }
        let (sealed, _) = writer.finish().unwrap();
        prop_assert_eq!(unseal_all(sealed, &identity).unwrap(), pieces.concat());
    }

    /// No input makes the reader panic.
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let identity = Identity::generate();
        prop_assert!(unseal_bytes(&bytes, one(&identity), 1000).is_err());
        let header = [&b"age-encryption.org/v1\n-> X25519 "[..], &bytes].concat();
        prop_assert!(unseal_all(header, &identity).is_err());
    }
}

/// Nothing but its own checksum vouches for a document that is not sealed.
#[test]
fn a_compressed_document_is_read_as_written_and_not_otherwise() {
    let plain: Vec<u8> = (0..2000_u32).flat_map(|number| (number * number).to_le_bytes()).collect();
    let compressed = compress_bytes(&plain).unwrap();
    assert_eq!(decompress_bytes(&compressed, plain.len()).unwrap(), plain);
    let small = decompress_bytes(&compressed, plain.len() - 1);
    assert!(matches!(small, Err(Error::TooLarge { .. })), "{small:?}");
    for at in 0..compressed.len() {
        let mut damaged = compressed.clone();
        damaged[at] ^= 1 << (at % 8);
        let read = decompress_bytes(&damaged, plain.len());
        assert!(read.is_err() || read.unwrap() == plain, "byte {at}");
    }
    for length in 0..compressed.len() {
        assert!(decompress_bytes(&compressed[..length], plain.len()).is_err(), "{length} bytes");
    }
}
