//! `cases/request.rs` for libFuzzer.

#![no_main]

#[path = "../cases/request.rs"]
mod case;
#[path = "../cases/sign.rs"]
mod sign;
#[path = "../cases/stage.rs"]
mod stage;

// A key of a service account is minted first: that takes seconds, and is no input's fault.
libfuzzer_sys::fuzz_target!(
    init: {
        sign::signed(sign::Kind::Bearer, b"GET / HTTP/1.1\n\n");
    },
    |data: &[u8]| case::run(data)
);
