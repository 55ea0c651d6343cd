//! `cases/gcs_multipart.rs` for libFuzzer.

#![no_main]

#[path = "../cases/gcs_multipart.rs"]
mod case;
#[expect(dead_code, reason = "nobody signs anything here")]
#[path = "../cases/stage.rs"]
mod stage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
