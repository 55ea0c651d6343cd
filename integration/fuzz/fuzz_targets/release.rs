//! `cases/release.rs` for libFuzzer.

#![no_main]

#[path = "../cases/release.rs"]
mod case;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
