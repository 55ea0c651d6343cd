//! `cases/request.rs` for libFuzzer.

#![no_main]

#[path = "../cases/request.rs"]
mod case;
#[path = "../cases/sign.rs"]
mod sign;
#[path = "../cases/stage.rs"]
mod stage;

libfuzzer_sys::fuzz_target!(|data: &[u8]| case::run(data));
