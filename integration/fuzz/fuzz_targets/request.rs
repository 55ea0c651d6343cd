//! `cases/request.rs` for libFuzzer.

#![no_main]

#[path = "../cases/request.rs"]
mod case;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
