//! Reads keys and writes them again.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lifeboat_fuzz::names(data));
