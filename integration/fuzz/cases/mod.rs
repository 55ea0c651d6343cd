//! What is fuzzed. `cargo fuzz` hands each case whatever it finds; `cargo test --test fuzz` hands it
//! the seeds and what they become when they are damaged, so that no case goes stale.
//!
//! A case takes bytes and panics where a promise is broken.

pub(crate) mod chunked;
pub(crate) mod gcs_multipart;
pub(crate) mod release;
pub(crate) mod request;
pub(crate) mod sign;
pub(crate) mod signature;
pub(crate) mod stage;
pub(crate) mod xml;
