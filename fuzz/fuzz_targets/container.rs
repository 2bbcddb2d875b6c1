//! Unseals, decompresses and restores.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lifeboat_fuzz::container(data));
