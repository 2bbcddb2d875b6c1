//! Reads the documents of a repository.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lifeboat_fuzz::manifest(data));
