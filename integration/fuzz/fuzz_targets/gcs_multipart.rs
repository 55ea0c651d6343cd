//! `cases/gcs_multipart.rs` for libFuzzer.

#![no_main]

#[path = "../cases/gcs_multipart.rs"]
mod case;
#[path = "../cases/stage.rs"]
mod stage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
