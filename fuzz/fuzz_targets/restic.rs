//! Reads documents of a restic repository, and patterns.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lifeboat_fuzz::restic(data));
