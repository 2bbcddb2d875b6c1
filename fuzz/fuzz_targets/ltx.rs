//! Reads, writes and merges LTX files.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lifeboat_fuzz::ltx(data));
