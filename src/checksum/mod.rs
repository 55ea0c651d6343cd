//! Computing digests: of bytes as they come in, and of objects from the checksums of their parts.
//!
//! Pure arithmetic. The values as types are `model`'s; comparing them with what a client declared,
//! and deciding which a response shows, is done where requests are read.
//!
//! AWS: "Checking object integrity in Amazon S3".

mod digester;
mod parts;
#[cfg(test)]
mod tests;

pub use digester::{Digester, Digests};
pub use parts::{combine, composite, etag_of_parts};
