//! Signature version 4: verifying requests and chunked payloads, making presigned links.
//!
//! Pure: time comes in as a value, the secret too. Deliberately elsewhere: choosing between the
//! versions (`presented`), who the client is and what it may do, reading bodies.
//!
//! AWS: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.

pub mod chunked;
mod claim;
mod credential;
mod date;
mod header;
mod payload;
pub mod presign;
mod query;
mod signed_headers;
#[cfg(test)]
mod tests;

pub use header::HeaderAuth;
pub use payload::{Payload, unsigned_payload};
pub use presign::{Presign, PresignError, presign};
pub use query::QueryAuth;
