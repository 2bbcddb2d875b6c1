//! How fast sealing is on this machine, and each of its layers alone.
//!
//! `cargo run --release -p lifeboat-storage --example sealing_throughput [MiB] [level]`

use std::error::Error;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use lifeboat_storage::{HashingWriter, ObjectDigest, SealOptions, SealWriter, unseal, x25519};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mebibytes: usize = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let level: i32 = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let piece = half_compressible(32 << 20);
    let rounds = mebibytes.div_ceil(32);
    let bytes = rounds * piece.len();
    let identity = x25519::Identity::generate();
    let recipient = identity.to_public();
    let mut out = io::stdout();

    let (_, took) = timed(|| {
        for _ in 0..rounds {
            std::hint::black_box(ObjectDigest::of(&piece));
        }
        Ok(())
    })?;
    report(&mut out, "SHA-256 alone", bytes, took)?;

    let (_, took) = timed(|| {
        let mut writer = encryptor(&recipient)?.wrap_output(io::sink())?;
        (0..rounds).try_for_each(|_| writer.write_all(&piece))?;
        Ok(writer.finish()?)
    })?;
    report(&mut out, "age alone, encrypt", bytes, took)?;

    let mut writer = encryptor(&recipient)?.wrap_output(Vec::new())?;
    writer.write_all(&piece)?;
    let encrypted = writer.finish()?;
    let (_, took) = timed(|| {
        for _ in 0..rounds {
            let decryptor = age::Decryptor::new_buffered(&*encrypted)?;
            let identities = [&identity as &dyn age::Identity];
            io::copy(&mut decryptor.decrypt(identities.into_iter())?, &mut io::sink())?;
        }
        Ok(())
    })?;
    report(&mut out, "age alone, decrypt", bytes, took)?;

    let (_, took) = timed(|| {
        let mut compressed = Vec::with_capacity(zstd::zstd_safe::compress_bound(4 << 20));
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        for _ in 0..rounds {
            for frame in piece.chunks(4 << 20) {
                compressed.clear();
                std::hint::black_box(compressor.compress_to_buffer(frame, &mut compressed)?);
            }
        }
        Ok(())
    })?;
    report(&mut out, "zstd alone, one core", bytes, took)?;

    let cores = SealOptions::default().workers;
    // Touched now: the time that the system takes to provide memory is none of sealing.
    let mut sealed = vec![1; bytes];
    for workers in 1..=cores {
        let options = SealOptions { level, workers, ..SealOptions::default() };
        let ((digest_and_bytes, stats), took) = timed(|| {
            sealed.clear();
            let out = HashingWriter::new(std::mem::take(&mut sealed));
            let mut writer = SealWriter::new(out, std::slice::from_ref(&recipient), &options)?;
            (0..rounds).try_for_each(|_| writer.write_all(&piece))?;
            let (out, stats) = writer.finish()?;
            Ok((out.finish(), stats))
        })?;
        sealed = digest_and_bytes.0;
        report(&mut out, &format!("seal and hash, {workers} workers"), bytes, took)?;
        let ratio = 1000 * stats.compressed_bytes / stats.plain_bytes.max(1);
        writeln!(out, "  ratio 0.{ratio:03}, {} sealed bytes", stats.sealed_bytes)?;
    }

    let (_, took) = timed(|| {
        let mut reader = unseal(io::Cursor::new(sealed), std::slice::from_ref(&identity))?;
        let mut buffer = vec![0; 1 << 20];
        while reader.read(&mut buffer)? > 0 {}
        Ok(())
    })?;
    report(&mut out, "unseal", bytes, took)?;
    Ok(())
}

fn encryptor(recipient: &x25519::Recipient) -> Result<age::Encryptor, Box<dyn Error>> {
    let recipients = [recipient as &dyn age::Recipient];
    Ok(age::Encryptor::with_recipients(recipients.into_iter())?)
}

fn timed<T>(
    work: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<(T, Duration), Box<dyn Error>> {
    let start = Instant::now();
    Ok((work()?, start.elapsed()))
}

fn report(out: &mut impl Write, what: &str, bytes: usize, took: Duration) -> io::Result<()> {
    let rate = bytes as f64 / took.as_secs_f64() / 1e6;
    writeln!(out, "{what:<28} {rate:>8.0} MB/s  {:>7.2} s", took.as_secs_f64())
}

/// Random bytes and words by turns, as rows of a chat are: zstd keeps about half.
fn half_compressible(bytes: usize) -> Vec<u8> {
    let words =
        ["the ", "backup ", "of ", "a ", "database ", "is ", "restored ", "and ", "checked "];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut data = Vec::with_capacity(bytes + 4096);
    while data.len() < bytes {
        (0..95).for_each(|_| data.extend_from_slice(&random()));
        (0..200).for_each(|_| {
            let word = words[usize::from(random()[0]) % words.len()];
            data.extend_from_slice(word.as_bytes());
        });
    }
    data.truncate(bytes);
    data
}
